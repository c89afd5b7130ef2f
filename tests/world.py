"""A small world for tests: one shop, one Stripe account, one simulated ERP, and a Waybill between them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from middleware import inbox
from middleware.ports import Inbound
from middleware.runtime import Runtime
from middleware.settings import Connection, Store, Work
from middleware.simulators.erp import ErpSimulator
from middleware.testing import secret, settings
from middleware.vault import new_key
from middleware.wire import standard_webhooks

STRIPE_SECRET = "whsec_c3RyaXBlLXRlc3Qtc2VjcmV0"
SHOP_SECRET = "whsec_c2hvcC10ZXN0LXNlY3JldC1mb3Itd2F5YmlsbA=="


@dataclass
class Clock:
    """A clock that a test moves by hand; it starts now, because signatures are made now."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def forward(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


def connections(erp_url: str = "http://127.0.0.1:9", shop_url: str = "http://127.0.0.1:9", **erp: Any) -> dict[str, Connection]:
    return {
        "shop": Connection("shop", "drupal", shop_url, (secret(SHOP_SECRET),), {"password": secret("svc-secret")}, {"username": "svc"}),
        "stripe": Connection("stripe", "stripe", "http://127.0.0.1:9", (secret(STRIPE_SECRET),)),
        "erp": replace(
            Connection(
                "erp", "demo_erp", erp_url, (), {"key": secret("erp-key")}, settle=5, timeout=2, deadline=4, breaker_failures=1000, poll=1
            ),
            **erp,
        ),
    }


def stores(**changes: Any) -> dict[str, Store]:
    return {"main": replace(Store("main", "shop", erp="erp", payments=("stripe",)), **changes)}


@dataclass
class World:
    """A runtime whose doorbell only notes who rang."""

    database_url: str
    erp: ErpSimulator | None = None
    clock: Clock = field(default_factory=Clock)
    store: dict[str, Any] = field(default_factory=dict)
    work: Work = field(default_factory=lambda: Work(retry_base=0.001, retry_cap=0.01))
    rung: list[tuple[str, str, str]] = field(default_factory=list)
    connections: dict[str, Connection] | None = None
    keys: tuple[str, ...] = field(default_factory=lambda: (new_key(),))
    shop_url: str = "http://127.0.0.1:9"

    def runtime(self, **changes: Any) -> Runtime:
        conns = self.connections or connections(self.erp.url if self.erp else "http://127.0.0.1:9", self.shop_url)
        keys = tuple(secret(key) for key in self.keys)
        made = settings(self.database_url, conns, stores(**self.store), **{"work": self.work, "keys": keys, **changes})
        return Runtime(made, now=self.clock, ring=lambda *bell: self.rung.append(bell), seed=1)


def sign_stripe(body: bytes, *, secret_text: str = STRIPE_SECRET, at: int | None = None) -> dict[str, str]:
    timestamp = int(time.time()) if at is None else at
    digest = hmac.new(secret_text.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={timestamp},v1={digest}", "content-type": "application/json"}


def sign_shop(body: bytes, message_id: str, *, secret_text: str = SHOP_SECRET, at: int | None = None) -> dict[str, str]:
    import base64

    timestamp = str(int(time.time()) if at is None else at)
    key = standard_webhooks.key_of(secret(secret_text))
    digest = base64.b64encode(hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{digest}",
        "content-type": "application/json",
    }


def place(runtime: Runtime, order: str, message: str = "m1", **more: Any) -> int:
    """The shop says that an order was placed; returns how many events were new."""
    body = order_event(order, **more)
    return inbox.receive(runtime, "shop", inbound(sign_shop(body, message), body)).new


def hear(runtime: Runtime, body: bytes) -> int:
    """Stripe sends this body, signed; returns how many events were new."""
    return inbox.receive(runtime, "stripe", inbound(sign_stripe(body), body)).new


def pay(runtime: Runtime, payment: str, **more: Any) -> int:
    """Stripe says something of a payment intent."""
    return hear(runtime, intent_event(payment, **more))


def rows(runtime: Runtime, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """What the database answers to a query or a change."""
    with runtime.engine.begin() as connection:
        done = connection.execute(text(query), values)
        return [tuple(row) for row in done] if done.returns_rows else []


def inbound(headers: dict[str, str], body: bytes) -> Inbound:
    return Inbound(headers, body, "", datetime.now(UTC))


def intent_event(
    payment: str,
    *,
    kind: str = "payment_intent.succeeded",
    status: str = "succeeded",
    amount: int = 4470,
    order: str = "",
    event: str = "",
    created: int = 0,
    currency: str = "eur",
    received: int | None = None,
) -> bytes:
    obj = {
        "id": payment,
        "object": "payment_intent",
        "amount": amount,
        "amount_received": received if received is not None else amount * (status == "succeeded"),
        "currency": currency,
        "status": status,
        "latest_charge": payment.replace("pi_", "ch_"),
        "metadata": {"order_uuid": order} if order else {},
    }
    return json.dumps(
        {
            "id": event or f"evt_{payment}_{kind}",
            "object": "event",
            "api_version": "2026-08-26.dahlia",
            "created": created or int(time.time()),
            "livemode": False,
            "type": kind,
            "data": {"object": obj},
        }
    ).encode()


def refund_event(payment: str, refund: str, amount: int, *, status: str = "succeeded", created: int = 0, event: str = "") -> bytes:
    obj = {
        "id": refund,
        "object": "refund",
        "amount": amount,
        "currency": "eur",
        "status": status,
        "payment_intent": payment,
        "charge": "ch_1",
    }
    return json.dumps(
        {
            "id": event or f"evt_{refund}_{status}",
            "object": "event",
            "created": created or int(time.time()),
            "livemode": False,
            "type": "refund.created" if status == "succeeded" else "refund.failed",
            "data": {"object": obj},
        }
    ).encode()


def order_event(
    order: str,
    *,
    number: str = "1001",
    version: int = 1,
    state: str = "fulfillment",
    payment: str = "",
    total: str = "44.70",
    kind: str = "order.placed",
    store: str = "1",
    internal: str = "",
    sequence: int = 0,
) -> bytes:
    price = {"number": total, "currency_code": "EUR"}
    item = {
        "uuid": f"{order}-1",
        "sku": "TS-RED-M",
        "title": "T-Shirt",
        "quantity": "1.00",
        "unit_price": price,
        "total_price": price,
        "adjustments": [],
    }
    body = {
        "uuid": order,
        "internal_id": internal or number,
        "number": number,
        "version": version,
        "state": state,
        "store": {"uuid": "s-1", "id": store},
        "currency": "EUR",
        "mail": "ada@example.test",
        "language": "en",
        "placed": "2026-11-22T01:00:00+00:00",
        "changed": "2026-11-22T01:00:00+00:00",
        "items": [item],
        "adjustments": [],
        "total_price": price,
        "billing_profile": {
            "address": {
                "given_name": "Ada",
                "family_name": "Example",
                "address_line1": "Main St 1",
                "postal_code": "10115",
                "locality": "Berlin",
                "country_code": "DE",
            }
        },
        "shipping_profile": None,
        "payments": [{"uuid": f"{order}-p", "gateway": "stripe", "remote_id": payment, "state": "pending", "amount": price}]
        if payment
        else [],
    }
    head = {"type": kind, "timestamp": "2026-11-22T01:00:00+00:00", "sequence": sequence, "correlation_id": order}
    return json.dumps({**head, "data": {"order": body}}).encode()
