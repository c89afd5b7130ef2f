"""ERPNext over Frappe's REST interface: items, prices and stock as feeds, its webhooks as hints.

https://docs.frappe.io/framework/user/en/api/rest · https://docs.frappe.io/framework/user/en/guides/integration/webhooks
"""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from marshmallow import ValidationError

from mappings import erpnext as words
from mappings.erpnext_prices import prices
from mappings.fields import field_names
from middleware.connectors._http import Http, Reply
from middleware.errors import CallError, Rejected, Unauthorized, Unreadable
from middleware.ports import Blob, Delivery, Inbound, Page, Record
from middleware.settings import Connection
from middleware.wire.erpnext import SIGNATURE, Feeds, signature, verify


class Connector:
    """Plays list_records, decode_record, fetch_record, fetch_media, read. `connection.time_zone` is that of the site."""

    SYSTEM = "erpnext"
    LANE = "catalog"
    PROOF = "simulator (facts of the published source)"
    API_VERSION = "Frappe REST v1 (ERPNext 14, 15)"
    CREDENTIALS: Mapping[str, str] = {"api_secret": "API secret of the user that Waybill acts as"}
    CREDENTIAL_OF: Mapping[str, str] = {"api_key": "api_secret"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "api_key": (str, "", "API key of the user that Waybill acts as"),
        "page": (int, 100, "records of a page, 1 to 500"),
        "price_lists": (list, [], "price lists that are read; empty: every one that is enabled and for selling"),
        "customer_prices": (bool, False, "read the prices of single customers too; the customer then is the `group`"),
        "pricing_rules": (bool, False, "read pricing rules with a fixed rate too: by quantity and customer group"),
        "warehouses": (list, [], "names of the warehouses whose stock counts; empty: all"),
        "available": (str, "reserved", "stock that can be sold: on hand less what is `reserved`, or what is `projected`"),
        "attributes": (list, [], "further fields of Item that are read, as custom_material"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are those of the webhooks. Raises ValueError for an unknown time zone or an impossible option."""
        self.connection = connection
        self.http = http
        self._option: dict[str, Any] = connection.chosen(self.OPTIONS)
        if not 1 <= self._option["page"] <= 500:
            raise ValueError("options.page must be 1 to 500")
        if self._option["available"] not in ("reserved", "projected"):
            raise ValueError("options.available must be reserved or projected")
        try:
            zone = ZoneInfo(connection.time_zone)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"time_zone {connection.time_zone!r} is not known") from error
        self._secrets = [secret.reveal().encode() for secret in connection.secrets if secret.reveal().strip()]
        shared = ("page", "price_lists", "warehouses", "attributes", "customer_prices", "pricing_rules")
        self._feeds = Feeds(self._rows, zone, **{name: self._option[name] for name in shared})

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        """A page of `words.FEEDS`, by name: items that are sold, active or not, with their words, prices or bins; item groups and
        price lists. `raw` is canonical JSON of what was read."""
        return self._feeds.list_records(kind, since, cursor)

    def fetch_record(self, kind: str, source_id: str) -> Record | None:
        """The record as it is now; None when no document that is sold has this name."""
        return self._feeds.fetch_record(kind, source_id)

    def decode_record(self, kind: str, raw: bytes) -> dict[str, Any]:
        """Raises `Unreadable` with the names of the fields at fault."""
        try:
            record = json.loads(raw, parse_float=Decimal)
            match kind:
                case "products":
                    return words.product(record, self._option["attributes"])
                case "prices":
                    return prices(record)
                case "stock":
                    return words.stock(record, self._option["available"])
            return words.category(record) if kind == "categories" else words.price_list(record)
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None
        except (ValueError, RecursionError):
            raise Unreadable("the record is not JSON") from None

    def fetch_media(self, reference: str) -> Blob:
        """A file of the site, as `/files/red.jpg`; raises `Rejected` for an address elsewhere."""
        path = unquote(reference)
        folder, _, name = path.rpartition("/")
        if folder not in ("/files", "/private/files") or name in ("", ".", "..") or "\\" in name:
            raise Rejected("the file is none of this site's", field="image")
        reply = self.http.request("GET", quote(path), headers=self._headers(), explain=explain)
        return Blob(name, reply.body, reply.headers.get("content-type", "").partition(";")[0] or mimetypes.guess_type(name)[0] or "")

    def sample_request(self, at: datetime) -> Inbound:
        """A webhook about a document that no feed reads; nothing in it tells the time."""
        body = b'{"doctype": "Self Test", "name": "self-test"}'
        return Inbound({SIGNATURE: signature(self._secrets[0], body)}, body, "", at)

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify the signature over the raw body; what a webhook says is a hint, its fields are the merchant's choice."""
        secret = verify(request, self._secrets)
        try:
            topic, subject = words.told(json.loads(request.body))
        except (ValueError, RecursionError):
            topic, subject = words.told(None)
        return (Delivery("", f"erpnext.{topic}", subject, request.body, hint=True, secret=secret),)

    def _rows(self, doctype: str, fields: Sequence[str], filters: list[Any], *, size: int, parent: str = "") -> list[dict[str, Any]]:
        """Documents by name. A child table needs its `parent`, for Frappe to know who may read it."""
        params = {"fields": _text(list(fields)), "filters": _text(filters), "order_by": "name asc", "limit_page_length": str(size)}
        params |= {"parent": parent} if parent else {}
        address = f"/api/resource/{quote(doctype)}"
        reply = self.http.request("GET", address, params=params, headers=self._headers(), explain=explain)
        return _checked(reply.json(), doctype, fields)

    def _headers(self) -> dict[str, str]:
        secret = self.connection.credentials.get("api_secret")
        if not self._option["api_key"] or secret is None:
            raise Unauthorized("the connection has no api_key or no api_secret", field="api_key")
        return {"Authorization": f"token {self._option['api_key']}:{secret.reveal()}"}


def explain(reply: Reply) -> tuple[str, str]:
    """The kind of Frappe's exception: its messages hold values."""
    try:
        kind = str(reply.json()["exc_type"])
    except (KeyError, TypeError, CallError):
        return "", ""
    return (kind, "") if re.fullmatch(r"[A-Za-z]{1,60}", kind) else ("", "")


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _checked(answer: Any, doctype: str, fields: Sequence[str]) -> list[dict[str, Any]]:
    """Frappe leaves out fields that its user may not read."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("name"), str) for row in rows):
        raise Rejected("the answer is no list of documents", field=doctype)
    missing = next((name for name in fields if any(name not in row for row in rows)), "")
    if missing:
        raise Rejected(f"ERPNext does not show this field to the user: {missing}", field=f"{doctype}.{missing}")
    return rows
