"""Drupal Commerce: the shop's signed events in; ERP numbers, states, parcels and payments back.

Where the site has the module commerce_waybill, its routes are used; else plain JSON:API as far as core allows.
https://www.drupal.org/docs/core-modules-and-themes/core-modules/jsonapi-module
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from marshmallow import ValidationError
from requests.auth import AuthBase, HTTPBasicAuth

from mappings import drupal as words
from mappings.canonical import Message, Shipment, ShopOrder
from mappings.fields import field_names
from middleware.connectors._http import SUCCESS, Http, Reply
from middleware.errors import CallError, OnHold, Rejected, Transient, Unauthorized, Unreadable
from middleware.ports import Delivery, Effect, Inbound, Receipt, Write, Written
from middleware.settings import Connection
from middleware.wire import drupal_reading, standard_webhooks
from middleware.wire.drupal_catalog import Catalog
from middleware.wire.drupal_resources import Resources
from middleware.wire.message_signatures import MessageSignature
from middleware.wire.oauth2 import ClientCredentials

_MEDIA = "application/vnd.api+json"
_HELD_FOR = 300.0
"""Seconds after which a held order is tried again."""
_PROBE_EVERY = 600.0
"""Seconds for which the site is believed to have the modules that it said it has."""


class _Named(msgspec.Struct):
    uuid: str = ""


class _Seen(msgspec.Struct):
    order: str = ""


class _Data(msgspec.Struct):
    order: _Named = msgspec.field(default_factory=_Named)
    signal: _Seen = msgspec.field(default_factory=_Seen)


class _Event(msgspec.Struct):
    type: str
    data: _Data
    timestamp: str = ""


_REFUSED_FILE = "Unprocessable Entity: file validation failed"
_DECODE = msgspec.json.Decoder(_Event).decode


class Connector:
    """One Drupal Commerce site."""

    SYSTEM = "drupal"
    LANE = "orders"
    SIGNS_TIME = True
    PROOF = "real system (Drupal 10.6, Commerce 3.3), simulator (138 recorded answers)"
    API_VERSION = "commerce_waybill 1.0, or JSON:API 1.0; Commerce 3"
    CREDENTIALS: Mapping[str, str] = {
        "signing_key": "whsec_… that signs requests to the site (with the option key_id)",
        "client_secret": "of the OAuth 2 client (with the option client_id)",
        "password": "of the service account (with the option username: basic auth)",
    }
    CREDENTIAL_OF: Mapping[str, str] = {"key_id": "signing_key", "client_id": "client_secret", "username": "password"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "key_id": (str, "", "id of the key in the module's settings: requests are signed, the way that costs least"),
        "site_tag": (str, "waybill:shop", "the site tag in the module's settings"),
        "client_id": (str, "", "OAuth 2 client of the site (simple_oauth)"),
        "username": (str, "", "the service account (basic auth)"),
        "module": (str, "auto", "auto: use the module's routes where the site has them; never: plain JSON:API only"),
        "gateways": (dict, {}, "payment connection → payment gateway of the site, for example {stripe = 'card'}"),
        "order_type": (
            str,
            "default",
            "the order type (bundle) of the site: of its orders where it lacks the module, and of new promotions",
        ),
        "erp_number_field": (str, "field_waybill_erp_number", "text field for the ERP's number; without the module; empty: none"),
        "erp_status_field": (str, "field_waybill_erp_status", "text field for the ERP's status; without the module; empty: none"),
        "product_type": (str, "default", "product type (bundle) of products that feeds make"),
        "variation_type": (str, "default", "variation type (bundle) of variations that feeds make"),
        "store_type": (str, "online", "store type (bundle) of the store that new products are sold in"),
        "store": (str, "", "uuid of that store; empty: the first one"),
        "state_on": (dict, {}, "order state to reach when the ERP reports a status, for example {shipped = 'completed'}"),
        "states": (dict, {}, "a site's own workflow states → draft, placed, completed, cancelled"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` sign the module's events (`whsec_…`); `base_url` is the site."""
        self.connection = connection
        self.http = http
        self._keys = [standard_webhooks.key_of(secret) for secret in connection.secrets]
        self._option = connection.chosen(self.OPTIONS)
        self._auth = self._way_in()
        option = self._option
        bundles = (option["product_type"], option["variation_type"], option["store_type"], option["store"], option["order_type"])
        self._resources = Resources(connection.name, self._ask, *bundles, has_links=lambda: "operations" in self._abilities())
        self._catalog = Catalog(self._resources)
        self._capabilities: frozenset[str] = frozenset()
        self._probed = 0.0

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify the Standard Webhooks signature over the raw body; one delivery, named by `webhook-id`."""
        delivery_id, secret = standard_webhooks.verify(request, self._keys)
        try:
            event = _DECODE(request.body)
        except (ValueError, RecursionError):
            return (Delivery(delivery_id, "unreadable", hashlib.sha256(request.body).hexdigest(), request.body, secret=secret),)
        subject = event.data.order.uuid or event.data.signal.order or delivery_id
        return (Delivery(delivery_id, event.type, subject, request.body, _instant(event.timestamp), secret=secret),)

    def sample_request(self, at: datetime) -> Inbound:
        """A message of a type that means nothing to us."""
        body = msgspec.json.encode({"type": "self.test", "timestamp": at.isoformat(), "data": {}})
        return Inbound(standard_webhooks.signed("msg_self_test", at, body, self._keys[0]), body, "", at)

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: an event to the order, signal or ping that it holds; raises `Unreadable`, naming fields and never values."""
        try:
            return words.translate(msgspec.json.decode(payload), self._option["states"])
        except (ValueError, RecursionError):
            raise Unreadable("the body is not JSON") from None
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None

    def write_order_status(self, effect: Effect) -> Receipt:
        """Write the ERP's number and status on the order, and reach the state that `state_on` names; repeating changes nothing."""
        if "orders" in self._abilities():
            return self._write_references(effect)
        return self._patch_order(effect)

    def add_shipments(self, effect: Effect) -> Receipt:
        """Show parcels and tracking codes on the order; a site without the module's orders routes has no place for them."""
        if "orders" not in self._abilities():
            return Receipt(str(effect.payload["order_id"]), state="not shown: the shop lacks commerce_waybill_orders")
        shipments = msgspec.convert(effect.payload["shipments"], list[Shipment])
        return self._post_to_order(effect, "shipments", {"shipments": [words.shipment_body(shipment) for shipment in shipments]})

    def move_order(self, effect: Effect) -> Receipt:
        """Reach a state, set or release a hold. JSON:API alone knows states, but no holds."""
        payload = effect.payload
        if "orders" not in self._abilities():
            if payload["hold"] or payload["release"]:
                raise Rejected("the shop lacks the module commerce_waybill_orders, and JSON:API knows no holds")
            return self._patch_state(str(payload["order_id"]), str(payload["to"]))
        done = []
        if payload["hold"] or payload["release"]:
            body = {"hold": bool(payload["hold"]), "reason": payload["hold"]} if payload["hold"] else {"hold": False}
            done.append(self._post_to_order(effect, "hold", body).state)
        if payload["to"]:
            done.append(self._post_to_order(effect, "transition", {"to": payload["to"]}).state)
        return Receipt(str(payload["order_id"]), state=", ".join(done))

    def write_payment(self, effect: Effect) -> Receipt:
        """Set the state and amounts of one payment. Needs the module's orders routes: JSON:API refuses every PATCH of a payment."""
        self._need("orders")
        return self._post_to_order(effect, "payments", words.payment_body(effect.payload, self._option["gateways"]))

    def write_items(self, writes: Sequence[Write]) -> list[Written]:
        """Everything that feeds bring: one batch through the module's operations, else a request each."""
        if "operations" in self._abilities():
            return self._catalog.write_batch(writes)
        return self._catalog.write_one_by_one(writes)

    def list_orders(self, since: datetime | None) -> Iterator[tuple[ShopOrder, ...]]:
        """Placed orders over JSON:API, by their internal ids; what has no total yet is left out."""
        name = f"commerce_order--{self._option['order_type']}"
        query = [("sort", "drupal_internal__order_id"), ("filter[placed][condition][path]", "placed")]
        begin = str(int(since.timestamp()) if since else 0)
        query += [("filter[placed][condition][operator]", ">"), ("filter[placed][condition][value]", begin)]
        path = f"/jsonapi/{name.replace('--', '/')}?{urlencode([*query, ('page[limit]', '50')])}"
        while path:
            document = self._ask("GET", path).json()
            yield tuple(filter(None, (words.listed_order(one, self._option["states"]) for one in document["data"])))
            following = urlsplit(str(((document.get("links") or {}).get("next") or {}).get("href", "")))
            # Links name the host that Drupal sees; the query is all that is new in them.
            path = f"/jsonapi/{name.replace('--', '/')}?{following.query}" if following.query else ""

    def read_items(self, writes: Sequence[Write]) -> list[Mapping[str, Any] | None]:
        """How things are in the shop now."""
        return drupal_reading.read_items(self._resources, writes)

    def missing_fields(self, wanted: Mapping[tuple[str, str], Sequence[str]]) -> list[str]:
        """Fields that tables name and the shop lacks, as far as it tells."""
        return drupal_reading.missing_fields(self._resources, wanted)

    def answer_ping(self, effect: Effect) -> Receipt:
        """Tell the site that its message arrived here and that ours arrives there."""
        ping = str(effect.payload["ping"])
        self._ask("POST", "/waybill/v1/pong", {"ping": ping}, media="application/json")
        return Receipt(ping, state="answered")

    # the module's routes

    def _write_references(self, effect: Effect) -> Receipt:
        payload = effect.payload
        body = {"erp_number": payload["erp_number"], "erp_status": payload["status"], "run": effect.key[:128]}
        receipt = self._post_to_order(effect, "references", body)
        state = self._option["state_on"].get(payload["status"])
        if not state:
            return receipt
        moved = self._post_to_order(effect, "transition", {"to": state})
        return Receipt(receipt.remote_id, state=f"{receipt.state}, {state} {moved.state}")

    def _post_to_order(self, effect: Effect, what: str, body: Mapping[str, Any]) -> Receipt:
        uuid = str(effect.payload["order_id"])
        headers = {"Idempotency-Key": f"{effect.key}:{what}"}
        path = f"/waybill/v1/orders/{uuid}/{what}"
        reply = self._ask("POST", path, body, media="application/json", headers=headers, also=frozenset({409}))
        if reply.status == 409:
            raise _conflict(reply)
        return Receipt(uuid, state=f"{what} {reply.json()['status']}")

    def _need(self, ability: str) -> None:
        if ability not in self._abilities():
            raise Rejected(f"the shop lacks the module commerce_waybill_{ability}, and JSON:API cannot do this")

    def _abilities(self) -> frozenset[str]:
        """What the site's module says that it can do; nothing where there is none."""
        if self._option["module"] == "never":
            return frozenset()
        if not self._probed or time.monotonic() - self._probed > _PROBE_EVERY:
            reply = self._ask("GET", "/waybill/v1/status", media="application/json", also=frozenset({404}))
            self._capabilities = frozenset(reply.json()["capabilities"]) if reply.status in SUCCESS else frozenset()
            self._probed = time.monotonic()
        return self._capabilities

    # plain JSON:API

    def _patch_order(self, effect: Effect) -> Receipt:
        """PATCH only what differs."""
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

    def _patch_state(self, uuid: str, state: str) -> Receipt:
        path = f"/jsonapi/commerce_order/{self._option['order_type']}/{uuid}"
        if self._ask("GET", path).json()["data"]["attributes"].get("state") == state:
            return Receipt(uuid, state="unchanged")
        body = {"data": {"type": f"commerce_order--{self._option['order_type']}", "id": uuid, "attributes": {"state": state}}}
        self._ask("PATCH", path, body)
        return Receipt(uuid, state=f"state {state}")

    def _wanted(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        state = self._option["state_on"].get(payload["status"])
        wanted = {
            self._option["erp_number_field"]: payload["erp_number"],
            self._option["erp_status_field"]: payload["status"],
            "state" if state else "": state,
        }
        return {name: value for name, value in wanted.items() if name}

    # the way in

    def _way_in(self) -> AuthBase | None:
        credentials = self.connection.credentials
        if self._option["key_id"]:
            return MessageSignature(self._option["key_id"], credentials["signing_key"], self._option["site_tag"])
        if self._option["client_id"]:
            return ClientCredentials(self._fetch_token)
        if self._option["username"]:
            return HTTPBasicAuth(self._option["username"], credentials["password"].reveal())
        return None

    def _fetch_token(self) -> tuple[str, float]:
        """A token of simple_oauth: https://www.drupal.org/docs/contributed-modules/simple-oauth"""
        secret = self.connection.credentials["client_secret"].reveal()
        form = {"grant_type": "client_credentials", "client_id": self._option["client_id"], "client_secret": secret}
        try:
            token = self.http.request("POST", "/oauth/token", data=form, safe=True).json()
        except Rejected as error:  # RFC 6749 §5.2: a wrong client may be told 400
            raise Unauthorized(f"the site gives no token: {error.reason}", status=error.http_status) from error
        return str(token["access_token"]), float(token.get("expires_in", 300))

    def _ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Sequence[tuple[str, str]] | None = None,
        media: str = _MEDIA,
        headers: Mapping[str, str] | None = None,
        also: frozenset[int] = frozenset(),
    ) -> Reply:
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        sent = {"Accept": media, **({"Content-Type": media} if body is not None else {}), **(headers or {})}
        try:
            return self.http.request(
                method, path, params=params, headers=sent, auth=self._auth, safe=True, accept=SUCCESS | also, explain=_explain, **content
            )
        except Unauthorized:
            self._probed = 0.0
            if isinstance(self._auth, ClientCredentials):
                self._auth.forget()
            raise
        except Rejected as error:
            if error.http_status == 422 and error.field == "/data":  # "modified by another user": the optimistic lock
                raise Transient(error.reason, status=422) from error
            raise


def _explain(reply: Reply) -> tuple[str, str]:
    """The title of the first JSON:API error, with its detail where that holds no values (the module's, and what a file must be), and
    the pointer."""
    error = (reply.json().get("errors") or [{}])[0]
    detail = str(error.get("detail", ""))
    if not error.get("code") and not detail.startswith(_REFUSED_FILE):
        detail = ""
    text = " ".join(filter(None, (str(error.get("title", "")), detail)))
    return " ".join(text.split())[:300], str((error.get("source") or {}).get("pointer", ""))


def _conflict(reply: Reply) -> CallError:
    """What a 409 of the module means: locked just now, held until somebody releases it, or not allowed from here."""
    document = reply.json()
    reason, field = _explain(reply)
    if (document.get("meta") or {}).get("retryable"):
        return Transient(f"HTTP 409: {reason}", status=409)
    if document["errors"][0].get("code") == "held":
        return OnHold(f"HTTP 409: {reason}", retry_after=_HELD_FOR, status=409)
    return Rejected(f"HTTP 409: {reason}", field=field, status=409)


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
