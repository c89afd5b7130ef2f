"""What payment webhooks share: the HMAC of a raw body by one of several secrets, bodies that are no event, fetched answers."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import msgspec
from marshmallow import ValidationError

from mappings.canonical import Message
from mappings.fields import field_names
from middleware.errors import Rejected, SignatureRefused, UnknownOutcome, Unreadable
from middleware.ports import Delivery, Inbound
from middleware.secret import Secret
from middleware.wire.payment_calls import BROKEN


class Answer(Protocol):
    """What these functions need of an answer of the HTTP client."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def safe(self) -> bool: ...

    def json(self) -> Any: ...


def usable(secrets: Sequence[Secret]) -> list[bytes]:
    """The keys of secrets that are not blank: a blank one would let everybody in."""
    return [secret.reveal().encode() for secret in secrets if secret.reveal().strip()]


def signer(keys: Sequence[bytes], body: bytes, given: Sequence[str], algorithm: str = "sha256") -> int:
    """Which key made one of the `given` signatures (lower-case hex) of the body; raises `SignatureRefused`."""
    signatures = [text.encode("latin-1", "replace") for text in given]
    for index, key in enumerate(keys):
        expected = hmac.digest(key, body, algorithm).hex().encode()
        if any(hmac.compare_digest(expected, signature) for signature in signatures):
            return index
    raise SignatureRefused("no signature matches" if keys else "the connection has no secret")


def sample(header: str, prefix: str, event: Mapping[str, Any], key: bytes, at: datetime, *, algorithm: str = "sha256") -> Inbound:
    """A request as the provider would sign it: the HMAC of the raw body in hex."""
    body = msgspec.json.encode(event)
    return Inbound({header: prefix + hmac.digest(key, body, algorithm).hex()}, body, "", at)


def exact_json(body: bytes) -> Any:
    """JSON with its fractions as `Decimal`; raises ValueError, also for what is nested too deep."""
    try:
        return json.loads(body, parse_float=_fraction, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _fraction(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("a number with an exponent without end") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def unreadable(body: bytes, secret: int) -> Delivery:
    """A verified body that is no event, kept under its digest."""
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    return Delivery(digest, "unreadable", digest, body, secret=secret)


def translated(translate: Callable[..., Message], payload: bytes, *rules: Any) -> Message:
    """What a mapping makes of a body of JSON by its rules; raises `Unreadable`, naming fields and never values."""
    try:
        return translate(msgspec.json.decode(payload), *rules)
    except BROKEN:
        raise Unreadable("the body is not JSON") from None
    except ValidationError as error:
        raise Unreadable("; ".join(field_names(error.messages))) from None


def fingerprint(answer: Any) -> str:
    """What an answer says, as text: the same answer twice is one event."""
    return hashlib.sha256(msgspec.json.encode(answer, order="deterministic")).hexdigest()


def said_at(reply: Answer) -> datetime:
    """When the provider answered, by its own clock where it tells."""
    try:
        said = parsedate_to_datetime(reply.headers["date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def json_object(reply: Answer) -> dict[str, Any]:
    """The answer's JSON object; raises `Rejected`, or `UnknownOutcome` where something was asked to change."""
    answer = reply.json()
    if not isinstance(answer, dict):
        raise (Rejected if reply.safe else UnknownOutcome)("the answer is no JSON object")
    return answer
