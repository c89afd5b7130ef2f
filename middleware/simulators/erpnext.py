"""A stand-in for ERPNext: documents over Frappe's REST interface v1 with its filters, and webhooks signed its way.

Lists: https://docs.frappe.io/framework/user/en/api/rest#listing-documents ·
webhooks: https://docs.frappe.io/framework/user/en/guides/integration/webhooks
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from operator import eq, ge, gt, le, lt
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from middleware.simulators._server import Simulator, reply, route
from middleware.simulators.deliveries import Deliverer, Mischief

Json = dict[str, Any]
CHILDREN = {"Item Variant Attribute": "Item", "Item Barcode": "Item", "Pricing Rule Item Code": "Pricing Rule"}
"""Child tables and the document type that they belong to."""
FIELDS: dict[str, Json] = {
    "Item": {
        **dict.fromkeys(("item_code", "item_name", "item_group", "stock_uom"), ""),
        **dict.fromkeys(("description", "brand", "image", "sales_uom", "variant_of", "custom_material")),
        **{"disabled": 0, "has_variants": 0, "is_sales_item": 1, "is_stock_item": 1},
    },
    "Item Variant Attribute": {"attribute": "", "attribute_value": None},
    "Item Barcode": {"barcode": "", "barcode_type": None},
    "Item Group": {"item_group_name": "", "parent_item_group": "All Item Groups", "is_group": 0},
    "Item Price": {
        **dict.fromkeys(("item_code", "price_list", "uom"), ""),
        **{"currency": "EUR", "price_list_rate": 0.0, "packing_unit": 0, "selling": 1, "buying": 0},
        **dict.fromkeys(("customer", "batch_no", "valid_from", "valid_upto")),
    },
    "Price List": {"currency": "EUR", "enabled": 1, "selling": 1, "buying": 0},
    "Pricing Rule": {
        **{"apply_on": "Item Code", "price_or_product_discount": "Price", "rate_or_discount": "Rate", "selling": 1, "disable": 0},
        **{"rate": 0.0, "min_qty": 0.0, "currency": "EUR", "applicable_for": ""},
        **dict.fromkeys(("for_price_list", "customer_group", "valid_from", "valid_upto", "condition", "warehouse")),
        **dict.fromkeys(("coupon_code_based", "is_cumulative", "mixed_conditions", "min_amt"), 0),
    },
    "Pricing Rule Item Code": {"item_code": "", "uom": None},
    "Bin": {
        **dict.fromkeys(("item_code", "warehouse"), ""),
        **dict.fromkeys(("actual_qty", "reserved_qty", "projected_qty"), 0.0),
        **dict.fromkeys(("reserved_qty_for_production", "reserved_qty_for_sub_contract"), 0.0),
    },
}
"""The document types and their fields with what they are when nobody says."""
_ROUTES = Map(
    [
        Rule("/api/resource/<doctype>", endpoint="list_documents", methods=["GET"]),
        Rule("/files/<name>", endpoint="give_file", methods=["GET"]),
        Rule("/private/files/<name>", endpoint="give_file", methods=["GET"]),
    ]
)
_STATUS = {"AuthenticationError": 401, "PermissionError": 403, "DoesNotExistError": 404, "ValidationError": 417, "DataError": 417}
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {"=": eq, ">": gt, ">=": ge, "<": lt, "<=": le}


class _Problem(HTTPException):
    """https://docs.frappe.io/framework/user/en/api/rest: the status follows from the exception's kind."""

    def __init__(self, kind: str, message: str) -> None:
        self.code = _STATUS[kind]
        told = json.dumps([json.dumps({"message": message, "title": "Message", "indicator": "red"})])
        body = {"exception": f"frappe.exceptions.{kind}: {message}", "exc_type": kind, "_server_messages": told}
        self.told = reply(body, self.code)
        super().__init__(message)


