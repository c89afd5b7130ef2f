"""Lists of Medusa's admin API, asked for with an API key or as a user, and the prices of all price lists by variant.

https://docs.medusajs.com/api/admin#authentication
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from marshmallow import ValidationError
from requests import PreparedRequest
from requests.auth import AuthBase

from mappings import medusa as words
from mappings import medusa_prices as prices
from mappings.fields import field_names
from middleware.errors import Rejected, Unauthorized
from middleware.ports import Record
from middleware.settings import Connection
from middleware.wire.oauth2 import ClientCredentials
from middleware.wire.offsets import Listed, read_whole

LOGIN = "/auth/user/emailpass"
SESSION = 3600.0
"""Seconds for which a token is used; Medusa's lasts a day unless it is told otherwise."""
AT_ONCE = 500
"""Prices of a price list in one request."""
_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode
_ENCODE = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode

Request = Callable[..., Any]
"""`Http.request` of the connection; gives its `Reply`."""


class Admin:
    """The admin API of one connection."""

    def __init__(self, request: Request, connection: Connection, *, email: str) -> None:
        self._request, self._given, self._email = request, connection.credentials, email
        self._auth = ClientCredentials(self._login)

    def listed(self, feed: words.Feed, only: Sequence[tuple[str, str]], skip: int, take: int) -> tuple[list[Mapping[str, Any]], int]:
        """A page of a list, sorted by id, and how many the whole list has. Raises what `Http.request` raises, `Unauthorized` also
        when a fresh token is refused, and `Rejected` for what is no list."""
        params = [("order", "id"), ("offset", str(skip)), ("limit", str(take)), ("fields", feed.fields), *only]
        try:
            reply = self._get(feed.path, params)
        except Unauthorized as error:
            if error.http_status != 401 or error.field or "api_key" in self._given:
                raise
            self._auth.forget()
            reply = self._get(feed.path, params)
        try:
            found = _DECODE(reply.body)
            items, total = found[feed.member], found["count"]
        except (ValueError, RecursionError, LookupError, TypeError) as error:
            raise Rejected("the answer is no list of records", field=feed.member) from error
        if not isinstance(items, list) or not isinstance(total, int) or not all(isinstance(item, Mapping) for item in items):
            raise Rejected("the answer is no list of records", field=feed.member)
        return items, total

    def _get(self, path: str, params: Sequence[tuple[str, str]]) -> Any:
        key = self._given.get("api_key")
        auth = _ApiKey(key.reveal()) if key else self._auth
        return self._request("GET", path, params=params, auth=auth, explain=explain)

    def _login(self) -> tuple[str, float]:
        password = self._given.get("password")
        if not self._email or password is None:
            raise Unauthorized("the connection has neither an API key nor email and password", field="password")
        body = {"email": self._email, "password": password.reveal()}
        try:
            token = _DECODE(self._request("POST", LOGIN, json=body, safe=True, explain=explain).body)["token"]
        except Unauthorized as error:
            raise Unauthorized(f"the login is refused: {error.reason}", field="password", status=error.http_status) from error
        except (ValueError, LookupError, TypeError) as error:
            raise Unauthorized("the login gives no token", field="password") from error
        if not isinstance(token, str) or not token:
            raise Unauthorized("the login gives no token", field="password")
        return token, SESSION


class _ApiKey(AuthBase):
    """A secret API key is a user without a password."""

    def __init__(self, key: str) -> None:
        self._header = "Basic " + base64.b64encode(f"{key}:".encode()).decode()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


@dataclass(frozen=True, slots=True)
class PriceBook:
    """What of a variant's prices lies elsewhere: those of active price lists by the variant's id, and which prices include tax."""

    listed: Mapping[str, Sequence[Mapping[str, Any]]]
    preferences: Mapping[tuple[str, str], bool]

    def record(self, variant: Mapping[str, Any]) -> dict[str, Any]:
        """A variant with all of its prices, in an order of our own; raises `Rejected` with the field at fault."""
        try:
            own = [prices.own_price(price) for price in variant.get("prices") or []]
            found = [*own, *self.listed.get(identity(variant), ())]
            priced = [{**price, "tax_included": prices.is_tax_included(price, self.preferences)} for price in found]
        except ValidationError as error:
            raise Rejected("a price cannot be read", field="; ".join(field_names(error.messages))) from None
        except (AttributeError, TypeError) as error:
            raise Rejected("a price cannot be read", field="prices") from error
        return {"id": variant["id"], "sku": variant.get("sku"), "prices": sorted(priced, key=_ENCODE)}


def price_book(admin: Admin, most: int) -> PriceBook:
    """Read the preferences and the prices of all active price lists; raises `Rejected` when those are more than `most`, and for
    what cannot be read."""
    preferences = {
        (str(one.get("attribute")), str(one.get("value"))): one.get("is_tax_inclusive") is True for one in _all(admin, words.PREFERENCES)
    }
    listed: dict[str, list[Mapping[str, Any]]] = {}
    count = 0
    for price_list in _all(admin, words.RULED_LISTS):
        if price_list.get("status") != "active":
            continue
        for price in _all(admin, words.prices_of(identity(price_list))):
            count += 1
            if count > most:
                raise Rejected(f"the price lists hold more than {most} prices", field="options.list_prices")
            listed.setdefault(_variant_of(price), []).extend(_list_prices(price, price_list))
    return PriceBook(listed, preferences)


def identity(item: Any) -> str:
    """The id of an entry of a list; raises `Rejected`."""
    found = item.get("id") if isinstance(item, Mapping) else None
    if not isinstance(found, str) or not found:
        raise Rejected("a record without an id", field="id")
    return found


def explain(reply: Any) -> tuple[str, str]:
    """The message of a refusal: https://docs.medusajs.com/resources/references/medusa-config/throw-errors"""
    try:
        found = _DECODE(reply.body)
        return " ".join(str(found["message"]).split())[:200], ""
    except (ValueError, LookupError, TypeError, RecursionError):
        return "", ""


def _all(admin: Admin, feed: words.Feed) -> Iterator[Mapping[str, Any]]:
    def read(skip: int, take: int) -> Listed:
        items, total = admin.listed(feed, (), skip, take)
        return [Record(identity(item), _ENCODE(item)) for item in items], total

    seen = set()
    for record in read_whole(read, AT_ONCE):
        if record.source_id not in seen:  # one that moved between pages comes twice
            seen.add(record.source_id)
            yield _DECODE(record.raw)


def _variant_of(price: Mapping[str, Any]) -> str:
    """ "" for a price that belongs to no variant (of a shipping option, say)."""
    owner = price.get("price_set")
    variant = owner.get("variant") if isinstance(owner, Mapping) else None
    return identity(variant) if variant else ""


def _list_prices(price: Mapping[str, Any], price_list: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        return prices.list_prices(price, price_list)
    except ValidationError as error:
        raise Rejected("a price list cannot be read", field="; ".join(field_names(error.messages))) from None
