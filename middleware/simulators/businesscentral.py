"""A stand-in for Business Central's API v2.0: tokens that end, pages by $skiptoken, filters, variants, custom pages, subscriptions.

https://learn.microsoft.com/dynamics365/business-central/dev-itpro/api-reference/v2.0/
"""

from __future__ import annotations

import operator
import re
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import requests
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from middleware.simulators._server import Simulator, reply, route

Json = dict[str, Any]
COMPANY = "7dbba574-5f69-4167-a43e-fb975045de15"
LISTS = ("items", "itemVariants", "itemLedgerEntries", "itemCategories", "priceListLines", "stockLines")
MOST = 20_000
WINDOW = timedelta(minutes=5)
_ROOT = "/v2.0/production/<path:api>/companies(<company>)"
_ROUTES = Map(
    [
        Rule("/<tenant>/oauth2/v2.0/token", endpoint="give_token", methods=["POST"]),
        Rule(f"{_ROOT}/<any(items, itemCategories):name>(<id>)", endpoint="read_one", methods=["GET"]),
        Rule(f"{_ROOT}/<any({', '.join(LISTS)}):name>", endpoint="read_list", methods=["GET"]),
    ]
)
_TERM = re.compile(r"(\w+) (eq|ge|gt|le|lt) ('(?:[^']|'')*'|\S+)")
_TEST: dict[str, Callable[[Any, Any], bool]] = {name: getattr(operator, name) for name in ("eq", "ge", "gt", "le", "lt")}


class _Problem(HTTPException):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message, _worded(status, code, message))
        self.code = status


