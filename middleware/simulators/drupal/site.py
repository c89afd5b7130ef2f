"""The simulated site below its web layer: content, its saving rules, and who listens to orders."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from middleware.simulators.drupal import orders
from middleware.simulators.drupal.catalog_types import catalog_types
from middleware.simulators.drupal.entities import Entities, Entity
from middleware.simulators.drupal.resource_types import Kind, resource_types

VARIATION, PRODUCT = "commerce_product_variation--default", "commerce_product--default"
ORDER, STORE = "commerce_order--default", "commerce_store--online"
_UNSAVED = -1


class Site:
    """`clock` tells unix seconds; `on_order` hears the kind of event and the saved order; `meanwhile`, when set, runs between
    the loading and the saving of a PATCH, as a second editor would."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        order_fields: Iterable[str],
        workflow: str,
        languages: tuple[str, ...],
        catalog: bool = False,
        linked: bool = False,
    ) -> None:
        self.entities = Entities()
        plain = resource_types(order_fields)
        self.types = catalog_types(plain.values(), linked=linked) if catalog else plain
        self.languages = languages
        self.workflow = workflow
        self.on_order: Callable[[str, Entity], None] = lambda kind, order: None
        self.meanwhile: Callable[[Entity], None] | None = None
        self.clock = clock
        self.currencies: frozenset[str] = frozenset()

    def now(self) -> int:
        return int(self.clock())

    def draft(self, type_name: str, values: dict[str, Any], references: dict[str, Any], **identity: Any) -> Entity:
        """A new entity with defaults, not saved. `identity` may give uuid, id and langcode."""
        about = self.types[type_name]
        times = {name: self.now() for name in ("created", "changed", "revision_created") if name in about.fields}
        defaults = {name: spec.default for name, spec in about.fields.items()}
        bundle = {name: self._bundle(spec.targets[0], about.bundle) for name, spec in about.references.items() if spec.frozen}
        empty: dict[str, Any] = {name: [] if spec.many else None for name, spec in about.references.items()}
        number = identity.get("id")
        return Entity(
            about,
            identity.get("uuid") or str(uuid.uuid4()),
            _UNSAVED if number is None else number,
            {**defaults, **times, **values},
            {**empty, **bundle, **references},
            identity.get("langcode", self.languages[0]),
        )

    def save(self, draft: Entity) -> None:
        """Save an entity with all that this causes; `draft` itself is completed as a response to a write shows it."""
        before = self.entities.find(draft.uuid)
        if draft.id == _UNSAVED:
            draft.id = self.entities.next_id(draft.type.entity_type)
        if "changed" in draft.values and before and self.differs(draft, before):
            draft.values["changed"] = self.now()
        match draft.type.entity_type:
            case "commerce_product":
                self._save_product(draft)
            case "commerce_product_variation":
                self._save_variation(draft)
            case "commerce_order":
                self._save_order(draft, before)
            case "commerce_payment":
                self._save_payment(draft)
            case _:
                self.entities.put(draft)

    def differs(self, draft: Entity, before: Entity) -> bool:
        """Whether saving would change anything."""
        return _differs(draft, before)

    def delete(self, entity: Entity) -> None:
        """Delete an entity; a product takes its variations along, a variation leaves its product's list."""
        if entity.type.name == PRODUCT:
            for target in entity.targets("variations"):
                self.entities.drop(target)
        if entity.type.name == VARIATION and (product := self.entities.find(entity.references["product_id"] or "")):
            self._list(product, [one for one in product.targets("variations") if one != entity.uuid])
        self.entities.drop(entity.uuid)

    def _save_product(self, draft: Entity) -> None:
        self.entities.put(draft)
        self._list(draft, draft.targets("variations"))
        for target in draft.targets("variations"):
            variation = self.entities.get(target).copy()
            if variation.references["product_id"]:
                continue
            variation.references["product_id"] = draft.uuid
            variation.values.update(title=draft.values["title"], changed=self.now())
            self.entities.put(variation)

    def _save_variation(self, draft: Entity) -> None:
        product = self.entities.find(draft.references["product_id"] or "")
        draft.values["title"] = product.values["title"] if product else None
        self.entities.put(draft)
        if product and draft.uuid not in product.targets("variations"):
            self._list(product, [*product.targets("variations"), draft.uuid])

    def _list(self, product: Entity, variations: list[str]) -> None:
        listed = product.copy()
        listed.references.update(variations=variations, default_variation=variations[0] if variations else None)
        self.entities.put(listed)

    def _save_order(self, draft: Entity, before: Entity | None) -> None:
        kinds = orders.prepare(self.entities, draft, before, workflow=self.workflow, now=self.now())
        self.entities.put(draft)
        for kind in kinds:
            self.on_order(kind, self.entities.get(draft.uuid))

    def _save_payment(self, draft: Entity) -> None:
        values = draft.values
        values["refunded_amount"] = values["refunded_amount"] or {"number": "0", "currency_code": values["amount"]["currency_code"]}
        for state, name in (("authorization", "authorized"), ("completed", "completed")):
            if values["state"] == state and not values[name]:
                values[name] = self.now()
        self.entities.put(draft)
        order = self.entities.find(draft.references["order_id"] or "")
        if order and order.values["state"] != "draft":
            self.save(order.copy())

    def _bundle(self, type_name: str, bundle: str) -> str | None:
        """The config entity that names the bundle, when the reference is one to a bundle."""
        return next((entity.uuid for entity in self.entities.of(type_name) if entity.id == bundle), None)


def _differs(draft: Entity, before: Entity) -> bool:
    def comparable(entity: Entity) -> dict[str, Any]:
        shown = dict(entity.values)
        for name, spec in entity.type.fields.items():
            if spec.kind is Kind.PRICE and shown[name]:
                shown[name] = (Decimal(shown[name]["number"]), shown[name]["currency_code"])
        return shown

    return (comparable(draft), draft.references, draft.translations) != (comparable(before), before.references, before.translations)
