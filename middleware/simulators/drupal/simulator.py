"""The simulated shop: JSON:API over HTTP, the customer's and the gateway's moves in Python, signed order events out."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Request, Response

from middleware.simulators import signatures
from middleware.simulators._server import Simulator
from middleware.simulators.deliveries import Deliverer, Mischief
from middleware.simulators.drupal import orders, seed
from middleware.simulators.drupal.access import Authentication, User
from middleware.simulators.drupal.checkout import ADA, Basket, Charge, Line, Paid, check_out, sold
from middleware.simulators.drupal.entities import Entity
from middleware.simulators.drupal.jsonapi import JsonApi
from middleware.simulators.drupal.operations import OPERATIONS_PATH, STATUS_PATH, Operations
from middleware.simulators.drupal.outbox import order_event
from middleware.simulators.drupal.site import ORDER, PRODUCT, VARIATION, Site

ERP_FIELDS = ("field_waybill_erp_number", "field_waybill_erp_status")


@dataclass(frozen=True, slots=True)
class ShopOrder:
    """An order as the shop has it now; amounts are decimal texts, `fields` the merchant's own."""

    uuid: str
    internal_id: int
    number: str | None
    state: str
    version: int
    total: str
    currency: str
    payments: tuple[str, ...]
    fields: Mapping[str, str | None]


