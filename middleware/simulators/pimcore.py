"""A stand-in for Pimcore's DataHub: listings by filter, ids and offset, localized and inherited fields, errors in HTTP 200.

https://docs.pimcore.com/platform/Datahub/GraphQL/Query/
"""

from __future__ import annotations

import base64
import json
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from middleware.simulators._server import Simulator, reply
from middleware.simulators.pimcore_query import Field, Fragment, SyntaxFault, parsed

Json = dict[str, Any]
_TEST: dict[str, Callable[[int, int], bool]] = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
_ALWAYS = ("id", "parent", "children", "objectType", "classname")


@dataclass(frozen=True, slots=True)
class Link:
    """A field's value that leads to objects or to assets."""

    to: str
    ids: tuple[int, ...]
    is_one: bool = False


class _Fault(Exception):
    """An error that is told to the client."""


class PimcoreSimulator(Simulator):
    """`objects` and `assets` are what tests change; `schema` names the fields of each class that may be asked for; `hidden` are ids
    that the configuration's workspaces keep from being shown. `clock` tells aware UTC."""

    name = "pimcore"
    key = "api-key"
    configuration = "shop"

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), prefix: str = "", seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.objects: dict[int, Json] = {}
        self.assets: dict[int, Json] = {}
        self.schema: dict[str, set[str]] = {
            "Product": {"published", "sku", "name", "description", "color", "image", "gallery", "categories", "brand", "price"},
            "Category": {"published", "name"},
            "Brand": {"published", "name"},
        }
        self.hidden: set[int] = set()
        self.asked: list[Json] = []
        self._clock = clock
        self._prefix = prefix
        self._last = 0

    def add(self, of: str = "Product", parent: int = 0, kind: str = "object", published: bool = True, **fields: Any) -> int:
        """Make an object; a localized field is {language: value}, one that leads elsewhere a `Link`."""
        with self.lock:
            self._last += 1
            about = {"id": self._last, "class": of, "parent": parent, "kind": kind, "published": published, "fields": {}}
            self.objects[self._last] = about
            self.change(self._last, **fields)
            return self._last

    def change(self, id: int, *, published: bool | None = None, **fields: Any) -> None:
        with self.lock:
            found = self.objects[id]
            found["fields"].update(fields)
            found["modified"] = int(self._clock().timestamp())
            found["published"] = found["published"] if published is None else published

    def remove(self, id: int) -> None:
        """Delete an object and all below it."""
        with self.lock:
            for other in [one["id"] for one in self.objects.values() if one["parent"] == id]:
                self.remove(other)
            del self.objects[id]

    def add_asset(self, fullpath: str, content: bytes, mimetype: str = "image/jpeg") -> int:
        self._last += 1
        self.assets[self._last] = {"id": self._last, "fullpath": fullpath, "mimetype": mimetype, "data": base64.b64encode(content).decode()}
        return self._last

    def answer(self, request: Request) -> Response:
        if request.path != f"/pimcore-graphql-webservices/{self.configuration}":
            return Response("<html>No active configuration found</html>", 404, content_type="text/html")
        if request.headers.get("X-API-Key") != self.key:
            return Response("<html>Permission denied, apikey not valid</html>", 403, content_type="text/html")
        sent = request.get_json(force=True)
        self.asked.append(sent)
        try:
            fields = parsed(sent["query"], sent.get("variables") or {})
            return reply({"data": {one.alias: self._root(one) for one in fields if isinstance(one, Field)}})
        except (_Fault, SyntaxFault) as error:
            return reply({"errors": [{"message": str(error), "extensions": {"category": "graphql"}}]})
        except KeyError:  # a column that is not there is an error of the database, which is not told
            return reply({"errors": [{"message": "Internal server error", "extensions": {"category": "internal"}}]})

    def refusal(self, error: HTTPException) -> Response:
        return Response(f"<html>{error.name}</html>", error.code or 500, content_type="text/html")

    def _root(self, field: Field) -> Any:
        if field.name == "getAsset":
            asset = self.assets.get(field.arguments["id"])
            return asset and {one.alias: asset[one.name] for one in field.selected if isinstance(one, Field)}
        of = field.name.removeprefix("get").removesuffix("Listing")
        if of not in self.schema:
            raise _Fault(f'Cannot query field "{field.name}" on type "Query".')
        found = self._listed(of, field.arguments)
        start, size = field.arguments.get("after", 0), field.arguments.get("first", len(found))
        shown = [one for one in found[start : start + size] if one["id"] not in self.hidden]
        node = next(one for edges in field.selected if edges.alias == "edges" for one in edges.selected)  # type: ignore[union-attr]
        return {"totalCount": len(found), "edges": [{"node": self._object(one, node.selected)} for one in shown]}

    def _listed(self, of: str, arguments: Mapping[str, Any]) -> list[Json]:
        """Objects and variants of a class, only published ones unless `published` is false."""
        found = [one for one in self.objects.values() if one["class"] == of and (one["published"] or arguments.get("published") is False)]
        if arguments.get("ids") is not None:
            found = [one for one in found if str(one["id"]) in str(arguments["ids"]).split(",")]
        if arguments.get("filter") is not None:
            terms = [(name, test, int(wanted)) for name, tests in json.loads(arguments["filter"]).items() for test, wanted in tests.items()]
            found = [one for one in found if all(_TEST[test](self._column(one, name), wanted) for name, test, wanted in terms)]
        key = arguments.get("sortBy")
        return sorted(found, key=lambda one: self._column(one, key) if key else 0)

    def _column(self, one: Json, name: str) -> int:
        columns = {f"{self._prefix}id": "id", f"{self._prefix}modificationDate": "modified"}
        return int(one[columns[name]])

    def _object(self, one: Json, selected: Iterable[Field | Fragment]) -> Json:
        found: Json = {}
        for field in selected:
            if isinstance(field, Fragment):
                found |= self._object(one, field.selected) if field.on == f"object_{one['class']}" else {}
                continue
            if field.name not in _ALWAYS and field.name not in self.schema[one["class"]]:
                raise _Fault(f'Cannot query field "{field.name}" on type "object_{one["class"]}".')
            found[field.alias] = self._value(one, field)
        return found

    def _value(self, one: Json, field: Field) -> Any:
        match field.name:
            case "id":
                return str(one["id"])
            case "published":
                return one["published"]
            case "parent":
                parent = self.objects.get(one["parent"])
                return {} if parent is None else self._object(parent, field.selected)
            case "children":
                kinds = field.arguments.get("objectTypes", ["object", "folder"])
                below = [other for other in self.objects.values() if other["parent"] == one["id"] and other["kind"] in kinds]
                return [self._object(other, field.selected) for other in below]
        value = self._inherited(one, field.name)
        if isinstance(value, Link):
            linked = [self._linked(value.to, id, field.selected) for id in value.ids]
            return (linked[0] if linked else None) if value.is_one else linked
        return value.get(field.arguments.get("language", "en")) if isinstance(value, dict) else value

    def _linked(self, to: str, id: int, selected: tuple[Field | Fragment, ...]) -> Any:
        if to == "gallery":
            return {one.alias: self._linked("asset", id, one.selected) for one in selected}  # type: ignore[union-attr]
        if to == "asset":
            return {one.alias: str(id) if one.name == "id" else self.assets[id][one.name] for one in selected if isinstance(one, Field)}
        return self._object(self.objects[id], selected) if id in self.objects else None

    def _inherited(self, one: Json, name: str) -> Any:
        """An object's own value, else that of the object of its class above it."""
        value, parent = one["fields"].get(name), self.objects.get(one["parent"])
        return self._inherited(parent, name) if value is None and parent and parent["class"] == one["class"] else value
