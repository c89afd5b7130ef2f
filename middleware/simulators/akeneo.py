"""A stand-in for Akeneo's REST API v1: tokens that end, lists by cursor and by number, filters by date, and signed events.

https://api.akeneo.com/documentation/pagination.html · filter.html · authentication.html · responses.html
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from middleware.simulators._server import Simulator, reply, route
from middleware.simulators.akeneo_catalog import LISTS, Catalog, Change, Json
from middleware.simulators.akeneo_events import EVENTS, SIGNS, Flavour
from middleware.simulators.deliveries import Deliverer, Mischief

_ROUTES = Map(
    [
        Rule("/api/oauth/v1/token", endpoint="give_token", methods=["POST"]),
        Rule("/api/rest/v1/products-uuid", endpoint="list_products", methods=["GET"]),
        Rule("/api/rest/v1/products-uuid/<uuid>", endpoint="read_product", methods=["GET"]),
        Rule("/api/rest/v1/product-models", endpoint="list_models", methods=["GET"]),
        Rule("/api/rest/v1/product-models/<path:code>", endpoint="read_model", methods=["GET"]),
        Rule("/api/rest/v1/attributes/<code>/options", endpoint="list_options", methods=["GET"]),
        Rule("/api/rest/v1/attributes/<code>/options/<option>", endpoint="read_option", methods=["GET"]),
        Rule("/api/rest/v1/media-files/<path:code>/download", endpoint="download", methods=["GET"]),
        Rule(f"/api/rest/v1/<any({', '.join(LISTS)}):kind>/<path:code>", endpoint="read_other", methods=["GET"]),
        Rule(f"/api/rest/v1/<any({', '.join(LISTS)}):kind>", endpoint="list_others", methods=["GET"]),
    ]
)
Shown = Callable[[Json], Json]
_DATED = ("families", "attributes", "categories")
_DEPTH = 10_000
"""How far products can be read by page number."""


class _Problem(HTTPException):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message, reply({"code": code, "message": message}, code))
        self.code = code


class AkeneoSimulator(Simulator):
    """`catalog` is what tests change; `clock` tells aware UTC, `zone` is the server's time zone, tokens live `life` seconds.

    A `rate_limit` fault of 0 seconds is a 429 without Retry-After.
    """

    name = "akeneo"
    client = ("1_client", "client-secret")
    user = ("waybill_1", "user-password")

    def __init__(
        self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), zone: str = "UTC", life: int = 3600, seed: int = 0
    ) -> None:
        super().__init__(seed=seed)
        self.catalog = Catalog(clock, ZoneInfo(zone), self.lock, self._emit, seed)
        self.deliverer: Deliverer | None = None
        self.tokens_given = 0
        self._flavour = Flavour.EVENTS_API
        self._clock = clock
        self._life = life
        self._random = random.Random(seed)
        self._tokens: dict[str, datetime] = {}
        self._refresh: set[str] = set()

    def deliver_to(self, target: str, flavour: Flavour, secret: str, *, mischief: Mischief | None = None, **options: Any) -> Deliverer:
        """Post every later change to `target`; the deliverer returned takes `options` and is started with its own `start`."""
        self._flavour = flavour
        self.deliverer = Deliverer(target, SIGNS[flavour], secret, mischief=mischief, user_agent="AkeneoPIM", **options)
        return self.deliverer

    def end_tokens(self) -> None:
        """Every token that was given ends now."""
        with self.lock:
            self._tokens.clear()

    def answer(self, request: Request) -> Response:
        if not request.path.startswith("/api/oauth/"):
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if self._tokens.get(token, datetime.min.replace(tzinfo=UTC)) <= self._clock():
                raise _Problem(401, "Authentication is required")
            if request.accept_mimetypes and not request.accept_mimetypes.accept_json:
                raise _Problem(406, f"‘{request.accept_mimetypes}’ in ‘Accept‘ header is not valid. Only ‘application/json‘ is allowed.")
        return route(_ROUTES, self, request)

    def refusal(self, error: HTTPException) -> Response:
        return reply({"code": error.code, "message": error.description}, error.code or 500)

    def give_token(self, request: Request) -> Response:
        """By password, or by a refresh token, which works once."""
        asked = request.get_json(silent=True) if request.is_json else request.form.to_dict()
        asked = asked if isinstance(asked, dict) else {}
        client = base64.b64encode(":".join(self.client).encode()).decode()
        if request.headers.get("Authorization") != f"Basic {client}":
            raise _Problem(422, 'Parameter "client_id" is missing or does not match any client, or secret is invalid')
        match asked.get("grant_type"):
            case "password" if (asked.get("username"), asked.get("password")) == self.user:
                pass
            case "refresh_token" if asked.get("refresh_token") in self._refresh:
                self._refresh.discard(asked["refresh_token"])
            case "password":
                raise _Problem(422, "No user found for the given username and password")
            case _:
                raise _Problem(422, 'Parameter "grant_type" is missing, or the refresh token is invalid or has expired')
        token, refresh = (f"{self._random.getrandbits(256):064x}" for _ in range(2))
        self.tokens_given += 1
        self._tokens[token] = self._clock() + timedelta(seconds=self._life)
        self._refresh.add(refresh)
        body = {"access_token": token, "expires_in": self._life, "token_type": "bearer", "scope": None, "refresh_token": refresh}
        return reply(body)

    def list_products(self, request: Request) -> Response:
        return self._list_valued(request, self.catalog.products, self.catalog.changed)

    def list_models(self, request: Request) -> Response:
        return self._list_valued(request, self.catalog.product_models, lambda model: model["updated"])

    def read_product(self, request: Request, uuid: str) -> Response:
        if uuid not in self.catalog.products:
            raise _Problem(404, f"Product {uuid} does not exist or you do not have permission to access it.")
        return reply(self.catalog.shown(self.catalog.products[uuid]))

    def read_model(self, request: Request, code: str) -> Response:
        if code not in self.catalog.product_models:
            raise _Problem(404, f"Product model {code} does not exist or you do not have permission to access it.")
        return reply(self.catalog.shown(self.catalog.product_models[code]))

    def read_option(self, request: Request, code: str, option: str) -> Response:
        found = self.catalog.options.get(code, {}).get(option)
        if found is None:
            raise _Problem(404, f"Attribute option {option} does not exist or is not an option of the attribute {code}.")
        return reply(found)

    def read_other(self, request: Request, kind: str, code: str) -> Response:
        if code not in self.catalog.lists[kind]:
            raise _Problem(404, f"{kind} {code} does not exist.")
        return reply(self._shown(kind, self.catalog.lists[kind][code]))

    def download(self, request: Request, code: str) -> Response:
        if code not in self.catalog.media:
            raise _Problem(404, f"Media file {code} does not exist.")
        return Response(self.catalog.media[code], content_type="image/jpeg")

    def list_options(self, request: Request, code: str) -> Response:
        if code not in self.catalog.lists["attributes"]:
            raise _Problem(404, f"Attribute '{code}' does not exist.")
        return _by_number(request, self.catalog.options.get(code, {}), dict)

    def list_others(self, request: Request, kind: str) -> Response:
        found = self.catalog.lists[kind]
        for name, operator, wanted in _filters(request):
            if (name, operator) == ("updated", ">") and kind in _DATED:
                since = self._instant(wanted, "")
                found = {key: record for key, record in found.items() if record["updated"] > since}
            elif (name, operator, kind) == ("type", "IN", "attributes"):
                found = {key: record for key, record in found.items() if record.get("type") in wanted}
            else:
                raise _no_filter(name)
        return _by_number(request, found, lambda record: self._shown(kind, record))

    def _shown(self, kind: str, record: Json) -> Json:
        """Only categories show when they changed."""
        at = {"updated": record["updated"].astimezone(self.catalog.zone).isoformat()} if kind == "categories" else {}
        return {name: value for name, value in record.items() if name != "updated"} | at

    def _list_valued(self, request: Request, among: dict[str, Json], changed: Callable[[Json], datetime]) -> Response:
        """Sorted by primary key. `>` is strict, in seconds of the server's time zone."""
        channel, locales = request.args.get("scope", ""), [code for code in request.args.get("locales", "").split(",") if code]
        if channel and channel not in self.catalog.lists["channels"]:
            raise _Problem(422, f'Scope "{channel}" does not exist.')
        found = among
        for name, operator, wanted in _filters(request):
            if (name, operator) != ("updated", ">"):
                raise _no_filter(name)
            since = self._instant(wanted, "%Y-%m-%d %H:%M:%S")
            found = {key: record for key, record in found.items() if changed(record) > since}
        page = _by_cursor if request.args.get("pagination_type") == "search_after" else _by_number
        return page(request, found, lambda record: self.catalog.shown(record, channel=channel, locales=locales))

    def _instant(self, text: object, form: str) -> datetime:
        """A filter's time in `form`, or ISO 8601; what has no zone is of the server's."""
        try:
            if form:
                return datetime.strptime(str(text), form).replace(tzinfo=self.catalog.zone)
            found = datetime.fromisoformat(str(text))
        except ValueError as error:
            raise _Problem(422, f'Property "updated" expects a string with the format "{form or "ISO 8601"}" as data.') from error
        return found if found.tzinfo else found.replace(tzinfo=self.catalog.zone)

    def _emit(self, change: Change) -> None:
        if self.deliverer:
            event_id, at = self.catalog.new_uuid(), self.catalog.now()
            body = EVENTS[self._flavour](change, event_id, at, self.url)
            self.deliverer.send(event_id, json.dumps(body, ensure_ascii=False).encode())

    def _respond(self, server: Any, request: Request) -> Response:
        """What a fault refuses, in Akeneo's words."""
        response = super()._respond(server, request)
        if response.status_code == 429:
            after = response.headers.get("Retry-After", "0")
            response = reply({"code": 429, "message": "You have exceeded the limit of API requests per second."}, 429)
            if after != "0":
                response.headers["Retry-After"] = after
        return response


