"""Adyen's two signatures: inside each item of a standard webhook, and in a header over the bytes of a platform webhook.

https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from middleware.errors import SignatureRefused
from middleware.secret import Secret
from middleware.wire.payment_calls import BROKEN

_SIGNED = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")


@dataclass(frozen=True, slots=True)
class Item:
    """One verified item: its bytes, what they hold, and which key had signed it."""

    raw: bytes
    said: Mapping[str, Any]
    secret: int


class _Wrapped(msgspec.Struct):
    NotificationRequestItem: msgspec.Raw


class _Notice(msgspec.Struct):
    notificationItems: list[_Wrapped]
    live: str | bool = ""


_DECODE = msgspec.json.Decoder(_Notice).decode


def keys_of(secrets: Sequence[Secret]) -> list[bytes]:
    """HMAC keys are written in hex; what is none keeps its place as b"", which signs nothing."""
    return [_unhexed(secret.reveal().strip()) for secret in secrets]


def _unhexed(text: str) -> bytes:
    try:
        return binascii.a2b_hex(text)
    except ValueError:
        return b""


def items(body: bytes, keys: Sequence[bytes]) -> tuple[list[Item], bool | None] | None:
    """Every item of a standard webhook, each verified, and whether it says live; None when the body is no standard webhook.
    Raises `SignatureRefused` when there is none or one is not signed: an item alone carries the signature."""
    try:
        notice = _DECODE(body)
    except BROKEN:
        return None
    if not notice.notificationItems:
        raise SignatureRefused("there is no item, so nothing is signed")
    verified = [_verified(bytes(wrapped.NotificationRequestItem), keys) for wrapped in notice.notificationItems]
    return verified, {"true": True, "false": False}.get(str(notice.live).lower())


def _verified(raw: bytes, keys: Sequence[bytes]) -> Item:
    try:
        said = msgspec.json.decode(raw)
        signed = _signed_text(said).encode()
        given = said["additionalData"]["hmacSignature"].encode()
    except (*BROKEN, ValueError, KeyError, TypeError, AttributeError):
        raise SignatureRefused("an item has no signature or lacks a field that is signed") from None
    return Item(raw, said, matching(signed, given, keys))


def _signed_text(said: Mapping[str, Any]) -> str:
    """The signed fields, joined without any escaping, as the official SDKs do it; raises TypeError for what is no text."""
    amount = said["amount"]
    value = amount["value"]
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError("a value is a whole number")
    texts = [said.get(name, "") for name in _SIGNED]
    return ":".join([*texts, str(value), amount["currency"], said["eventCode"], said["success"]])


def sample(key: bytes, *, live: bool) -> bytes:
    """A standard webhook of an event code that means nothing, as Adyen would sign it: beside `live` all that it says is signed."""
    said: dict[str, Any] = {name: "self-test" for name in _SIGNED}
    said |= {"amount": {"value": 0, "currency": "EUR"}, "eventCode": "SELF_TEST", "success": "true"}
    signature = base64.b64encode(hmac.digest(key, _signed_text(said).encode(), "sha256")).decode()
    item = {**said, "additionalData": {"hmacSignature": signature}}
    return msgspec.json.encode({"live": "true" if live else "false", "notificationItems": [{"NotificationRequestItem": item}]})


def matching(signed: bytes, given: bytes, keys: Sequence[bytes]) -> int:
    """Which key made the base64 signature; raises `SignatureRefused` when none did."""
    for index, key in enumerate(keys):
        if key and hmac.compare_digest(base64.b64encode(hmac.digest(key, signed, "sha256")), given):
            return index
    raise SignatureRefused("no signature matches" if any(keys) else "the connection has no HMAC key in hex")