class DrupalSimulator(Simulator):
    """`user` and `password` are the service account; `secret` signs order events; `order_fields` are extra text fields. With `catalog`
    it has terms, attribute values, media, price lists and promotions, with `module` the operations route of commerce_waybill."""

    name = "drupal"

    def __init__(
        self,
        *,
        user: str = "svc",
        password: str = "svc-secret",
        secret: str = "whsec_c2ltdWxhdGVkLXdheWJpbGwtc2VjcmV0LTE=",
        shop: seed.Shop | None = None,
        users: Iterable[User] | None = None,
        order_fields: Iterable[str] = ERP_FIELDS,
        workflow: str = "order_fulfillment",
        languages: tuple[str, ...] = ("en", "de"),
        clock: Callable[[], float] = time.time,
        seed_number: int = 0,
        catalog: bool = False,
        module: bool = False,
    ) -> None:
        super().__init__(seed=seed_number)
        shop = shop or seed.Shop()
        accounts = tuple(users or (seed.account(user, password, 2, seed.SERVICE_PERMISSIONS),))
        self.secret = secret
        self.events: list[dict[str, Any]] = []
        self.deliverer: Deliverer | None = None
        self.site = Site(
            clock=clock, order_fields=tuple(order_fields), workflow=workflow, languages=languages, catalog=catalog, linked=module
        )
        self.store_uuid = seed.install(self.site, shop, accounts)
        self.authentication = Authentication(accounts, clock)
        self.site.on_order = self._announce
        self._order_fields = tuple(order_fields)
        self._currency = shop.currencies[0]
        self._baskets: dict[str, Basket] = {}
        self._said: Counter[str] = Counter()
        self._api = JsonApi(self.site, self.authentication, shop.site_name)
        self.operations = Operations(self.site, self.authentication) if module else None

    def answer(self, request: Request) -> Response:
        if self.operations and request.path in (STATUS_PATH, OPERATIONS_PATH):
            return self.operations.answer(request)
        return self._api.answer(request)

    def deliver_to(self, target: str, *, mischief: Mischief | None = None, seed: int = 0, workers: int = 2) -> Deliverer:
        """Send every later order event to `target`; the deliverer returned is started with its own `start`."""
        self.deliverer = Deliverer(
            target,
            signatures.standard_webhooks,
            self.secret,
            mischief=mischief,
            seed=seed,
            workers=workers,
            user_agent="Drupal (+https://www.drupal.org/) commerce_waybill",
        )
        return self.deliverer

    def add_product(self, sku: str, title: str, price: str, *, currency: str | None = None, stock: int = 0) -> str:
        """A published product with one variation; returns the variation's UUID."""
        with self.lock:
            values = {"sku": sku, "price": {"number": price, "currency_code": currency or self._currency}, "field_stock": stock}
            owner = {"uid": seed.user_uuid(self.site, 1)}
            variation = self.site.draft(VARIATION, values, owner)
            self.site.save(variation)
            references = {**owner, "stores": [self.store_uuid], "variations": [variation.uuid]}
            self.site.save(self.site.draft(PRODUCT, {"title": title}, references))
            return variation.uuid

    def place_order(
        self,
        lines: Sequence[Line],
        *,
        payments: Sequence[Paid] = (),
        adjustments: Sequence[Charge] = (),
        currency: str | None = None,
        mail: str = "ada@example.test",
        address: Mapping[str, str] = ADA,
        shipping_address: Mapping[str, str] | None = None,
        language: str = "en",
        placed: bool = True,
        order_uuid: str | None = None,
    ) -> ShopOrder:
        """A customer checks out; `placed=False` leaves a draft. A line with its own price may name a sku that is not sold yet,
        which is then added. An order UUID may be chosen, for instance to pay before; raises LookupError for an unknown sku."""
        basket = Basket(
            lines,
            currency or self._currency,
            mail,
            address,
            adjustments,
            payments,
            shipping_address,
            language,
            placed,
            {"uuid": order_uuid or str(uuid.uuid4())},
        )
        with self.lock:
            for line in lines:
                if line.unit_price is not None and not sold(self.site, line.sku):
                    self.add_product(line.sku, line.title or line.sku, line.unit_price, currency=basket.currency)
            self._baskets[basket.identity["uuid"]] = basket
            return self._shown(check_out(self.site, basket, store=self.store_uuid))

    def order(self, order_uuid: str) -> ShopOrder:
        """An order as it is now; raises KeyError."""
        with self.lock:
            return self._shown(self.site.entities.get(order_uuid))

    def orders(self) -> list[ShopOrder]:
        """Every order, oldest first."""
        with self.lock:
            return [self._shown(order) for order in self.site.entities.of(ORDER)]

    def set_order_state(self, order_uuid: str, state: str) -> ShopOrder:
        """An administrator moves an order (`fulfillment`, `completed`, `canceled`); raises ValueError when the workflow does not."""
        with self.lock:
            draft = self.site.entities.get(order_uuid).copy()
            if not orders.transition(self.site.workflow, draft.values["state"], state):
                raise ValueError(f"no transition leads from {draft.values['state']} to {state}")
            draft.values["state"] = state
            self.site.save(draft)
            return self.order(order_uuid)

    def set_payment(self, payment_uuid: str, **values: Any) -> None:
        """The gateway module writes a payment: `state`, `remote_id`, `remote_state`, `refunded_amount` (a decimal text)."""
        with self.lock:
            draft = self.site.entities.get(payment_uuid).copy()
            if "refunded_amount" in values:
                values["refunded_amount"] = {**draft.values["amount"], "number": values["refunded_amount"]}
            draft.values.update(values)
            self.site.save(draft)

    def translate(self, entity_uuid: str, langcode: str, values: Mapping[str, Any]) -> None:
        """Add a translation, which JSON:API cannot."""
        with self.lock:
            draft = self.site.entities.get(entity_uuid).copy()
            draft.translations[langcode] = dict(values)
            self.site.save(draft)

    def _announce(self, kind: str, order: Entity) -> None:
        self._said[order.uuid] += 1
        event = order_event(self.site, kind, order, self._baskets.get(order.uuid), self._said[order.uuid])
        self.events.append(event)
        if self.deliverer:
            self.deliverer.send(f"msg_{uuid.uuid4().hex}", json.dumps(event).encode())

    def _shown(self, order: Entity) -> ShopOrder:
        total = order.values["total_price"] or {"number": "0", "currency_code": self._currency}
        return ShopOrder(
            order.uuid,
            int(order.id),
            order.values["order_number"],
            order.values["state"],
            order.values["version"],
            total["number"],
            total["currency_code"],
            tuple(payment.uuid for payment in orders.payments_of(self.site.entities, order.uuid)),
            {name: order.values[name] for name in self._order_fields},
        )
