"""Tryton 8.2 (https://www.tryton.org/) over its REST interface: orders out once, through the web shop's unique id; states back by
polling; products, prices and stock as feeds.

Interface: https://docs.tryton.org/latest/server/topics/user_application.html (application "rest").
Repeating is safe: a party is found by its code, a sale by (web_shop, web_id), and each step looks at the state first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from marshmallow import ValidationError

from mappings import tryton as words
from mappings import tryton_feeds as feeds
from mappings.canonical import Address, FulfilmentChange, FulfilmentState, Order
from mappings.fields import field_names
from mappings.tryton_prices import prices
from middleware.connectors._http import Http
from middleware.errors import Rejected, Unreadable
from middleware.ports import Delivery, Effect, Page, Receipt, Record
from middleware.settings import Connection
from middleware.wire.tryton import Rest
from middleware.wire.tryton_feeds import Feeds

PAGE = 100
"""Sales per page of a poll."""
NEXT_STEP = {"draft": "quote", "quotation": "confirm"}
"""The button that takes a sale on; every other state needs none of ours."""
PARTY_FIELDS = tuple(f"addresses.{name}" for name in ("party_name", "street", "postal_code", "city", "country.id"))


class Connector:
    """Plays create_order, find_order, changed_orders, translate, list_records, decode_record, fetch_record. `connection.base_url`
    ends in the database's name."""

    SYSTEM = "tryton"
    LANE = "orders"
    PROOF = "real system"
    API_VERSION = "8.2"
    NATIVE_IDEMPOTENCY = frozenset({"create_order"})
    CREDENTIALS: Mapping[str, str] = {"key": "key of a validated REST application of the user that Waybill acts as"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "company": (int, 1, "id of the company that sells"),
        "web_shop": (int, 1, "id of the web shop that the sales belong to"),
        "party_prefix": (str, "WEB-", "what the codes of the shop's customers begin with"),
        "payment_term": (int, 0, "id of the payment term of every sale; 0 leaves Tryton's default"),
        "warehouse": (int, 0, "id of the warehouse that sales are shipped from; 0: the only one, needed when there are several"),
        "charge_product": (str, "", "code of the service that shipping, fees and discounts are booked on; empty: lines without a product"),
        "price_digits": (int, 4, "decimals of unit prices, as price_decimal in Tryton's configuration"),
        "warehouses": (list, [], "codes of the warehouses whose stock counts (the id of one without a code); empty: all"),
        "available": (str, "reserved", "stock that can be sold: on hand less what is `reserved`, or Tryton's `forecast`"),
        "attributes": (list, [], "further fields of product.product that are read, as paths: weight, template.brand.name"),
        "language": (str, "en", "language of names and descriptions"),
        "languages": (list, [], "languages whose names and descriptions are read besides"),
        "page": (int, 100, "records of a page of a feed, 1 to 500"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`base_url` is Tryton's address and the database's name, credential `key` the application's key."""
        self.connection = connection
        self.http = http
        self._known: dict[tuple[str, str], int] = {}
        self._options = connection.chosen(self.OPTIONS)
        self._rest = Rest(http.request, connection.credentials["key"].reveal(), {"company": self._options["company"]})
        if self._options["available"] not in ("reserved", "forecast"):
            raise ValueError("options.available must be reserved or forecast")
        if not 1 <= self._options["page"] <= 500:
            raise ValueError("options.page must be 1 to 500: ids of a whole page go into one address")
        shared = {name: self._options[name] for name in ("company", "page", "warehouses", "language", "languages", "attributes")}
        self._feeds = Feeds(self._rest, **shared)

    def create_order(self, effect: Effect) -> Receipt:
        """Make the order's sale and confirm it, from wherever an earlier attempt stopped. `detail["total"]` is Tryton's total.

        Raises `Rejected` with the field for an order that Tryton cannot hold as it is (unknown product or country, another
        total, a sale that was cancelled over there), and what `Http.request` raises.
        """
        order = _order(effect)
        sale = self._sale(order.order_id) if effect.attempt > 1 else None
        sale = sale or self._made(order)
        if sale["state"] == "cancelled":
            raise Rejected("the sale was cancelled in Tryton", field="state")
        _check_total(order, sale)
        return _receipt(self._confirmed(sale))

    def find_order(self, effect: Effect) -> Receipt | None:
        """The sale that an earlier attempt made. None also for one that it left unconfirmed: `create_order` takes that on."""
        sale = self._sale(_order(effect).order_id)
        return None if sale is None or sale["state"] in NEXT_STEP else _receipt(sale)

    def changed_orders(self, since: datetime | None) -> Iterator[tuple[Delivery, ...]]:
        """Pages of the web shop's sales written after `since` (Tryton's clock), oldest first. A write_date is the beginning of its
        transaction: one that commits late is seen by the overlap of the poll."""
        after: list[Any] = ["write_date", "!=", None]
        if since:
            after = ["write_date", ">", words.instant_value(since)]
        while True:
            domain = [["web_shop", "=", self._options["web_shop"]], ["web_id", "!=", None], after]
            page = self._rest.search("sale.sale", domain, words.SALE_FIELDS, order=[["write_date", "ASC"], ["id", "ASC"]], size=PAGE)
            if page:
                yield tuple(_delivery(sale) for sale in page)
            if len(page) < PAGE:
                return
            written, last = page[-1]["write_date"], page[-1]["id"]
            after = ["OR", ["write_date", ">", written], [["write_date", "=", written], ["id", ">", last]]]

    def translate(self, topic: str, payload: bytes) -> FulfilmentChange:
        """A sale as `changed_orders` reads it; raises `Unreadable` with the names of the fields at fault."""
        try:
            change: FulfilmentChange = words.SaleSchema().load(json.loads(payload))
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from error
        except ValueError as error:
            raise Unreadable(f"{topic}: not JSON") from error
        return change

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        """A page of `feeds.FEEDS`, by Tryton's ids: products that are for sale and have a code, active or not, their prices and
        their stock, categories and price lists. `raw` is canonical JSON of what was read."""
        return self._feeds.list_records(kind, since, cursor)

    def fetch_record(self, kind: str, source_id: str) -> Record | None:
        """The record as it is now; None when Tryton has none with this id, or does not sell it any more."""
        return self._feeds.fetch_record(kind, source_id)

    def decode_record(self, kind: str, raw: bytes) -> dict[str, Any]:
        """Raises `Unreadable` with the names of the fields at fault."""
        try:
            record = json.loads(raw, parse_float=Decimal)
            match kind:
                case "products":
                    return feeds.product(record, self._options["attributes"])
                case "stock":
                    return feeds.stock(record, self._options["available"])
                case "prices":
                    return prices(record)
            return feeds.category(record) if kind == "categories" else feeds.price_list(record)
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None
        except (ValueError, RecursionError):
            raise Unreadable("the record is not JSON") from None

    def _made(self, order: Order) -> dict[str, Any]:
        products = self._products(order)
        charge = products.get(self._options["charge_product"])
        values = words.sale_values(order, self._ids(order), products, charge, self._options["price_digits"])
        try:
            made: dict[str, Any] = self._rest.call("POST", "sale.sale", fields=words.SALE_FIELDS, body=values)
        except Rejected:
            # The web id is unique per shop: an earlier attempt, or one that is still on its way, may have been first.
            found = self._sale(order.order_id)
            if found is None:
                raise
            return found
        return made

    def _confirmed(self, sale: dict[str, Any]) -> dict[str, Any]:
        while step := NEXT_STEP.get(sale["state"]):
            try:
                sale = self._rest.call("POST", f"sale.sale/{sale['id']}/{step}", fields=words.SALE_FIELDS, body={})
            except Rejected:
                # A button that an earlier attempt pressed after all is refused, too.
                now = self._rest.call("GET", f"sale.sale/{sale['id']}", fields=words.SALE_FIELDS)
                if now["state"] == sale["state"]:
                    raise
                sale = now
        return sale

    def _sale(self, web_id: str) -> dict[str, Any] | None:
        domain = [["web_shop", "=", self._options["web_shop"]], ["web_id", "=", web_id]]
        found = self._rest.search("sale.sale", domain, words.SALE_FIELDS, size=1)
        return found[0] if found else None

    def _ids(self, order: Order) -> words.SaleIds:
        billing = self._address_values(order.billing if order.billing != Address() else order.shipping, "billing")
        shipping = self._address_values(order.shipping if order.shipping != Address() else order.billing, "shipping")
        currency = self._id_of("currency.currency", order.total.currency, "total.currency")
        party = self._party(order, [billing] if shipping == billing else [billing, shipping])
        return words.SaleIds(
            web_shop=self._options["web_shop"],
            party=party["id"],
            invoice_address=self._address(party, billing),
            shipment_address=self._address(party, shipping),
            currency=currency,
            payment_term=self._options["payment_term"],
            warehouse=self._options["warehouse"],
        )

    def _id_of(self, model: str, code: str, field: str) -> int:
        """The id of a country or currency, which never changes once it is there."""
        if (model, code) not in self._known:
            found = self._rest.search(model, [["code", "=", code]], (), size=1)
            if not found:
                raise Rejected(f"Tryton has no {model} {code!r}", field=field)
            self._known[model, code] = int(found[0]["id"])
        return self._known[model, code]

    def _party(self, order: Order, addresses: list[dict[str, Any]]) -> dict[str, Any]:
        code = words.party_code(order, self._options["party_prefix"])
        found = self._party_of(code)
        if found:
            return found
        values = words.party_values(order, code, addresses)
        try:
            # The code is unique, so that repeating is safe.
            made: dict[str, Any] = self._rest.call("POST", "party.party", fields=PARTY_FIELDS, body=values, safe=True)
        except Rejected:
            found = self._party_of(code)
            if found is None:
                raise
            return found
        return made

    def _party_of(self, code: str) -> dict[str, Any] | None:
        found = self._rest.search("party.party", [["code", "=", code]], PARTY_FIELDS, size=1)
        return found[0] if found else None

    def _address(self, party: dict[str, Any], values: dict[str, Any]) -> int:
        for address in party["addresses"]:
            if words.same_address(address, values):
                return int(address["id"])
        # A second equal address would do no harm, and the next attempt finds the first.
        made = self._rest.call("POST", "party.address", body={"party": party["id"], **values}, safe=True)
        return int(made["id"])

    def _address_values(self, address: Address, name: str) -> dict[str, Any]:
        country = self._id_of("country.country", address.country, f"{name}.country") if address.country else None
        return words.address_values(address, country)

    def _products(self, order: Order) -> dict[str, words.Product]:
        wanted = {line.sku: f"lines[{index}].sku" for index, line in enumerate(order.lines)}
        if self._options["charge_product"]:
            wanted[self._options["charge_product"]] = "charge_product"
        found: dict[str, words.Product] = {}
        for record in self._rest.search("product.product", [["code", "in", list(wanted)]], ("code", "sale_uom.id")):
            field = wanted[record["code"]]
            if record["code"] in found:
                raise Rejected("several products in Tryton have this code", field=field)
            if not record["sale_uom"]:
                raise Rejected("the product is not for sale in Tryton", field=field)
            found[record["code"]] = words.Product(record["id"], record["sale_uom"]["id"])
        missing = next((sku for sku in wanted if sku not in found), None)
        if missing is not None:
            raise Rejected(f"no product with code {missing!r} in Tryton", field=wanted[missing])
        return found


def _order(effect: Effect) -> Order:
    try:
        return msgspec.convert(effect.payload.get("order"), Order)
    except msgspec.ValidationError as error:
        raise Rejected("the call holds no order", field="order") from error


def _check_total(order: Order, sale: dict[str, Any]) -> None:
    theirs = words.Amount().deserialize(sale["total_amount"])
    if theirs != order.total.amount:
        raise Rejected(f"Tryton computes {theirs}, the shop charged {order.total}: see taxes and prices", field="total")


def _receipt(sale: dict[str, Any]) -> Receipt:
    state: FulfilmentState = words.fulfilment_state(sale["state"], sale["shipment_state"])
    total = words.Amount().deserialize(sale["total_amount"])
    return Receipt(str(sale["id"]), sale["number"] or "", state.value, {"total": str(total), "currency": sale["currency"]["code"]})


def _delivery(sale: dict[str, Any]) -> Delivery:
    written = words.Instant().deserialize(sale["write_date"]).astimezone(UTC)
    return Delivery(
        delivery_id=f"sale.sale,{sale['id']}@{written.isoformat()}",
        topic="sale.changed",
        subject=sale["web_id"],
        payload=json.dumps(sale, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode(),
        occurred_at=written,
    )