def _filters(request: Request) -> Iterator[tuple[str, str, Any]]:
    """Property, operator and value of each filter: https://api.akeneo.com/documentation/filter.html"""
    try:
        search = json.loads(request.args.get("search", "{}"))
        for name, filters in search.items():
            for one in filters:
                yield name, one["operator"], one["value"]
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise _Problem(400, "Search query parameter should be valid JSON.") from error


def _no_filter(name: str) -> _Problem:
    return _Problem(422, f'Filter on property "{name}" is not supported or does not support operator')


def _limit(request: Request) -> int:
    limit = request.args.get("limit", 10, type=int)
    if limit > 100:
        raise _Problem(422, "You cannot request more than 100 items.")
    if limit < 1:
        raise _Problem(422, f'"{limit}" is not a valid limit number.')
    return limit


def _by_cursor(request: Request, among: dict[str, Json], shown: Shown) -> Response:
    if "with_count" in request.args:
        raise _Problem(422, "with_count is not available with the search_after pagination type.")
    limit, after = _limit(request), request.args.get("search_after", "")
    keys = sorted(key for key in among if key > after)[:limit]
    links = {"self": _link(request), "first": _link(request, search_after=None)}
    if len(keys) == limit:  # as PHP does it: a full page names a next one, which may be empty
        links["next"] = _link(request, search_after=keys[-1])
    return _page(request, links, {key: shown(among[key]) for key in keys})


