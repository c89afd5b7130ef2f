"""How entities look as JSON:API documents: attributes, relationships, links, included resources."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from mappings.canonical import ISO_EXPONENTS
from middleware.simulators.drupal.access import Viewer, refusal
from middleware.simulators.drupal.entities import Entities, Entity
from middleware.simulators.drupal.problems import Problem
from middleware.simulators.drupal.queries import Params
from middleware.simulators.drupal.resource_types import Kind, ResourceType

Json = dict[str, Any]
_VERSION = {"version": "1.0", "meta": {"links": {"self": {"href": "http://jsonapi.org/format/1.0/"}}}}
_OMITTED = {
    "detail": "Some resources have been omitted because of insufficient authorization.",
    "help": "https://www.drupal.org/docs/8/modules/json-api/filtering#filters-access-control",
}
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


def document(**members: Any) -> Json:
    """A top-level document with the members that are given."""
    return {"jsonapi": _VERSION, **members}


def rfc3339(seconds: int | None) -> str | None:
    """Unix seconds as Drupal shows them, in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def formatted(price: Json) -> str:
    """A price for people, in American English: at least the currency's decimals, at most six."""
    currency = price["currency_code"]
    number = Decimal(price["number"]).quantize(Decimal("0.000001"), ROUND_DOWN)
    whole, _, decimals = f"{abs(number):,f}".partition(".")
    shown = decimals.rstrip("0").ljust(ISO_EXPONENTS.get(currency, 2), "0")
    sign = "-" if number < 0 else ""
    return f"{sign}{_SYMBOLS.get(currency, currency)}{whole}{'.' if shown else ''}{shown}"


def shown_price(price: Json | None) -> Json | None:
    return {**price, "formatted": formatted(price)} if price else None


def refused_view(why: str) -> str:
    return f"The current user is not allowed to GET the selected resource. {why}".rstrip()


@dataclass(slots=True)
class Documents:
    """Renders for one request: `base` is the URL up to and with `/jsonapi`. What the viewer may not see gathers in `omitted`."""

    entities: Entities
    viewer: Viewer
    base: str
    langcode: str
    params: Params
    omitted: Json = field(default_factory=dict)

    def url(self, entity: Entity) -> str:
        return f"{self.base}/{entity.type.path}/{entity.uuid}"

    def resource(self, entity: Entity) -> Json:
        """One resource object, with the sparse fields that the request asks for."""
        wanted = self.params.get("fields", {}).get(entity.type.name)
        names = None if wanted is None else set(wanted.split(","))
        attributes = {name: value for name, value in self._attributes(entity) if names is None or name in names}
        relationships = {name: self._linked(entity, name) for name in entity.type.references if names is None or name in names}
        body: Json = {"type": entity.type.name, "id": entity.uuid, "links": self._links(entity)}
        if attributes:
            body["attributes"] = attributes
        if relationships:
            body["relationships"] = relationships
        return body

    def visible(self, entities: Iterable[Entity]) -> list[Entity]:
        """Those that the viewer may see; the others are noted in `omitted`, unless a permission is all that is missing."""
        seen = []
        for entity in entities:
            why = refusal(self.viewer, "view", entity.type, entity)
            if why is None:
                seen.append(entity)
            elif not why.startswith("The following permissions"):
                self._omit(entity, why)
        return seen

    def included(self, entities: Iterable[Entity]) -> list[Json]:
        """The resources that `include` asks for, each once, in the order of the paths."""
        found: dict[str, Entity] = {}
        roots = list(entities)
        for tree in _trees(self.params.get("include", "")):
            self._gather(roots, tree, found)
        return [self.resource(entity) for entity in found.values()]

    def relationship(self, entity: Entity, name: str) -> Json:
        """The linkage of one relationship, with its links."""
        base, version = self.url(entity), _version_query(entity)
        links = {"related": {"href": f"{base}/{name}{version}"}, "self": {"href": f"{base}/relationships/{name}{version}"}}
        return {"data": self._linkage(entity, name), "links": links}

    def meta(self) -> Json:
        """`meta` of a collection, empty when nothing was left out."""
        if not self.omitted:
            return {}
        links = {"help": {"href": _OMITTED["help"]}, **self.omitted}
        return {"meta": {"omitted": {"detail": _OMITTED["detail"], "links": links}}}

    def _omit(self, entity: Entity, why: str) -> None:
        url = self.url(entity)
        key = hashlib.sha256(url.encode()).hexdigest()[:7]
        self.omitted[f"item--{key}"] = {"href": url, "meta": {"rel": "item", "detail": refused_view(why)}}

    def _gather(self, roots: Iterable[Entity], tree: list[str], found: dict[str, Entity]) -> None:
        head, *rest = tree
        for root in roots:
            check_include(root.type, head)
            targets = self.visible(self.entities.get(uuid) for uuid in root.targets(head))
            for target in targets:
                found.setdefault(target.uuid, target)
            if rest:
                self._gather(targets, rest, found)

    def _linked(self, entity: Entity, name: str) -> Json:
        if refusal(self.viewer, "view", entity.type, entity) is not None:
            return {"data": self._linkage(entity, name)}
        return self.relationship(entity, name)

    def _linkage(self, entity: Entity, name: str) -> Json | list[Json] | None:
        targets = [self.entities.find(uuid) for uuid in entity.targets(name)]
        found = [_identifier(target) for target in targets if target]  # Drupal leaves out what is not there any more
        if entity.type.references[name].many:
            return found
        return found[0] if found else None

    def _links(self, entity: Entity) -> Json:
        links = {"self": {"href": f"{self.url(entity)}{_version_query(entity)}"}}
        if entity.type.revisionable:
            links["working-copy"] = {"href": f"{self.url(entity)}?resourceVersion=rel%3Aworking-copy"}
        return links

    def _attributes(self, entity: Entity) -> Iterator[tuple[str, Any]]:
        if entity.type.id_field:
            yield entity.type.id_field, entity.id
        langcode = self.langcode if self.langcode in entity.translations else entity.langcode
        values = {**entity.values, **entity.translations.get(langcode, {})}
        for name, spec in entity.type.fields.items():
            yield name, _shown(spec.kind, values[name], langcode, entity)


