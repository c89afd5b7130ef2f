"""GoCardless: signed batches of events in; cancellations, refunds, look-ups and back-fill out.

https://developer.gocardless.com/api-reference#appendix-webhooks
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from mappings import gocardless as words
from mappings.canonical import Message, PaymentState
from mappings.payment_fields import order_refs
from middleware.connectors._http import Http, Reply
from middleware.errors import Rejected, UnknownOutcome
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.wire import gocardless as wire
from middleware.wire.payment_calls import amount_of, minor_amount
from middleware.wire.webhooks import fingerprint, said_at, sample, signer, translated, usable


class Connector:
    """One GoCardless account's webhooks and payments."""

    SYSTEM = "gocardless"
    LANE = "payments"
    PROOF = "SDK: its signatures, its fixtures, the requests that it would send"
    API_VERSION = "2015-07-06"
    REFUSAL_STATUS = 498
    NATIVE_IDEMPOTENCY = frozenset({"refund_payment"})
    CREDENTIALS: Mapping[str, str] = {"access_token": "access token; events name no amounts, so that payments are asked for with it"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "metadata_keys": (list, ["order_uuid", "order_id"], "metadata of the payment that holds the shop's order id"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are the secrets of the webhook endpoint."""
        self.connection = connection
        self.http = http
        self._keys = usable(connection.secrets)
        self._metadata_keys = tuple(connection.options.get("metadata_keys", self.OPTIONS["metadata_keys"][1]))
        token = connection.credentials["access_token"].reveal() if "access_token" in connection.credentials else ""
        if token.startswith(("live_", "sandbox_")) and token.startswith("live_") != connection.live:
            raise ValueError("options: the access_token is of GoCardless' other environment than the connection's `live` says")

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify `Webhook-Signature` over the raw body and split the batch."""
        secret = signer(self._keys, request.body, [request.headers.get("webhook-signature", "")])
        return wire.deliveries(request.body, secret)

    def sample_request(self, at: datetime) -> Inbound:
        """An event of a kind that means nothing to us."""
        event = {"id": "EVSELFTEST", "created_at": at, "resource_type": "self_test", "action": "created", "links": {}}
        return sample("webhook-signature", "", {"events": [event]}, self._keys[0], at)

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one event or answer to what it says; raises `Unreadable`, naming fields and never values."""
        return translated(words.translate, payload, self._metadata_keys)

    def fetch_payment(self, effect: Effect) -> Delivery:
        """GET a payment with its refunds and events; of a refund its payment; or a payout with its items, as the id says."""
        name = wire.id_of(effect.payload["subject"])
        if name.startswith("PO"):
            return self._fetch_payout(name)
        if name.startswith("RF"):
            links = wire.enclosed(self._call("GET", f"/refunds/{name}"), "refunds").get("links")
            name = wire.id_of(links.get("payment") if isinstance(links, dict) else None)
        reply = self._call("GET", f"/payments/{name}")
        payment = wire.enclosed(reply, "payments")
        about = {"payment": name}
        whole = {"payment": payment, "refunds": self._listed("refunds", about), "events": self._listed("events", about)}
        return self._fetched("payment", name, whole, said_at(reply))

    def refund_payment(self, effect: Effect) -> Receipt:
        """POST a refund, which must name what all refunds then come to; the same key twice is answered with the first one's.

        https://developer.gocardless.com/api-reference#refunds-create-a-refund
        """
        name, money = wire.id_of(effect.payload["payment"]), amount_of(effect)
        earlier = self.find_operation(effect)
        if earlier:
            return earlier
        payment = wire.enclosed(self._call("GET", f"/payments/{name}"), "payments")
        so_far, total = payment.get("amount_refunded") or 0, payment.get("amount")
        if not isinstance(so_far, int) or not isinstance(total, int):
            raise Rejected("the payment names no amounts", field="amount")
        amount = minor_amount(money, {}) if money else total - so_far
        metadata = {"waybill": effect.key, "reference": str(effect.payload.get("reference") or "")[:500]}
        asked = {"amount": amount, "total_amount_confirmation": so_far + amount, "links": {"payment": name}, "metadata": metadata}
        reply = self._call("POST", "/refunds", key=effect.key, json={"refunds": asked}, accept=frozenset({200, 201, 409}))
        if reply.status == 409:
            return self._repeated(reply)
        return _receipt(reply)

    def void_payment(self, effect: Effect) -> Receipt:
        """Cancel what was not submitted to the banks yet; nothing where it is cancelled already.

        https://developer.gocardless.com/api-reference#payments-cancel-a-payment
        """
        name = wire.id_of(effect.payload["payment"])
        status = str(wire.enclosed(self._call("GET", f"/payments/{name}"), "payments").get("status"))
        if words.STATUSES.get(status) in (PaymentState.VOIDED, PaymentState.FAILED):
            return Receipt(name, state=status)
        payment = wire.enclosed(self._call("POST", f"/payments/{name}/actions/cancel", key=effect.key, json={}, safe=True), "payments")
        return Receipt(name, state=str(payment.get("status")))

    def find_operation(self, effect: Effect) -> Receipt | None:
        """The refund that carries our key in its metadata."""
        for made in self._listed("refunds", {"payment": wire.id_of(effect.payload["payment"])}):
            if isinstance(made, dict) and order_refs(made.get("metadata"), ("waybill",)) == (effect.key,):
                return Receipt(wire.id_of(made.get("id")), state=str(made.get("status") or ""))
        return None

    def payment_events(self, since: datetime | None) -> Iterator[tuple[Delivery, ...]]:
        """The events that webhooks brought, oldest first. https://developer.gocardless.com/api-reference#events-list-events lists the
        newest first, and those of 18 months at most."""
        begin = {"created_at[gte]": since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")} if since else {}
        found = list(wire.pages(lambda query: self._call("GET", "/events", params=query), "events", begin))
        for page in reversed(found):
            used = [one for one in reversed(page) if isinstance(one, dict) and one.get("resource_type") in words.ASKED]
            if used:
                yield wire.deliveries(msgspec.json.encode({"events": used}), 0)

    def _fetch_payout(self, name: str) -> Delivery:
        reply = self._call("GET", f"/payouts/{name}")
        whole = {"payout": wire.enclosed(reply, "payouts"), "items": self._listed("payout_items", {"payout": name})}
        return self._fetched("payout", name, whole, said_at(reply))

    def _fetched(self, kind: str, name: str, whole: dict[str, Any], at: datetime) -> Delivery:
        event = {"resource_type": f"fetched_{kind}", "created_at": at, **whole}
        return Delivery(f"{name}#{fingerprint(whole)[:32]}", f"{kind}s.fetched", name, msgspec.json.encode(event), at)

    def _listed(self, kind: str, query: Mapping[str, str]) -> list[Any]:
        found = wire.pages(lambda page: self._call("GET", f"/{kind}", params=page), kind, query)
        return [one for page in found for one in page]

    def _repeated(self, reply: Reply) -> Receipt:
        made = wire.made_before(reply)
        if made is None:
            reason, field = wire.explain(reply)
            raise Rejected(f"HTTP 409: {reason}", field=field, status=409)
        return made

    def _call(self, method: str, path: str, *, key: str = "", **rest: Any) -> Reply:
        if "access_token" not in self.connection.credentials:
            raise Rejected("the connection has no credential access_token", field="credentials.access_token")
        token = self.connection.credentials["access_token"].reveal()
        headers = {"Authorization": f"Bearer {token}", "GoCardless-Version": self.API_VERSION, **({"Idempotency-Key": key} if key else {})}
        return self.http.request(method, path, headers=headers, explain=wire.explain, **rest)


def _receipt(reply: Reply) -> Receipt:
    try:
        made = wire.enclosed(reply, "refunds")
    except Rejected as error:
        raise UnknownOutcome(error.reason, status=reply.status) from None
    if not isinstance(made.get("id"), str):
        raise UnknownOutcome("the answer names no id", status=reply.status)
    return Receipt(made["id"], state=str(made.get("status") or ""))
