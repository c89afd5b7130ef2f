"""Akeneo's words: its lists, how their filters write time, and its records as plain data for the mapping tables.

Values: https://api.akeneo.com/concepts/products.html#focus-on-the-product-values
Filters: https://api.akeneo.com/documentation/filter.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, fields, validate

from mappings.fields import Exact, Instant, Payload


class Dates(StrEnum):
    """How the `updated` filter of a list writes time; a list without one is always read whole."""

    NONE = "none"
    SERVER = "2026-11-21 00:00:00, in the time zone of the PIM's server"
    ISO = "ISO 8601"


@dataclass(frozen=True, slots=True)
class Feed:
    """One list of the API. Those whose records have values are narrowed by channel and locales, and paged by a cursor."""

    path: str
    dates: Dates = Dates.NONE
    has_values: bool = False


FEEDS = {
    "products": Feed("products-uuid", Dates.SERVER, has_values=True),
    "product_models": Feed("product-models", Dates.SERVER, has_values=True),
    "families": Feed("families", Dates.ISO),
    "attributes": Feed("attributes", Dates.ISO),
    "categories": Feed("categories", Dates.ISO),
    "options": Feed("attributes/{attribute}/options"),
    "locales": Feed("locales"),
    "channels": Feed("channels"),
}
"""Every kind of records. A change of an option is no change of its attribute, so options have no delta at all."""

SELECTS = ("pim_catalog_simpleselect", "pim_catalog_multiselect")
"""The types of attributes that have options."""


def updated_after(since: datetime, dates: Dates, zone: tzinfo) -> str:
    """The value of an `updated` filter with `>` that leaves out nothing of what changed after `since`.

    The filter knows whole seconds and is strict, so the second of `since` is asked for again; and where the PIM's clock shows
    an hour twice (the end of summer time), so is the hour before.
    """
    local = (since.astimezone(UTC).replace(microsecond=0) - timedelta(seconds=1)).astimezone(zone)
    if dates is Dates.ISO:
        return local.isoformat()
    first, second = local.replace(fold=0).utcoffset() or timedelta(), local.replace(fold=1).utcoffset() or timedelta()
    return f"{local.replace(tzinfo=None) - abs(first - second):%Y-%m-%d %H:%M:%S}"


class _Record(Payload):
    family = fields.String(load_default=None, allow_none=True)
    parent = fields.String(load_default=None, allow_none=True)
    categories = fields.List(fields.String(), load_default=list)
    updated = fields.String(load_default=None, allow_none=True)


class ProductSchema(_Record):
    """A product without its values; `identifier` is among them since 7.0, and may be missing."""

    uuid = fields.String(required=True, validate=validate.Length(min=1))
    identifier = fields.String(load_default=None, allow_none=True)
    enabled = fields.Boolean(required=True)


class ProductModelSchema(_Record):
    """A product model without its values."""

    code = fields.String(required=True, validate=validate.Length(min=1))
    family_variant = fields.String(load_default=None, allow_none=True)


_PRODUCT = ProductSchema()
_PRODUCT_MODEL = ProductModelSchema()


def product(raw: Any, *, channel: str, locales: Collection[str], identifier: str) -> dict[str, Any]:
    """A product with flat values (see `flat`); `identifier` is the attribute that holds it where it is only a value. Raises
    marshmallow's ValidationError."""
    found = dict(_PRODUCT.load(raw))
    found["values"] = flat(raw.get("values"), channel, locales)
    held = found["values"].get(identifier)
    if found["identifier"] is None and isinstance(held, str):
        found["identifier"] = held
    return found


def product_model(raw: Any, *, channel: str, locales: Collection[str]) -> dict[str, Any]:
    """A product model with flat values; raises marshmallow's ValidationError."""
    found = dict(_PRODUCT_MODEL.load(raw))
    found["values"] = flat(raw.get("values"), channel, locales)
    return found