def check_include(about: ResourceType, name: str) -> None:
    """Raises Problem when a resource type has no such relationship."""
    if name not in about.references:
        possible = ", ".join(about.references)
        raise Problem(400, f"`{name}` is not a valid relationship field name. Possible values: {possible}.")


def _trees(include: str) -> list[list[str]]:
    return [path.split(".") for path in include.split(",") if path]


def _version_query(entity: Entity) -> str:
    return f"?resourceVersion=id%3A{entity.id}" if entity.type.revisionable else ""


def _identifier(target: Entity) -> Json:
    meta = {"target_revision_id": target.id} if target.type.revisionable else {}
    return {"type": target.type.name, "id": target.uuid, "meta": {**meta, "drupal_internal__target_id": target.id}}


def _shown(kind: Kind, value: Any, langcode: str, entity: Entity) -> Any:
    if kind in _COMPUTED:
        return _COMPUTED[kind](langcode, entity)
    if kind in _STORED and value is not None:
        return _STORED[kind](value)
    return list(value) if isinstance(value, tuple) else value


def _adjustments(value: Iterable[Json]) -> list[Json]:
    return [{**one, "amount": shown_price(one["amount"])} for one in value]


def _body(value: Json) -> Json:
    text = html.escape(value["value"]).replace("&#x27;", "&#039;")
    return {**value, "processed": f"<p>{text}</p>\n", "summary": value.get("summary")}


_STORED: dict[Kind, Callable[[Any], Any]] = {
    Kind.TIME: rfc3339,
    Kind.DATETIME: rfc3339,
    Kind.PRICE: shown_price,
    Kind.ADJUSTMENTS: _adjustments,
    Kind.BODY: _body,
}
_COMPUTED: dict[Kind, Callable[[str, Entity], Any]] = {
    Kind.LANGCODE: lambda langcode, entity: langcode,
    Kind.IS_DEFAULT_LANGUAGE: lambda langcode, entity: langcode == entity.langcode,
    Kind.PATH: lambda langcode, entity: {"alias": None, "pid": None, "langcode": langcode},
    Kind.REVISION: lambda langcode, entity: entity.id,
}
