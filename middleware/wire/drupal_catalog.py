"""Products and variations into a Drupal shop: one batch through the module's operations route, or one request each over JSON:API.

A thing is known by its id. What was never written is looked up by SKU first, so that a shop's own products are taken over; what is
new is created with an id that always is the same, so that a repeat after a crash finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mappings import drupal_catalog as words
from middleware.errors import CallError, RateLimited, Rejected, Transient, Unauthorized, UnknownOutcome
from middleware.ports import NOT_THERE, Write, Written

_EXISTS = 409
_SYSTEMIC = (RateLimited, Transient, Unauthorized, UnknownOutcome)
"""Errors that the next write of a batch would meet as well."""

Ask = Callable[..., Any]
"""`ask(method, path, body, media=, params=, also=)` of the connector: signed, limited, its errors told apart; gives its `Reply`."""


@dataclass(slots=True)
class Catalog:
    """One shop's catalog. `store` is the uuid of the store that new products are sold in, "" for the first one."""

    shop: str
    ask: Ask
    product_bundle: str = "default"
    variation_bundle: str = "default"
    store_bundle: str = "online"
    store: str = ""

    def write_batch(self, writes: Sequence[Write]) -> list[Written]:
        """Through the operations route, in one request."""
        known = self._with_ids(writes)
        answers: list[Written | None] = [self._impossible(write) for write in known]
        sent = [(index, self._operation(write)) for index, write in enumerate(known) if answers[index] is None]
        if sent:
            body = {"atomic:operations": [operation for _, operation in sent], "meta": {"mode": "each", "run": f"waybill:{self.shop}"}}
            reply = self.ask("POST", "/waybill/v1/operations", body, media=words.ATOMIC)
            results = reply.json()["atomic:results"]
            for (index, _), result in zip(sent, results, strict=True):
                answers[index] = _written(result, known[index].remote_id)
        return [found or Written(error=Rejected("no answer")) for found in answers]

    def write_one_by_one(self, writes: Sequence[Write]) -> list[Written]:
        """Over plain JSON:API, a request each."""
        known = self._with_ids(writes)
        answers: list[Written] = []
        stopped: CallError | None = None
        for write in known:
            if stopped is not None:
                answers.append(Written(error=stopped))
                continue
            try:
                answers.append(self._impossible(write) or self._write(write, known))
            except Rejected as error:
                answers.append(Written(error=error))
            except CallError as error:
                stopped = error if isinstance(error, _SYSTEMIC) else None
                answers.append(Written(error=error))
        return answers

    # identity

    def _with_ids(self, writes: Sequence[Write]) -> list[Write]:
        """Every write with the id of what it is about, and whether that exists is known by `is_new`."""
        unknown = sorted({write.key for write in writes if write.kind == "variation" and not write.remote_id})
        found: dict[str, tuple[str, str]] = {}
        for start in range(0, len(unknown), 50):
            params = words.skus_query(unknown[start : start + 50])
            found |= words.known_ids(self.ask("GET", words.path_of("variation", self.variation_bundle), params=params).json())
        products = {write.key: write.remote_id for write in writes if write.kind == "product" and write.remote_id}
        for write in writes:
            if write.kind == "variation" and write.parent:
                adopted = write.parent_id or found.get(write.key, ("", ""))[1]
                products.setdefault(write.parent, adopted) if adopted else None
        return [self._with_id(write, found, products) for write in writes]

    def _with_id(self, write: Write, found: Mapping[str, tuple[str, str]], products: Mapping[str, str]) -> Write:
        if write.kind == "product":
            return replace(write, remote_id=write.remote_id or products.get(write.key, "") or "")
        remote = write.remote_id or found.get(write.key, ("", ""))[0]
        parent = products.get(write.parent, "") or (words.new_id(self.shop, "product", write.parent) if write.parent else "")
        return replace(write, remote_id=remote, parent_id=parent)

    def _impossible(self, write: Write) -> Written | None:
        """What need not be asked: a price of nothing, and the end of what never was."""
        if write.remote_id or write.makes:
            return None
        if write.is_gone:
            return Written(status="absent")
        return Written(error=Rejected(NOT_THERE))

    def _id_of(self, write: Write) -> str:
        return write.remote_id or words.new_id(self.shop, write.kind, write.key)

    def _bundle(self, write: Write) -> str:
        return self.product_bundle if write.kind == "product" else self.variation_bundle

    # operations

    def _operation(self, write: Write) -> dict[str, Any]:
        ref = {"type": words.resource_type(write.kind, self._bundle(write)), "id": self._id_of(write)}
        if write.is_gone:
            return {"op": "update", "ref": ref, "data": {**ref, "attributes": {"status": False}}}
        if write.remote_id:
            return {"op": "update", "ref": ref, "data": {**ref, "attributes": dict(write.fields)}}
        return {"op": "add", "data": self._new(write)}

    def _new(self, write: Write) -> dict[str, Any]:
        if write.kind == "product":
            stores = {"stores": {"data": [{"type": f"commerce_store--{self.store_bundle}", "id": self._store()}]}}
            return words.resource("product", self.product_bundle, self._id_of(write), write.fields, stores)
        attributes = {"sku": write.key, **write.fields}
        product = {"product_id": words.to_one("product", self.product_bundle, write.parent_id)}
        return words.resource("variation", self.variation_bundle, self._id_of(write), attributes, product)

    def _store(self) -> str:
        if not self.store:
            found = self.ask("GET", f"/jsonapi/commerce_store/{self.store_bundle}").json()["data"]
            if not found:
                raise Rejected(f"the shop has no store of type {self.store_bundle}")
            self.store = str(found[0]["id"])
        return self.store

    # plain JSON:API

    def _write(self, write: Write, all_writes: Sequence[Write]) -> Written:
        if write.remote_id:
            attributes = {"status": False} if write.is_gone else dict(write.fields)
            body = {"data": words.resource(write.kind, self._bundle(write), write.remote_id, attributes, {})}
            self.ask("PATCH", words.path_of(write.kind, self._bundle(write), write.remote_id), body)
            return Written(write.remote_id, status="updated")
        if write.kind == "product":
            return self._create_product(write, all_writes)
        return self._create_variation(write)

    def _create_product(self, write: Write, all_writes: Sequence[Write]) -> Written:
        """A product needs a variation, which is an orphan until the product names it: so the first one is made just before."""
        first = next((one for one in all_writes if one.kind == "variation" and one.parent == write.key and one.makes), None)
        if first is None:
            raise Rejected("a product needs at least one variation", field="variations")
        variation = self._id_of(first)
        if not first.remote_id:
            attributes = {"sku": first.key, **first.fields}
            self._create("variation", words.resource("variation", self.variation_bundle, variation, attributes, {}))
        data = self._new(write)
        data["relationships"]["variations"] = {"data": [{"type": words.resource_type("variation", self.variation_bundle), "id": variation}]}
        return self._created_or_patched(write, data)

    def _create_variation(self, write: Write) -> Written:
        return self._created_or_patched(write, self._new(write))

    def _created_or_patched(self, write: Write, data: Mapping[str, Any]) -> Written:
        """What an earlier attempt made (or the first variation of a new product) gets what is wanted now."""
        if self._create(write.kind, data) != _EXISTS:
            return Written(self._id_of(write), status="created")
        return self._write(replace(write, remote_id=self._id_of(write)), ())

    def _create(self, kind: str, data: Mapping[str, Any]) -> int:
        """POST; an id that exists (409) is that of an earlier attempt. So is a SKU that exists although it was not found: Drupal
        hides a variation that no product has, and looks at the SKU before the id."""
        bundle = self.product_bundle if kind == "product" else self.variation_bundle
        try:
            return int(self.ask("POST", words.path_of(kind, bundle), {"data": data}, also=frozenset({_EXISTS})).status)
        except Rejected as error:
            if kind == "variation" and error.field.startswith("/data/attributes/sku"):
                return _EXISTS
            raise


def _written(result: Mapping[str, Any], remote_id: str) -> Written:
    status, made, error = words.answer(result)
    if error is None:
        return Written(made or remote_id, status=status)
    reason = " ".join(filter(None, (str(error.get("title", "")), str(error.get("detail", "")))))[:300]
    field = str((error.get("source") or {}).get("pointer", ""))
    retryable = (error.get("meta") or {}).get("retryable") or str(error.get("status", "")).startswith("5")
    return Written(error=Transient(reason) if retryable else Rejected(reason, field=field.partition("/data/")[2] or field))
