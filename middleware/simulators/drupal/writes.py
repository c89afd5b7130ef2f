"""From a request body to an entity that may be saved: reading, access to fields, validation."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from middleware.simulators.drupal import orders
from middleware.simulators.drupal.entities import Entity
from middleware.simulators.drupal.problems import Invalid, Problem, Violation
from middleware.simulators.drupal.resource_types import Kind, Reference, ResourceType
from middleware.simulators.drupal.site import VARIATION, Site

Json = dict[str, Any]
_STALE = (
    "Entity is not valid: The {} has either been modified by another user, or you have already submitted modifications. "
    "As a result, your changes cannot be saved."
)


def decoded(body: bytes) -> Any:
    """The decoded body; raises Problem for an empty or malformed one."""
    if not body:
        raise Problem(400, "Empty request body.")
    try:
        return json.loads(body)
    except ValueError as error:
        raise Problem(400, "Syntax error") from error


def resource_object(body: bytes) -> Json:
    """`data` of a document, which must name a type (which type it names does not matter to Drupal)."""
    document = decoded(body)
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict) or "type" not in data:
        raise Problem(400, 'Resource object must include a "type".')
    return data


def create(site: Site, about: ResourceType, data: Json, *, owner: str, langcode: str, unchecked: Collection[str] = ()) -> Entity:
    """A valid new entity, not yet saved; `unchecked` fields come later. Raises Problem."""
    values, references = _read(site, about, data)
    if "id" in data and site.entities.find(data["id"]):
        raise Problem(409, "Conflict: Entity already exists.")
    if "uid" in about.references:
        references.setdefault("uid", owner)
    draft = site.draft(about.name, values, references, uuid=data.get("id"), langcode=langcode)
    _refuse(_violations(site, draft, None, [name for name in about.validated if name not in unchecked]))
    return draft


def update(site: Site, entity: Entity, data: Json, *, langcode: str) -> Entity:
    """A changed, valid copy of an entity, not yet saved; raises Problem."""
    if data.get("id") != entity.uuid:
        raise Problem(400, f"The selected entity ({entity.uuid}) does not match the ID in the payload ({data.get('id', '')}).")
    values, references = _read(site, entity.type, data)
    for name, value in values.items():
        if entity.type.fields[name].frozen and entity.values[name] != value:
            detail = f"The current user is not allowed to PATCH the selected field ({name})."
            raise Problem(403, detail, pointer=f"/data/attributes/{name}")
    draft = entity.copy()
    (draft.values if langcode == entity.langcode else draft.translations[langcode]).update(values)
    draft.references.update(references)
    _refuse(_violations(site, draft, entity, [name for name in entity.type.validated if name in values or name in references]))
    return draft


def check_current(site: Site, loaded: Entity) -> None:
    """Refuse a write when somebody saved the content after it was loaded, and a second went by."""
    stored = site.entities.get(loaded.uuid)
    if stored.values.get("changed", 0) > loaded.values.get("changed", 0):
        raise Invalid([Violation(_STALE.format("content"))])


def identified(site: Site, reference: Reference, data: Any) -> Any:
    """Resource identifiers to UUIDs; raises Problem for a target that does not exist."""
    if reference.many:
        return [_found(site, one) for one in (data if isinstance(data, list) else [data]) if one]
    return _found(site, data) if data else None


def _found(site: Site, identifier: Json) -> str:
    name, target = identifier.get("type", ""), identifier.get("id", "")
    if not site.entities.find(target, name):
        raise Problem(404, f"The resource identified by `{name}:{target}` (given as a relationship item) could not be found.")
    return str(target)


def _read(site: Site, about: ResourceType, data: Json) -> tuple[Json, Json]:
    values = {}
    for name, value in data.get("attributes", {}).items():
        if name not in about.fields:
            raise Problem(422, f"The attribute {name} does not exist on the {about.name} resource type.", info="")
        if not about.fields[name].generated:
            values[name] = _value(about.fields[name].kind, value)
    references = {}
    for name, body in data.get("relationships", {}).items():
        if name not in about.references:
            raise Problem(422, f"The relationship {name} does not exist on the {about.name} resource type.", info="")
        references[name] = identified(site, about.references[name], body.get("data"))
    return values, references


def _value(kind: Kind, value: Any) -> Any:
    if kind is Kind.PRICE:
        complete = isinstance(value, dict) and value.get("number") is not None and value.get("currency_code")
        return {"number": str(value["number"]), "currency_code": str(value["currency_code"])} if complete else None
    if kind is Kind.DATETIME and isinstance(value, str):
        return _datetime(value)
    if kind is Kind.TIME and isinstance(value, str):
        try:
            return int(datetime.fromisoformat(value).timestamp())
        except ValueError:
            return value
    if kind is Kind.INTEGER and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    return value


def _datetime(value: str) -> int:
    try:
        return int(datetime.strptime(value, "%Y-%m-%dT%H:%M:%S%z").timestamp())
    except ValueError:
        formats = '"Y-m-d\\TH:i:sP" (RFC 3339), "Y-m-d\\TH:i:sO" (ISO 8601)'
        raise Problem(422, f'The specified date "{value}" is not in an accepted format: {formats}.', info="") from None


def _refuse(violations: Iterable[Violation]) -> None:
    found = list(violations)
    if found:
        raise Invalid(found)


def _violations(site: Site, draft: Entity, before: Entity | None, names: Iterable[str]) -> Iterator[Violation]:
    about = draft.type
    for name in names:
        spec = about.fields.get(name)
        value = draft.values[name] if spec else draft.references[name]
        required = spec.required if spec else about.references[name].required
        if required and value in (None, "", []):
            yield Violation(f"{name}: This value should not be null.", f"/attributes/{name}")
        elif spec and value is not None:
            if spec.longest and len(str(value)) > spec.longest:
                detail = f"{name}.0.value: {name.title()}: may not be longer than {spec.longest} characters."
                yield Violation(detail, f"/attributes/{name}/value")
            yield from _of_kind(site, name, spec.kind, value)
            yield from _of_entity(site, draft, before, name)


def _of_kind(site: Site, name: str, kind: Kind, value: Any) -> Iterator[Violation]:
    if kind is Kind.PRICE:
        if not _is_number(value["number"]):
            yield Violation(f"{name}.0.number: This value is not valid.", f"/attributes/{name}/number")
        if value["currency_code"] not in site.currencies:
            detail = f'{name}.0.currency_code: The currency "{value["currency_code"]}" is not valid.'
            yield Violation(detail, f"/attributes/{name}/currency_code")
    elif kind is Kind.MAIL and "@" not in str(value):
        yield Violation(f"{name}.0.value: This value is not a valid email address.", f"/attributes/{name}/value")
    elif kind in _PRIMITIVES and not isinstance(value, _PRIMITIVES[kind]):
        yield Violation(f"{name}.0.value: This value should be of the correct primitive type.", f"/attributes/{name}/value")


def _of_entity(site: Site, draft: Entity, before: Entity | None, name: str) -> Iterator[Violation]:
    value = draft.values[name]
    if draft.type.name == VARIATION and name == "sku":
        others = (one for one in site.entities.of(VARIATION) if one.uuid != draft.uuid)
        if any(str(one.values["sku"]).casefold() == str(value).casefold() for one in others):
            yield Violation(f'sku: The SKU "{value}" is already in use and must be unique.', "/attributes/sku")
    if draft.type.entity_type != "commerce_order" or before is None:
        return
    if name == "state" and value != before.values["state"] and not orders.transition(site.workflow, before.values["state"], value):
        yield Violation(f"state.0: The state '{value}' is invalid.", "/attributes/state/0")
    if name == "version" and isinstance(value, int) and value < before.values["version"]:
        yield Violation(_STALE.format("order"))


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


_PRIMITIVES: dict[Kind, type] = {Kind.INTEGER: int, Kind.BOOLEAN: bool, Kind.TIME: int, Kind.DATETIME: int, Kind.TEXT: str}
