"""Klarna's wire: signatures in either encoding by the key that the request names, what a push is about, refusals.

https://docs.klarna.com/api/kn/klarna-notifications-api
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import json
import re
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from middleware.errors import CallError, Rejected, SignatureRefused, Unauthorized
from middleware.ports import Inbound
from middleware.secret import Secret
from middleware.wire.payment_calls import code
from middleware.wire.webhooks import Answer

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
NamedKey = tuple[str, bytes]


def named_keys(secrets: Sequence[Secret]) -> list[NamedKey]:
    """(signing key id, key) of each secret: `krn:…=key`, or a key alone, which is tried whatever the request names."""
    found = []
    for secret in secrets:
        text = secret.reveal()
        name, _, key = text.partition("=") if text.startswith("krn:") else ("", "", text)
        if key.strip():
            found.append((name, key.encode()))
    return found


def verify(request: Inbound, keys: Sequence[NamedKey]) -> int:
    """Which key signed the raw body; raises `SignatureRefused`. The documents do not say whether the signature is hex or base64: it is
    whatever decodes to the 32 bytes of the HMAC."""
    given, named = request.headers.get("klarna-signature", ""), request.headers.get("klarna-signing-key-id", "")
    signatures = _decoded(given)
    for index, (name, key) in enumerate(keys):
        expected = hmac.digest(key, request.body, "sha256")
        matches = [hmac.compare_digest(expected, signature) for signature in signatures]
        if any(matches) and name in ("", named):
            return index
    raise SignatureRefused("no signature matches" if keys else "the connection has no secret")


def _decoded(text: str) -> list[bytes]:
    found = []
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        found.append(bytes.fromhex(text))
    with contextlib.suppress(binascii.Error, ValueError):
        found.append(base64.b64decode(text.encode("ascii"), validate=True))
    return [signature for signature in found if len(signature) == 32]


def pushed_order(request: Inbound) -> str:
    """The order that an unsigned push names, in its address or (a fraud notification) in its body; "" when it names none."""
    try:
        names = parse_qs(urlsplit(request.url).query, max_num_fields=20).get("klarna_order_id", [])
        told = json.loads(request.body) if request.body and len(request.body) < 2_000 else None
    except (ValueError, RecursionError):
        return ""
    if isinstance(told, dict) and isinstance(told.get("order_id"), str):
        names = [*names, told["order_id"]]
    return names[0] if len(set(names)) == 1 and _ID.fullmatch(names[0]) else ""


def id_of(value: object) -> str:
    """An id for a path; raises `Rejected` for what could be another path."""
    text = str(value)
    if not _ID.fullmatch(text):
        raise Rejected("what was asked for is no id of an order", field="payment")
    return text


def explain(reply: Answer) -> tuple[str, str]:
    """The code; messages may repeat values. https://docs.klarna.com/api/ordermanagement (errors)"""
    try:
        said = reply.json()
    except CallError:
        return "", ""
    return code(said.get("error_code") if isinstance(said, dict) else None), ""


def forbidden(reply: Answer) -> Rejected | Unauthorized:
    """What a 403 means: with a code the order does not allow it now, and only without one the credentials are at fault."""
    reason, _ = explain(reply)
    return Rejected(f"HTTP 403: {reason}", status=403) if reason else Unauthorized("HTTP 403: the credentials are not accepted", status=403)
