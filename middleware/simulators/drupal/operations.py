"""The module's operations route of the simulated site: JSON:API Atomic Operations, each on its own, as commerce_waybill_operations does.

What is added although it is there is compared and updated; what is removed although it is not is absent; a variation stays only
together with a product. Contract: docs/contracts/drupal-module.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from middleware.simulators.drupal import writes
from middleware.simulators.drupal.access import Authentication, Viewer, refusal
from middleware.simulators.drupal.entities import Entity
from middleware.simulators.drupal.problems import Problem
from middleware.simulators.drupal.site import PRODUCT, VARIATION, Site

STATUS_PATH, OPERATIONS_PATH = "/waybill/v1/status", "/waybill/v1/operations"
MOST = 500
Json = dict[str, Any]


class Operations:
    """Answers the module's two routes that feeds use."""

    def __init__(self, site: Site, authentication: Authentication) -> None:
        self._site = site
        self._authentication = authentication
        self.batches = 0

    def answer(self, request: Request) -> Response:
        if request.path == STATUS_PATH:
            return _reply({"capabilities": ["operations"], "version": "1.0"})
        viewer = self._authentication.viewer(request.headers.get("Authorization"), request.remote_addr or "")
        if viewer.user is None:
            return _reply({"errors": [{"title": "Unauthorized", "status": "401"}]}, 401)
        operations = writes.decoded(request.get_data()).get("atomic:operations", [])
        if len(operations) > MOST:
            return _reply({"errors": [{"title": "Payload Too Large", "status": "413"}]}, 413)
        self.batches += 1
        results = [self._result(viewer, operation, operations) for operation in operations]
        return _reply({"atomic:results": [self._settled(result) for result in results]})

    def _result(self, viewer: Viewer, operation: Json, all_operations: list[Json]) -> Json:
        ref = operation.get("ref") or operation["data"]
        try:
            entity = self._site.entities.find(ref["id"], ref["type"])
            status = self._carried_out(viewer, operation, ref, entity, all_operations)
        except Problem as problem:
            return {"errors": problem.errors(OPERATIONS_PATH)}
        return {"data": {"type": ref["type"], "id": ref["id"]}, "meta": {"status": status}}

    def _carried_out(self, viewer: Viewer, operation: Json, ref: Json, entity: Entity | None, all_operations: list[Json]) -> str:
        about = self._site.types.get(ref["type"])
        if about is None:
            raise Problem(422, f"There is no resource type {ref['type']}.", pointer="/data/type")
        verb = {"add": "create", "update": "update", "remove": "delete"}[operation["op"]]
        if why := refusal(viewer, verb, about):
            raise Problem(403, why)
        if operation["op"] == "remove":
            return self._removed(entity, ref.get("langcode"))
        if ref.get("langcode"):
            return self._translated(entity, operation["data"], ref["langcode"])
        if entity is not None:
            return self._updated(entity, operation["data"])
        if operation["op"] == "update":
            raise Problem(404, "The resource could not be found.", pointer="/ref")
        return self._created(viewer, about.name, operation["data"], all_operations)

    def _created(self, viewer: Viewer, type_name: str, data: Json, all_operations: list[Json]) -> str:
        assert viewer.user is not None
        about = self._site.types[type_name]
        owner, langcode = viewer.user.uuid, self._site.languages[0]
        comes_with_family = type_name == PRODUCT and data["id"] in _families(all_operations)
        unchecked = ("variations",) if comes_with_family else ()
        self._site.save(writes.create(self._site, about, data, owner=owner, langcode=langcode, unchecked=unchecked))
        return "created"

    def _updated(self, entity: Entity, data: Json) -> str:
        draft = writes.update(self._site, entity, data, langcode=entity.langcode)
        if not self._site.differs(draft, entity):
            return "unchanged"
        self._site.save(draft)
        return "updated"

    def _translated(self, entity: Entity | None, data: Json, langcode: str) -> str:
        if entity is None:
            raise Problem(404, "The resource could not be found.", pointer="/ref")
        if not entity.type.translatable or langcode not in self._site.languages:
            raise Problem(422, f'A translation "{langcode}" is not possible.', pointer="/ref/langcode")
        draft = entity.copy()
        new = langcode not in draft.translations
        draft.translations.setdefault(langcode, {})
        draft = writes.update(self._site, draft, data, langcode=langcode)
        if not new and not self._site.differs(draft, entity):
            return "unchanged"
        self._site.save(draft)
        return "created" if new else "updated"

    def _removed(self, entity: Entity | None, langcode: str | None) -> str:
        if entity is None or (langcode and langcode not in entity.translations):
            return "absent"
        if langcode:
            draft = entity.copy()
            del draft.translations[langcode]
            self._site.save(draft)
        else:
            self._site.delete(entity)
        return "removed"

    def _settled(self, result: Json) -> Json:
        """A variation that no product has is no variation: it goes again."""
        made = result.get("data", {})
        entity = self._site.entities.find(made["id"]) if made else None
        if entity is None or entity.type.name != VARIATION or entity.references["product_id"]:
            return result
        self._site.entities.drop(entity.uuid)
        return {"errors": [{"title": "Unprocessable Content", "status": "422", "detail": "A variation needs a product."}]}


def _families(operations: Iterable[Json]) -> set[str]:
    """The products that variations of a batch name as theirs."""
    found = set()
    for operation in operations:
        data = operation.get("data") or {}
        product = ((data.get("relationships") or {}).get("product_id") or {}).get("data") or {}
        if data.get("type") == VARIATION and product:
            found.add(str(product["id"]))
    return found


def _reply(body: Json, status: int = 200) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), status, content_type="application/vnd.api+json")
