"""The content of the simulated site: entities by type and UUID, and the numbers that the database gives out."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from middleware.simulators.drupal.resource_types import Kind, ResourceType


@dataclass(slots=True)
class Entity:
    """One entity in its default language. `values` are as stored (Kind), `references` hold UUIDs, `translations` the values
    that differ per language."""

    type: ResourceType
    uuid: str
    id: int | str
    values: dict[str, Any]
    references: dict[str, Any]
    langcode: str = "en"
    translations: dict[str, dict[str, Any]] = field(default_factory=dict)

    def targets(self, name: str) -> list[str]:
        """The UUIDs that a relationship points at, as a list whatever its cardinality."""
        found = self.references[name]
        if self.type.references[name].many:
            return list(found)
        return [found] if found else []

    def copy(self) -> Entity:
        return Entity(
            self.type,
            self.uuid,
            self.id,
            copy.deepcopy(self.values),
            copy.deepcopy(self.references),
            self.langcode,
            copy.deepcopy(self.translations),
        )


class Entities:
    """Everything that is stored, oldest first within a type. `last_ids` may be set to go on from."""

    def __init__(self) -> None:
        self.last_ids: dict[str, int] = {}
        self._by_type: dict[str, dict[str, Entity]] = {}
        self._by_uuid: dict[str, Entity] = {}
        self._referring: dict[tuple[str, str], dict[str, None]] = {}

    def put(self, entity: Entity) -> None:
        """Store an entity as the database would: prices with six decimals."""
        stored = entity.copy()
        for name, spec in entity.type.fields.items():
            if spec.kind is Kind.PRICE and stored.values[name]:
                stored.values[name] = _as_column(stored.values[name])
        self._by_type.setdefault(entity.type.name, {})[entity.uuid] = stored
        self._by_uuid[entity.uuid] = stored
        for name, target in stored.references.items():
            if isinstance(target, str):
                self._referring.setdefault((name, target), {})[entity.uuid] = None

    def find(self, uuid: str, type_name: str | None = None) -> Entity | None:
        """The stored entity; to be changed only through a copy and `put`."""
        found = self._by_uuid.get(uuid)
        return found if found and type_name in (None, found.type.name) else None

    def get(self, uuid: str) -> Entity:
        return self._by_uuid[uuid]

    def of(self, type_name: str) -> Iterator[Entity]:
        return iter(list(self._by_type.get(type_name, {}).values()))

    def referring(self, name: str, target: str) -> Iterator[Entity]:
        """What points at `target` by the single-valued reference `name`, oldest first."""
        for uuid in list(self._referring.get((name, target), ())):
            found = self._by_uuid.get(uuid)
            if found and found.references[name] == target:
                yield found

    def drop(self, uuid: str) -> None:
        entity = self._by_uuid.pop(uuid)
        del self._by_type[entity.type.name][uuid]

    def next_id(self, entity_type: str) -> int:
        self.last_ids[entity_type] = self.last_ids.get(entity_type, 0) + 1
        return self.last_ids[entity_type]


def _as_column(price: dict[str, str]) -> dict[str, str]:
    number = Decimal(price["number"]).quantize(Decimal("0.000001"), ROUND_HALF_UP)
    return {"number": f"{number:f}", "currency_code": price["currency_code"]}
