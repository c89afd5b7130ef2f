"""Odoo's two ways of calling a method, JSON-2 and JSON-RPC: what is sent, how a refusal is read, and where a feed goes on.

https://www.odoo.com/documentation/19.0/developer/reference/external_api.html
https://www.odoo.com/documentation/18.0/developer/howtos/web_services.html
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec

from mappings.odoo import Json, reference
from middleware.errors import Rejected, Transient, Unauthorized
from middleware.ports import Blob
from middleware.settings import Connection

_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode
_ENCODE = msgspec.json.Encoder(order="sorted", decimal_format="number").encode

_DENIED = ("AccessDenied", "AccessError", "SessionExpiredException")
_PASSING = ("OperationalError", "SerializationFailure", "LockNotAvailable", "DeadlockDetected", "InterfaceError")
"""The last part of an exception's name: who is not let in, and what a repetition mends. Anything else is about the request."""


CHUNK = 2000
"""How many records are asked for at once where all are wanted."""


class Place(msgspec.Struct, omit_defaults=True):
    """Where a feed goes on: `step` of its walk, after which id. `rules` is the last changed price rule that was looked at;
    `products` and `templates` are those that the last few are about, gone through up to `after`."""

    step: str = ""
    after: int = 0
    rules: int = 0
    products: list[int] = []
    templates: list[int] = []


def packed(place: Place | None) -> str:
    """A place as the cursor of a page; no place is the end."""
    return msgspec.json.encode(place).decode() if place else ""


def resumed(cursor: str) -> Place:
    """The place that a cursor holds; raises `Rejected`."""
    try:
        return msgspec.json.decode(cursor, type=Place)
    except ValueError as error:
        raise Rejected("the cursor is none of this feed's", field="cursor") from error


def canonical(record: Mapping[str, Any]) -> bytes:
    """The same bytes for the same record."""
    return _ENCODE(record)


def decoded(raw: bytes) -> Any:
    """JSON with exact numbers; raises ValueError and RecursionError."""
    return _DECODE(raw)


def rpc(service: str, method: str, args: list[Any]) -> dict[str, Any]:
    """The body of a JSON-RPC call."""
    return {"jsonrpc": "2.0", "method": "call", "params": {"service": service, "method": method, "args": args}, "id": 1}


def result(body: bytes) -> Any:
    """What a JSON-RPC call gave. An error comes with HTTP 200: raises `Unauthorized`, `Transient` or `Rejected`."""
    answer = bare(body)
    if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
        raise Rejected("the answer is no JSON-RPC")
    if "error" not in answer:
        return answer["result"]
    error = answer["error"] if isinstance(answer["error"], dict) else {}
    data = error["data"] if isinstance(error.get("data"), dict) else {}
    name, message = _last(data.get("name")), _line(data.get("message") or error.get("message"))
    if name in _DENIED:
        raise Unauthorized(f"{name}: not allowed")
    raise (Transient if name in _PASSING else Rejected)(f"{name}: {message}" if name else message or "an error without words")


def bare(body: bytes) -> Any:
    """The answer of a JSON-2 call; raises `Rejected` when it is not JSON."""
    try:
        return _DECODE(body)
    except (ValueError, RecursionError) as error:
        raise Rejected("the answer is not JSON") from error


def blob(row: Mapping[str, Any], reference: str) -> Blob:
    """An attachment's content; raises `Rejected` when it has none."""
    try:
        content = base64.b64decode(row["datas"], validate=True)
    except (TypeError, ValueError) as error:
        raise Rejected("the image has no content", field=reference[:100]) from error
    return Blob(reference, content, row["mimetype"] if isinstance(row["mimetype"], str) else "")


def told(body: bytes) -> str:
    """What a refused JSON-2 call says, in one line."""
    try:
        found = _DECODE(body)
        return f"{_last(found.get('name'))}: {_line(found.get('message'))}"
    except (AttributeError, ValueError, RecursionError):
        return ""


Post = Callable[[str, Json, Mapping[str, str]], bytes]
"""Sends JSON to a path with some headers and gives the answer's body; raises `CallError`."""


class Models:
    """Odoo's models, searched and read as the connection's user; archived records too."""

    def __init__(self, post: Post, connection: Connection, option: Mapping[str, Any]) -> None:
        """`option` is the connector's: api, database, user, company and page."""
        self._post = post
        self._connection = connection
        self._option = option
        self._user = 0

    def some(self, model: str, domain: list[Any], fields: Collection[str], after: int) -> list[Json]:
        """The page of records whose id is above `after`."""
        return self.search(model, [["id", ">", after], *domain], fields, limit=self._option["page"])

    def every(self, model: str, domain: list[Any], fields: Collection[str], lang: str = "") -> list[Json]:
        """All records of a domain."""
        found: list[Json] = []
        while True:
            rows = self.search(model, [["id", ">", found[-1]["id"] if found else 0], *domain], fields, limit=CHUNK, lang=lang)
            found += rows
            if len(rows) < CHUNK:
                return found

    def search(self, model: str, domain: list[Any], fields: Collection[str], *, limit: int, lang: str = "") -> list[Json]:
        """Records by their id. Raises what `post` raises, and `Rejected` when they lack a field or are out of order."""
        context: Json = {"active_test": False} | ({"lang": lang} if lang else {})
        if self._option["company"]:
            context["allowed_company_ids"] = [self._option["company"]]
        asked = {"domain": domain, "fields": list(fields), "limit": limit, "order": "id", "context": context}
        rows = self._json2(model, asked) if self._option["api"] == "json2" else self._jsonrpc(model, asked)
        wanted = {"id", *fields}
        if not isinstance(rows, list) or not all(isinstance(row, dict) and wanted <= row.keys() and reference(row["id"]) for row in rows):
            raise Rejected("the answer is no list of records with the fields that were asked for", field=model)
        if any(one["id"] >= other["id"] for one, other in pairwise(rows)):
            raise Rejected("the records are not in the order of their ids", field=model)
        return [{name: row[name] for name in wanted} for row in rows]

    def _json2(self, model: str, asked: Json) -> Any:
        headers = {"Authorization": f"bearer {self._key()}"}
        if self._option["database"]:
            headers["X-Odoo-Database"] = self._option["database"]
        return bare(self._post(f"/json/2/{model}/search_read", asked, headers))

    def _jsonrpc(self, model: str, asked: Json) -> Any:
        database, key = self._option["database"], self._key()
        if not self._user:
            user = self._rpc("common", "authenticate", [database, self._option["user"], key, {}])
            if not reference(user):
                raise Unauthorized("Odoo does not know the user or the key")
            self._user = user
        return self._rpc("object", "execute_kw", [database, self._user, key, model, "search_read", [], asked])

    def _rpc(self, service: str, method: str, args: list[Any]) -> Any:
        return result(self._post("/jsonrpc", rpc(service, method, args), {}))

    def _key(self) -> str:
        key = self._connection.credentials.get("key")
        if key is None:
            raise Unauthorized("the connection has no key", field="key")
        return key.reveal()


def _last(name: object) -> str:
    return str(name or "").rpartition(".")[2]


def _line(text: object) -> str:
    return " ".join(str(text or "").split())[:200]
