"""What is wanted of a thing as a JSON:API resource: attributes, relationships to what is in the shop, files uploaded once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from mappings import drupal_catalog as words
from mappings.wanted import CONFIGURED, FILE, REFERS, Of
from middleware.errors import Rejected, Transient
from middleware.ports import Write

Ask = Callable[..., Any]
"""`ask(method, path, body, media=, params=, headers=, also=)` of the connector: signed, limited, its errors told apart."""


@dataclass(slots=True)
class Resources:
    """One shop's words for things. `store` is the uuid of the store that new things are sold in, "" for the first one."""

    shop: str
    ask: Ask
    product_bundle: str = "default"
    variation_bundle: str = "default"
    store_bundle: str = "online"
    store: str = ""
    order_type: str = "default"
    has_links: Callable[[], bool] = lambda: False
    """Whether things of the shop have the module's field for ids of other systems."""
    _configured: dict[tuple[str, str], str] = field(default_factory=dict)
    _zone: str = ""

    def bundle(self, kind: str, bundle: str) -> str:
        """The bundle of a thing; that of a connection for tables that name none."""
        if bundle != "default":
            return bundle
        return {Of.PRODUCT: self.product_bundle, Of.VARIATION: self.variation_bundle}.get(Of(kind), bundle)

    def type_of(self, write: Write) -> str:
        return words.resource_type(write.kind, self.bundle(write.kind, write.bundle))

    def id_of(self, write: Write) -> str:
        return write.remote_id or words.new_id(self.shop, write.kind, write.key)

    def body(self, write: Write, uuid: str) -> dict[str, Any]:
        """The resource object of what is wanted, whether it is there or not."""
        attributes: dict[str, Any] = {}
        relationships: dict[str, Any] = {}
        for name, value in write.fields.items():
            if isinstance(value, Mapping) and not {REFERS, CONFIGURED, FILE}.isdisjoint(value):
                relationships[name] = {"data": self._linked(write, name, value)}
            else:
                attributes[name] = self.stored(write, name, value)
        if write.was_gone:
            attributes.setdefault("status", True)
        if write.links and write.kind in words.LINKED and self.has_links():
            attributes["waybill_links"] = list(write.links)
        return self._resource(self.type_of(write), uuid, attributes, relationships)

    def new_body(self, write: Write) -> dict[str, Any]:
        """The resource object of a new thing: also what it is known by, and where it is sold."""
        found = self.body(write, self.id_of(write))
        relationships = found.setdefault("relationships", {})
        if write.kind == Of.VARIATION:
            found["attributes"]["sku"] = write.key
            if write.parent_id:
                product = words.resource_type(Of.PRODUCT, self.product_bundle)
                relationships["product_id"] = {"data": words.identifier(product, write.parent_id)}
        if write.kind in words.SOLD_IN_STORES:
            store = words.identifier(f"commerce_store--{self.store_bundle}", self._store())
            relationships.setdefault("stores", {"data": [store]})
        if write.kind == Of.PROMOTION:
            order_type = "commerce_order_type"
            kinds = [words.identifier(f"{order_type}--{order_type}", self._configured_id(order_type, self.order_type))]
            relationships.setdefault("order_types", {"data": kinds})
        return found

    def stored(self, write: Write, name: str, value: Any) -> Any:
        """An attribute as the shop keeps it."""
        if isinstance(value, str) and write.kind in words.VALID_FOR_A_WHILE and name in words.VALIDITY:
            return words.on_the_wall(name, value, self._store_zone())
        return value

    def _resource(self, type_name: str, uuid: str, attributes: Mapping[str, Any], relationships: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"type": type_name, "id": uuid, "attributes": dict(attributes)}
        return found | ({"relationships": dict(relationships)} if relationships else {})

    def _linked(self, write: Write, name: str, value: Mapping[str, Any]) -> Any:
        """The linkage of a relationship; None for one to nothing."""
        if REFERS in value:
            found = [self._target(write, one) for one in value[REFERS]]
            return found if value["many"] else (found[0] if found else None)
        if CONFIGURED in value:
            entity_type, code = value[CONFIGURED]
            found = [words.identifier(f"{entity_type}--{entity_type}", self._configured_id(entity_type, code))]
            return found if value["many"] else found[0]
        return self._file(write, name, value)

    def _target(self, write: Write, name: str) -> dict[str, Any]:
        target = write.targets.get(name)
        if target is None:
            raise Transient(f"{name} is not in the shop yet")
        return words.identifier(words.resource_type(target.kind, self.bundle(target.kind, target.bundle)), target.remote_id)

    def _configured_id(self, entity_type: str, code: str) -> str:
        """The uuid of a configuration entity by its machine name."""
        if (entity_type, code) not in self._configured:
            params = [("filter[drupal_internal__id]", code)]
            found = words.configured_id(self.ask("GET", f"/jsonapi/{entity_type}/{entity_type}", params=params).json())
            if not found:
                raise Rejected(f"the shop has no {entity_type} {code!r}")
            self._configured[entity_type, code] = found
        return self._configured[entity_type, code]

    def _file(self, write: Write, name: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """A file of the source, uploaded once: its name holds its content's hash. https://www.drupal.org/node/3024331"""
        blob = write.file_of(value["from"], value[FILE])
        digest = hashlib.sha256(blob.content).hexdigest()[:16]
        stored = f"{digest}-{''.join(one if one.isascii() and (one.isalnum() or one in '.-_') else '-' for one in blob.name)[-100:]}"
        found = self.ask("GET", "/jsonapi/file/file", params=[("filter[filename]", stored)]).json()["data"]
        if not found:
            path = words.path_of(write.kind, self.bundle(write.kind, write.bundle)) + f"/{name}"
            headers = {"Content-Disposition": f'file; filename="{quote(stored)}"', "Accept": words.MEDIA}
            reply = self.ask("POST", path, blob.content, media="application/octet-stream", headers=headers)
            found = [reply.json()["data"]]
        return words.identifier("file--file", str(found[0]["id"]), alt=str(write.fields.get("name", blob.name)))

    def _store(self) -> str:
        self._know_store()
        return self.store

    def _store_zone(self) -> str:
        self._know_store()
        return self._zone

    def _know_store(self) -> None:
        if self.store and self._zone:
            return
        found = self.ask("GET", f"/jsonapi/commerce_store/{self.store_bundle}").json()["data"]
        chosen = next((one for one in found if self.store in ("", str(one["id"]))), None)
        if chosen is None:
            raise Rejected(f"the shop has no store {self.store} of type {self.store_bundle}".replace("  ", " "))
        self.store, self._zone = str(chosen["id"]), str(chosen["attributes"].get("timezone") or "UTC")
