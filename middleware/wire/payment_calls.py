"""What calls to payment providers have in common: the payload's words checked, the key in the provider's length, errors without values."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import msgspec

from mappings.canonical import Money
from mappings.minor_units import exponent, minor_of
from middleware.errors import CallError, Rejected, UnknownOutcome
from middleware.ports import Effect
from middleware.settings import Connection

BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON of the wanted shape."""
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,79}")
_PROSE = re.compile(r"[A-Za-z][A-Za-z ,.'()/_-]{0,119}")


def credential(connection: Connection, name: str) -> str:
    """A credential's value; raises `Rejected` that names it when the connection has none."""
    if name not in connection.credentials:
        raise Rejected(f"the connection has no credential {name}", field=f"credentials.{name}")
    return connection.credentials[name].reveal()


def key_of(effect: Effect, longest: int) -> str:
    """The effect's key, or its digest where the provider takes no key of that length; the same effect has always the same."""
    return effect.key if len(effect.key) <= longest else hashlib.sha256(effect.key.encode()).hexdigest()[:longest]


def text_of(effect: Effect, name: str) -> str:
    """A text of the payload, "" when it has none."""
    return str(effect.payload.get(name) or "")


def payment_of(effect: Effect) -> str:
    """The provider's id of the payment; raises `Rejected` without one."""
    payment = text_of(effect, "payment")
    if not payment:
        raise Rejected("no payment is named", field="payment")
    return payment


def amount_of(effect: Effect) -> Money | None:
    """The amount that was decided, None for all that is left."""
    amount = effect.payload.get("amount")
    return Money(int(amount["minor"]), str(amount["currency"])) if isinstance(amount, Mapping) else None


def minor_amount(amount: Money, exponents: Mapping[str, int]) -> int:
    """The amount in the provider's minor units; raises `Rejected` where it has none that small."""
    try:
        return minor_of(amount, exponents)
    except ValueError as error:
        raise Rejected(str(error), field="amount") from None


def decimal_text(amount: Money, decimals: Mapping[str, int]) -> str:
    """The amount in major units with the decimals that the provider wants; raises `Rejected` where it is finer than that."""
    minor_amount(amount, decimals)
    return f"{amount.amount:.{exponent(amount.currency, decimals)}f}"


def code(value: object) -> str:
    """A provider's error code, if it looks like one: what goes into an error text must hold no value of a person."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def prose(value: object) -> str:
    """A provider's sentence, if it holds words only: no digits, no addresses."""
    return value if isinstance(value, str) and _PROSE.fullmatch(value) else ""


def answered(body: object, *names: str, otherwise: type[CallError] = UnknownOutcome) -> dict[str, str]:
    """Texts that an answer must hold; raises `otherwise` when it does not: of a request with effect the outcome is then unknown."""
    said = {name: body.get(name) for name in names} if isinstance(body, Mapping) else {}
    if not said or not all(isinstance(value, str) and value for value in said.values()):
        raise otherwise(f"the answer has no {' or '.join(names)}")
    return {name: str(value) for name, value in said.items()}
