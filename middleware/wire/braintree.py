"""Braintree's wire: the signed form of a webhook, XML in and out as the official SDK reads and writes it, refusals.

https://developer.paypal.com/braintree/docs/guides/webhooks/parse
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

from middleware.errors import SignatureRefused
from middleware.secret import Secret
from middleware.wire.payment_calls import code

_FOREIGN = re.compile(rb"[^A-Za-z0-9+=/\n]")
_CHALLENGE = re.compile(r"[a-f0-9]{20,32}\n?")
_DIGITS = re.compile(r"[^0-9]")
_DEEPEST = 40
KeyPair = tuple[str, str]


def key_pairs(secrets: Sequence[Secret], public_key: str) -> list[KeyPair]:
    """(public, private) of each secret: `public:private`, or a private key alone, which goes with the credential's public one."""
    found = []
    for secret in secrets:
        public, colon, private = secret.reveal().partition(":")
        pair = (public, private) if colon else (public_key, public)
        if pair[0].strip() and pair[1].strip():
            found.append(pair)
    return found


def signed_form(body: bytes) -> tuple[str, str]:
    """`bt_signature` and `bt_payload` of the posted form; raises `SignatureRefused`."""
    try:
        form = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise SignatureRefused("the body is no form") from None
    signature, payload = form.get("bt_signature", []), form.get("bt_payload", [])
    if len(signature) != 1 or len(payload) != 1:
        raise SignatureRefused("bt_signature or bt_payload is missing")
    return signature[0], payload[0]


def verify(signature: str, payload: str, pairs: Sequence[KeyPair]) -> int:
    """Which key pair signed: HMAC-SHA1 keyed by the SHA-1 of the private key, of the payload as it came or with the line end that
    forms lose; of several signatures by one public key the first counts, as for the SDK. Raises `SignatureRefused`."""
    text = payload.encode("utf-8", "surrogatepass")
    if _FOREIGN.search(text):
        raise SignatureRefused("bt_payload holds what is no base64")
    if _CHALLENGE.fullmatch(payload):
        raise SignatureRefused("bt_payload is a challenge, which anybody can have signed")
    given = [pair.split("|") for pair in signature.split("&") if "|" in pair]
    for index, (public, private) in enumerate(pairs):
        mine = next((pair[1] for pair in given if len(pair) == 2 and pair[0] == public), "")
        for signed in (text, text + b"\n"):
            if mine and hmac.compare_digest(_signature(signed, private).encode(), mine.encode("utf-8", "replace")):
                return index
    raise SignatureRefused("no signature matches" if pairs else "the connection has no secret")


def form(body: bytes, pair: KeyPair) -> bytes:
    """A form as Braintree would post it."""
    payload = base64.encodebytes(body).decode()
    return urlencode({"bt_signature": f"{pair[0]}|{_signature(payload.encode(), pair[1])}", "bt_payload": payload}).encode()


def _signature(signed: bytes, private: str) -> str:
    return hmac.digest(hashlib.sha1(private.encode(), usedforsecurity=False).digest(), signed, "sha1").hex()


def greeting(challenge: str, pairs: Sequence[KeyPair]) -> str:
    """What Braintree is told that asks, before a first webhook, whether anybody is here; "" for what is no challenge.

    https://developer.paypal.com/braintree/docs/guides/webhooks/create
    """
    if not pairs or not _CHALLENGE.fullmatch(challenge) or challenge.endswith("\n"):
        return ""
    public, private = pairs[0]
    return f"{public}|{_signature(challenge.encode(), private)}"


def decoded(payload: str) -> bytes:
    """The XML inside; raises ValueError."""
    try:
        return base64.b64decode(payload.replace("\n", ""), validate=True)
    except binascii.Error:
        raise ValueError("bt_payload is no base64") from None


def read_xml(body: bytes) -> tuple[str, Any]:
    """The root's name and its value: a list where it says array, None where it says nil, else a dict or text; names with
    underscores. Raises ValueError."""
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise ValueError("the body is no XML") from None
    return _name(root), _value(root, _DEEPEST)


def _name(element: Element) -> str:
    return str(element.tag).replace("-", "_")


def _value(element: Element, depth: int) -> Any:
    if depth == 0:
        raise ValueError("the XML is nested too deep")
    if element.get("type") == "array":
        return [_value(child, depth - 1) for child in element]
    if len(element):
        return {_name(child): _value(child, depth - 1) for child in element}
    return None if element.get("nil") == "true" else (element.text or "").strip()


def write_xml(values: Mapping[str, Any]) -> bytes:
    """What the SDK's generator makes of the same values."""
    return "".join(_node(name, value) for name, value in values.items()).encode("ascii", "xmlcharrefreplace")


def _node(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f'<{name} type="boolean">{str(value).lower()}</{name}>'
    if isinstance(value, datetime):
        return f'<{name} type="datetime">{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}</{name}>'
    if isinstance(value, Mapping):
        return f"<{name}>{''.join(_node(key, inner) for key, inner in value.items())}</{name}>"
    return f"<{name}>{escape(str(value or ''), {chr(39): '&apos;', chr(34): '&quot;'})}</{name}>"


def error_codes(value: Any) -> list[tuple[str, str]]:
    """(code, attribute) of every error in an `api-error-response`: https://developer.paypal.com/braintree/docs/reference/general/validation-errors/all"""
    if isinstance(value, list):
        return [found for inner in value for found in error_codes(inner)]
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("code"), str) and "attribute" in value:
        return [(_DIGITS.sub("", value["code"])[:10], code(value["attribute"]))]
    return [found for inner in value.values() for found in error_codes(inner)]