class BusinessCentralSimulator(Simulator):
    """`lists` is what tests change, by `put` and `remove`; `clock` tells aware UTC, tokens live `life` seconds. `rate` is how many
    requests five minutes may bring."""

    name = "businesscentral"
    client = ("client-id", "client-secret")

    def __init__(
        self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), life: int = 3600, rate: int = 6000, seed: int = 0
    ) -> None:
        super().__init__(seed=seed)
        self._rate = rate
        self._recent: deque[datetime] = deque()
        self.lists: dict[str, dict[str, Json]] = {name: {} for name in LISTS}
        self.tokens_given = 0
        self.asked: list[str] = []
        self.subscriptions: dict[str, str] = {}
        self._clock = clock
        self._life = life
        self._tokens: dict[str, datetime] = {}
        self._last = 0

    @property
    def base(self) -> str:
        """The address of the environment."""
        return f"{self.url}/v2.0/production"

    def put(self, name: str, id: str = "", **values: Any) -> str:
        """Make a record, or change the one with `id`; its id."""
        with self.lock:
            if not id:
                self._last += 1
                id = str(uuid.UUID(int=(self._last * 7919 % 2**32) << 96 | self._last))
            at = self._clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self.lists[name].setdefault(id, {"id": id}).update(values, lastModifiedDateTime=at)
            return id

    def remove(self, name: str, id: str) -> None:
        with self.lock:
            del self.lists[name][id]

    def add_item(self, number: str, price: float = 10.0, **values: Any) -> str:
        about = {"type": "Inventory", "itemCategoryCode": "", "blocked": False, "gtin": "", "baseUnitOfMeasureCode": "PCS"}
        shown = {"displayName": number.title(), "unitPrice": price, "priceIncludesTax": False}
        return self.put("items", **{"number": number, **about, **shown, **values})

    def add_variant(self, item: str, code: str, description: str = "") -> str:
        return self.put("itemVariants", itemId=item, itemNumber=self.lists["items"][item]["number"], code=code, description=description)

    def post_entry(self, number: str, quantity: float) -> None:
        """Stock moves: the item's own time does not."""
        self.put("itemLedgerEntries", entryNumber=self._last, itemNumber=number, quantity=quantity)

    def subscribe(self, target: str, state: str) -> bool:
        """Subscribe to items, or renew it: only when `target` echoes the token that it is asked with."""
        asked = f"handshake {len(self.subscriptions)}"
        answer = requests.post(target, params={"validationToken": asked}, timeout=10)
        if answer.status_code == 200 and answer.text == asked:
            self.subscriptions[target] = state
        return target in self.subscriptions

    def notify(self, *ids: str, change: str = "updated") -> None:
        """Tell of items, all in one request. After a refusal that is none of 408, 429 and 5xx there is no subscription any more."""
        for target, state in list(self.subscriptions.items()):
            told = [{**self._told(id, change), "clientState": state} for id in ids]
            status = requests.post(target, json={"value": told}, timeout=10).status_code
            if status not in (200, 202, 204, 408, 429) and status < 500:
                del self.subscriptions[target]

    def _told(self, id: str, change: str) -> Json:
        at = self.lists["items"].get(id, {}).get("lastModifiedDateTime", "")
        resource = f"api/v2.0/companies({COMPANY})/items({id})"
        return {"subscriptionId": "items", "resource": resource, "changeType": change, "lastModifiedDateTime": at}

    def end_tokens(self) -> None:
        """Every token that was given ends now."""
        self._tokens.clear()

    def answer(self, request: Request) -> Response:
        return route(_ROUTES, self, request)

    def refusal(self, error: HTTPException) -> Response:
        return error.get_response() if isinstance(error, _Problem) else _worded(error.code or 500, f"BadRequest_{error.name}", error.name)

    def give_token(self, request: Request, tenant: str) -> Response:
        asked = request.form
        if (asked.get("client_id"), asked.get("client_secret")) != self.client or not asked.get("scope", "").endswith("/.default"):
            return reply({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}, 401)
        self.tokens_given += 1
        token = f"token-{self.tokens_given}"
        self._tokens[token] = self._clock() + timedelta(seconds=self._life)
        return reply({"token_type": "Bearer", "expires_in": self._life, "access_token": token})

    def read_one(self, request: Request, api: str, company: str, name: str, id: str) -> Response:
        self._admit(request, company)
        if id not in self.lists[name]:
            raise _Problem(404, "Internal_RecordNotFound", "The record does not exist.")
        return reply(self._shown(request, name, self.lists[name][id]))

    def read_list(self, request: Request, api: str, company: str, name: str) -> Response:
        """Sorted by number or code. A page's link names its last record; when that is gone, the place is not found."""
        self._admit(request, company)
        size = min(self._size(request), request.args.get("$top", MOST, type=int))
        rows = sorted(self.lists[name].values(), key=lambda row: (str(row.get("number") or row.get("code") or ""), row["id"]))
        after = request.args.get("$skiptoken")
        if after is not None:
            places = [place for place, row in enumerate(rows) if row["id"] == after]
            if not places:
                raise _Problem(400, "BadRequest_InvalidToken", "The record of the skip token was not found.")
            rows = rows[places[0] + 1 :]
        found = [row for row in rows if _meets(row, request.args.get("$filter", ""))]
        page: Json = {"@odata.context": f"{request.base_url}#{name}", "value": [self._shown(request, name, row) for row in found[:size]]}
        if len(found) > size and "$top" not in request.args:
            kept = "".join(f"{key}={quote(value)}&" for key, value in request.args.items() if key not in {"$skiptoken", "aid"})
            page["@odata.nextLink"] = f"{request.base_url}?{kept}aid=FIN&$skiptoken={found[size - 1]['id']}"
        return reply(page)

    def _admit(self, request: Request, company: str) -> None:
        self.asked.append(request.full_path)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._tokens.get(token, datetime.min.replace(tzinfo=UTC)) <= self._clock():
            raise _Problem(401, "Authentication_InvalidCredentials", "The server has rejected the client credentials.")
        self._throttle()
        if company != COMPANY:
            raise _Problem(404, "Internal_CompanyNotFound", "The company does not exist.")

    def _throttle(self) -> None:
        now = self._clock()
        while self._recent and self._recent[0] <= now - WINDOW:
            self._recent.popleft()
        if len(self._recent) >= self._rate:
            problem = _Problem(429, "Application_TooManyRequests", f"Too many requests reached. Maximum ({self._rate}).")
            problem.get_response().headers["Retry-After"] = f"{(self._recent[0] + WINDOW - now).total_seconds():.0f}"
            raise problem
        self._recent.append(now)

    def _size(self, request: Request) -> int:
        found = re.search(r"odata\.maxpagesize=(\d+)", request.headers.get("Prefer", ""))
        size = int(found[1]) if found else MOST
        if size > MOST:
            raise _Problem(413, "RequestDataTooLarge", "The page size is too large.")
        return size

    def _shown(self, request: Request, name: str, row: Json) -> Json:
        wanted = request.args.get("$select", "")
        shown = {key: value for key, value in row.items() if not wanted or key in wanted.split(",")}
        if name == "items" and (not wanted or "inventory" in wanted):
            entries = self.lists["itemLedgerEntries"].values()
            shown["inventory"] = sum(entry["quantity"] for entry in entries if entry["itemNumber"] == row["number"])
        if request.args.get("$expand") == "itemVariants":
            shown["itemVariants"] = [one for one in self.lists["itemVariants"].values() if one["itemId"] == row["id"]]
        return {"@odata.etag": f'W/"{row["lastModifiedDateTime"]}"', **shown}

    def _respond(self, server: Any, request: Request) -> Response:
        """What a fault refuses, in the API's words."""
        response = super()._respond(server, request)
        if response.status_code == 429 and "CorrelationId" not in response.get_data(as_text=True):
            worded = _worded(429, "Application_TooManyRequests", "Too many requests reached. Actual (101). Maximum (100).")
            worded.headers["Retry-After"] = response.headers.get("Retry-After", "0")
            return worded
        return response


def _worded(status: int, code: str, message: str) -> Response:
    return reply({"error": {"code": code, "message": f"{message}  CorrelationId:  {uuid.UUID(int=status)}."}}, status)


def _meets(row: Json, filtered: str) -> bool:
    """Terms joined by "or" alone, or by "and" alone."""
    if not filtered:
        return True
    terms = [match.groups() for match in _TERM.finditer(filtered)]
    if not terms or any(field not in row for field, _, _ in terms):
        raise _Problem(400, "BadRequest", f"Could not find a property named '{terms[0][0] if terms else filtered}'.")
    found = [_TEST[test](str(row[field]), wanted[1:-1].replace("''", "'") if wanted[0] == "'" else wanted) for field, test, wanted in terms]
    return any(found) if " or " in _TERM.sub("", filtered) else all(found)
