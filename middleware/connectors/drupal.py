"""Drupal Commerce: the module's signed order events in, the ERP's number and status back over JSON:API as far as core allows.

https://www.drupal.org/docs/core-modules-and-themes/core-modules/jsonapi-module
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from marshmallow import ValidationError

from mappings import drupal as words
from mappings.canonical import Message
from mappings.fields import field_names
from middleware.connectors._http import Http, Reply
from middleware.errors import Rejected, Transient, Unreadable
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.wire import standard_webhooks

_MEDIA = "application/vnd.api+json"


class _Order(msgspec.Struct):
    uuid: str = ""


class _Data(msgspec.Struct):
    order: _Order


class _Event(msgspec.Struct):
    type: str
    data: _Data
    timestamp: str = ""


_DECODE = msgspec.json.Decoder(_Event).decode


class Connector:
    """One Drupal Commerce site."""

    SYSTEM = "drupal"
    LANE = "orders"
    PROOF = "simulator (138 recorded answers of a real site)"
    API_VERSION = "JSON:API 1.0, Commerce 3"
    CREDENTIALS: Mapping[str, str] = {"password": "of the service account (basic auth)"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "username": (str, "", "the service account"),
        "order_type": (str, "default", "the order type (bundle) of the site"),
        "erp_number_field": (str, "field_waybill_erp_number", "text field of the order for the ERP's number; empty: none"),
        "erp_status_field": (str, "field_waybill_erp_status", "text field of the order for the ERP's status; empty: none"),
        "state_on": (dict, {}, "order state to set when the ERP reports a status, for example {shipped = 'completed'}"),
        "states": (dict, {}, "a site's own workflow states → draft, placed, completed, cancelled"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` sign the module's events (`whsec_…`); `base_url` is the site."""
        self.connection = connection
        self.http = http
        self._keys = [standard_webhooks.key_of(secret) for secret in connection.secrets]
        self._option = {name: connection.options.get(name, default) for name, (_, default, _) in self.OPTIONS.items()}

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify the Standard Webhooks signature over the raw body; one delivery, named by `webhook-id`."""
        delivery_id, secret = standard_webhooks.verify(request, self._keys)
        try:
            event = _DECODE(request.body)
        except msgspec.MsgspecError:
            return (Delivery(delivery_id, "unreadable", hashlib.sha256(request.body).hexdigest(), request.body, secret=secret),)
        return (
            Delivery(delivery_id, event.type, event.data.order.uuid or delivery_id, request.body, _instant(event.timestamp), secret=secret),
        )

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: an order event to the order; raises `Unreadable`, naming fields and never values."""
        try:
            return words.translate(msgspec.json.decode(payload), self._option["states"])
        except msgspec.MsgspecError:
            raise Unreadable("the body is not JSON") from None
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None

    def write_order_status(self, effect: Effect) -> Receipt:
        """PATCH the ERP's number and status on the order, and only what differs; repeating changes nothing."""
        uuid = str(effect.payload["order_id"])
        path = f"/jsonapi/commerce_order/{self._option['order_type']}/{uuid}"
        current = self._ask("GET", path).json()["data"]["attributes"]
        wanted = self._wanted(effect.payload)
        changes = {name: value for name, value in wanted.items() if current.get(name) != value}
        if not changes:
            return Receipt(uuid, state="unchanged")
        body = {"data": {"type": f"commerce_order--{self._option['order_type']}", "id": uuid, "attributes": changes}}
        self._ask("PATCH", path, body)
        return Receipt(uuid, state=", ".join(sorted(changes)))

    def _wanted(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        state = self._option["state_on"].get(payload["status"])
        wanted = {
            self._option["erp_number_field"]: payload["erp_number"],
            self._option["erp_status_field"]: payload["status"],
            "state" if state else "": state,
        }
        return {name: value for name, value in wanted.items() if name}

    def _ask(self, method: str, path: str, body: Any = None) -> Reply:
        headers = {"Accept": _MEDIA, **({"Content-Type": _MEDIA} if body else {})}
        auth = (self._option["username"], self.connection.credentials["password"].reveal()) if self._option["username"] else None
        try:
            return self.http.request(method, path, json=body, headers=headers, auth=auth, safe=True, explain=_explain)
        except Rejected as error:
            if error.http_status == 422 and error.field == "/data":  # "modified by another user": the optimistic lock
                raise Transient(error.reason, status=422) from error
            raise


def _explain(reply: Reply) -> tuple[str, str]:
    errors = reply.json().get("errors") or [{}]
    return str(errors[0].get("title", "")), str((errors[0].get("source") or {}).get("pointer", ""))


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
