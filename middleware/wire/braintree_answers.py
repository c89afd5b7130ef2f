"""What Braintree answers: notifications, transactions without cards and persons, lists of ids, refusals by their codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from mappings import braintree as words
from middleware.errors import OnHold, Rejected, UnknownOutcome
from middleware.wire.braintree import error_codes, read_xml

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NOT_SETTLED_YET = frozenset({"91506", "91574"})


class Reply(Protocol):
    """What these functions need of an answer of the HTTP client."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> bytes: ...

    @property
    def safe(self) -> bool: ...


def notification(body: bytes) -> dict[str, Any]:
    """A webhook's notification; raises ValueError."""
    root, value = read_xml(body)
    if root != "notification" or not isinstance(value, dict):
        raise ValueError("the body is no notification")
    return value


def answer(reply: Reply) -> tuple[str, Any]:
    """The root of an answer and its value; raises `Rejected`, or `UnknownOutcome` where something was asked to change."""
    try:
        return read_xml(reply.body)
    except ValueError as error:
        raise (Rejected if reply.safe else UnknownOutcome)(str(error), status=reply.status) from None


def transaction(reply: Reply) -> dict[str, Any]:
    """The transaction in an answer, without cards and persons; raises as `answer`."""
    root, value = answer(reply)
    if root != "transaction" or not isinstance(value, dict) or not _ID.fullmatch(str(value.get("id"))):
        raise (Rejected if reply.safe else UnknownOutcome)("the answer is no transaction", status=reply.status)
    return {name: value[name] for name in sorted(words.KEPT & value.keys())}


def refusal(value: Any) -> Rejected | OnHold:
    """Why a change was refused, by Braintree's codes: what is not settled yet waits."""
    codes = error_codes(value)
    if codes and {code for code, _ in codes} <= _NOT_SETTLED_YET:
        return OnHold("Braintree refunds only what is settled; it is not yet", status=422)
    status = value.get("transaction", {}).get("status") if isinstance(value, dict) and isinstance(value.get("transaction"), dict) else None
    reason = ", ".join(code for code, _ in codes) or (f"the transaction is {status}" if status in words.STATUSES else "no code")
    return Rejected(f"HTTP 422: {reason}", field=codes[0][1] if codes else "", status=422)


def id_of(value: object) -> str:
    """An id for a path; raises `Rejected` for what could be another path."""
    text = str(value)
    if not _ID.fullmatch(text):
        raise Rejected("what was asked for is no id of Braintree's", field="payment")
    return text


def ids_of(holder: Mapping[str, Any], name: str) -> list[str]:
    """The ids in a list of an answer."""
    listed = holder.get(name) or []
    return [id_of(one) for one in listed] if isinstance(listed, list) else []