class ERPNextSimulator(Simulator):
    """`tables` holds documents by type and name; `hidden` are (type, field) that the user may not read. `clock` tells aware UTC,
    `zone` is the site's time zone, in which `modified` is kept."""

    name = "erpnext"
    key = ("api-key", "api-secret")

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), zone: str = "UTC", seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.tables: dict[str, dict[str, Json]] = {doctype: {} for doctype in FIELDS}
        self.files: dict[str, bytes] = {}
        self.hidden: set[tuple[str, str]] = set()
        self.deliverer: Deliverer | None = None
        self._clock = clock
        self._zone = ZoneInfo(zone)

    def put(self, doctype: str, name: str, **values: Any) -> None:
        """Insert a document, or change some of its fields; it is modified now."""
        with self.lock:
            now = f"{self._clock().astimezone(self._zone):%Y-%m-%d %H:%M:%S.%f}"
            new = {"name": name, "parent": None, "idx": 0, "creation": now, **FIELDS[doctype]}
            self.tables[doctype][name] = {**self.tables[doctype].get(name, new), **values, "modified": now}
        self._tell(doctype, name)

    def item(self, code: str, **values: Any) -> None:
        """Insert or change an item, whose name is its code."""
        self.put(
            "Item", code, **({} if code in self.tables["Item"] else {"item_code": code, "item_name": code, "stock_uom": "Nos"}) | values
        )

    def remove(self, doctype: str, name: str) -> None:
        """Delete a document; nothing but its absence tells."""
        with self.lock:
            del self.tables[doctype][name]
        self._tell(doctype, name)

    def deliver_to(self, target: str, secret: str, *, mischief: Mischief | None = None, **options: Any) -> Deliverer:
        """Tell `target` of every later change; the deliverer returned takes `options` and is started with its own `start`."""
        self.deliverer = Deliverer(target, sign, secret, mischief=mischief, user_agent="python-requests", **options)
        return self.deliverer

    def answer(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"token {':'.join(self.key)}":
            raise _Problem("AuthenticationError", "Invalid API key or secret")
        return route(_ROUTES, self, request)

    def refusal(self, error: HTTPException) -> Response:
        if isinstance(error, _Problem):
            return error.told
        return super().refusal(error)

    def give_file(self, request: Request, name: str) -> Response:
        if request.path not in self.files:
            raise _Problem("DoesNotExistError", f"File {name} not found")
        return Response(self.files[request.path], content_type="image/png")

    def list_documents(self, request: Request, doctype: str) -> Response:
        """20 documents without a limit; only by name, ascending: that is all that is asked for here."""
        if doctype not in self.tables:
            raise _Problem("DoesNotExistError", f"DocType {doctype} not found")
        if CHILDREN.get(doctype, "") != request.args.get("parent", ""):
            raise _Problem("PermissionError", f"No permission for {doctype}")
        if request.args.get("order_by") != "name asc":
            raise _Problem("ValidationError", "Unknown order")
        try:
            fields, filters = (json.loads(request.args.get(name, default)) for name, default in (("fields", '["name"]'), ("filters", "[]")))
        except ValueError as error:
            raise _Problem("ValidationError", "Expecting value") from error
        known = {"name", "parent", "idx", "creation", "modified", *FIELDS[doctype]}
        for name in [*fields, *(one[0] for one in filters)]:
            if name not in known:
                raise _Problem("DataError", f"Field not permitted in query: {name}")
        found = [row for row in self.tables[doctype].values() if all(_meets(row, *one) for one in filters)]
        found.sort(key=lambda row: _folded(row["name"]))
        start, size = request.args.get("limit_start", 0, type=int), request.args.get("limit_page_length", 20, type=int)
        shown = [name for name in fields if (doctype, name) not in self.hidden]
        return reply({"data": [{name: row[name] for name in shown} for row in found[start : start + size if size else None]]})

    def _tell(self, doctype: str, name: str) -> None:
        if self.deliverer:
            self.deliverer.send(f"{doctype}/{name}/{self._clock().timestamp()}", json.dumps({"doctype": doctype, "name": name}).encode())


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """No id and no time in it."""
    return {"X-Frappe-Webhook-Signature": base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()}


def _meets(row: Json, field: str, operator: str, wanted: Any) -> bool:
    """Text is compared as the database's collation does it: whatever its case; nothing is the empty text."""
    held = row[field]
    if operator == "is":
        return bool(held) == bool(wanted == "set")
    if operator == "in":
        return _folded(held) in [_folded(one) for one in wanted]
    if operator not in _COMPARED:
        raise _Problem("ValidationError", f"Operator must be one of {', '.join(_COMPARED)}")
    return bool(_COMPARED[operator](_folded(held), _folded(wanted)))


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value if value is not None else ""