def entity(raw: Any) -> dict[str, Any]:
    """Anything else that has a code, as it is, without its links; raises marshmallow's ValidationError."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("code"), str) or not raw["code"]:
        raise ValidationError({"code": ["expected a code"]})
    found = {name: value for name, value in raw.items() if name != "_links"}
    if found.get("labels") == []:  # PHP's word for an empty object
        found["labels"] = {}
    return found


def flat(raw: Any, channel: str, locales: Collection[str]) -> dict[str, Any]:
    """Attribute → value, or → {locale: value} when it is localised. Of several channels only `channel` counts; without one, a
    value that differs by channel is {channel: …}. Empty `locales` are all. What is null is left out, as if it were absent.

    A price is {currency: amount as text}, a measurement {amount, unit}, a select its code or codes, a file its code.
    """
    if raw is None or raw == []:  # PHP's word for an empty object
        return {}
    if not isinstance(raw, Mapping):
        raise ValidationError({"values": ["expected an object"]})
    found: dict[str, Any] = {}
    wrong: dict[str, Any] = {}
    for code, entries in raw.items():
        try:
            value = _attribute(entries, channel, locales)
        except ValidationError as error:
            wrong[code] = error.messages
        else:
            if value is not None:
                found[code] = value
    if wrong:
        raise ValidationError({"values": wrong})
    return found


def _attribute(entries: Any, channel: str, locales: Collection[str]) -> Any:
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValidationError("expected a list of values")
    found: dict[str | None, dict[str | None, Any]] = {}
    for entry in entries:
        scope, locale = entry.get("scope"), entry.get("locale")
        if not isinstance(scope, str | None) or not isinstance(locale, str | None):
            raise ValidationError("expected codes as scope and locale")
        is_wanted = (not channel or scope in (None, channel)) and (not locales or locale is None or locale in locales)
        value = _plain(entry) if is_wanted else None
        if value is not None:
            found.setdefault(None if channel else scope, {})[locale] = value
    by_scope = {scope: _collapsed(by_locale, "locale") for scope, by_locale in found.items()}
    return _collapsed(by_scope, "channel") if by_scope else None


def _collapsed(found: Mapping[str | None, Any], what: str) -> Any:
    if None not in found:
        return found
    if len(found) > 1:
        raise ValidationError(f"is given both with and without a {what}")
    return found[None]


def _plain(entry: Mapping[str, Any]) -> Any:
    data = entry.get("data")
    if isinstance(data, list) and data and all(_has(one, "amount", "currency") for one in data):
        return _prices(data)
    if isinstance(data, Mapping) and _has(data, "amount", "unit"):
        return None if data["amount"] is None else {"amount": _exact(data["amount"]), "unit": data["unit"]}
    if data is not None and entry.get("attribute_type") == "pim_catalog_number":
        return _exact(data)
    return data


def _has(value: Any, *names: str) -> bool:
    return isinstance(value, Mapping) and all(name in value for name in names)


def _prices(data: Iterable[Mapping[str, Any]]) -> dict[str, str] | None:
    prices = {}
    for price in data:
        if not isinstance(price["currency"], str):
            raise ValidationError("expected a currency code")
        if price["amount"] is not None:
            prices[price["currency"]] = format(_exact(price["amount"]), "f")
    return prices or None


_EXACT = Exact(required=True)


def _exact(value: Any) -> Decimal:
    return Decimal(_EXACT.deserialize(value))


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to `subject`: a product's uuid or identifier, or a product model's code. `author` is who did it."""

    event_id: str
    topic: str
    subject: str
    author: str
    occurred_at: datetime | None


def event(raw: Any) -> Event:
    """One event of either flavour: of the Events API (`action`, the whole `resource`) or of the Event Platform (`type`, only ids).
    What names no product is about "unknown", so that whoever gets it reads everything that changed."""
    found = raw if isinstance(raw, Mapping) else {}
    data = _table(found, "data")
    about = next(filter(None, (_table(data, name) for name in ("resource", "product", "product_model"))), {})
    author = _text(found, "author") or _text(_table(data, "author"), "identifier")
    try:
        at = _INSTANT.deserialize(_text(found, "event_datetime", "time"))
    except ValidationError:
        at = None
    subject = _text(about, "uuid", "identifier", "code") or "unknown"
    return Event(_text(found, "event_id", "id"), _text(found, "action", "type") or "unreadable", subject, author, at)


_INSTANT = Instant(required=True)


def _table(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(raw: Mapping[str, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := raw.get(name), str) and value), "")