def _by_number(request: Request, among: dict[str, Json], shown: Shown) -> Response:
    limit, number = _limit(request), request.args.get("page", 1, type=int)
    if number * limit > _DEPTH:
        raise _Problem(
            422,
            'You have reached the maximum number of pages you can retrieve with the "page" pagination type.'
            " Please use the search after pagination type instead",
        )
    keys = sorted(among)[(number - 1) * limit : number * limit]
    links = {"self": _link(request, page=number), "first": _link(request, page=1)}
    if number > 1:
        links["previous"] = _link(request, page=number - 1)
    if len(keys) == limit:
        links["next"] = _link(request, page=number + 1)
    counted = {"items_count": len(among)} if request.args.get("with_count") == "true" else {}
    return _page(request, links, {key: shown(among[key]) for key in keys}, current_page=number, **counted)


def _link(request: Request, **changes: Any) -> dict[str, str]:
    query = {**request.args.to_dict(), **changes}
    return {"href": f"{request.base_url}?{urlencode({name: value for name, value in query.items() if value is not None})}"}


def _page(request: Request, links: Json, items: dict[str, Json], **more: Any) -> Response:
    shown = [{"_links": {"self": {"href": f"{request.base_url}/{key}"}}, **item} for key, item in items.items()]
    return reply({"_links": links, **more, "_embedded": {"items": shown}})
