"""A catalog into a Drupal shop: one batch through the module's operations route, or one request for each thing over JSON:API.

A thing is known by its id. A variation that was never written is looked up by SKU first, so that a shop's own products are taken
over; what is new is created with an id that always is the same, so that a repeat after a crash finds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mappings import drupal_catalog as words
from mappings.wanted import Of
from middleware.errors import CallError, RateLimited, Rejected, Transient, Unauthorized, UnknownOutcome
from middleware.ports import DELETED, NOT_THERE, Write, Written
from middleware.wire.drupal_resources import Resources

_EXISTS, _ABSENT = 409, 404
_SYSTEMIC = (RateLimited, Transient, Unauthorized, UnknownOutcome)
"""Errors that the next write of a batch would meet as well."""
NO_TRANSLATIONS = "JSON:API cannot make or delete a translation: the shop needs the module commerce_waybill_operations"


@dataclass(slots=True)
class Catalog:
    """One shop's catalog."""

    resources: Resources

    def write_batch(self, writes: Sequence[Write]) -> list[Written]:
        """Through the operations route, in one request."""
        known = self._with_ids(writes)
        answers = [_needless(write) for write in known]
        sent: list[tuple[int, dict[str, Any]]] = []
        for index, write in enumerate(known):
            if answers[index] is None:
                try:
                    sent.append((index, self._operation(write)))
                except CallError as error:
                    answers[index] = Written(error=error)
        if sent:
            body = {
                "atomic:operations": [operation for _, operation in sent],
                "meta": {"mode": "each", "run": f"waybill:{self.resources.shop}"},
            }
            results = self.resources.ask("POST", "/waybill/v1/operations", body, media=words.ATOMIC).json()["atomic:results"]
            for (index, _), result in zip(sent, results, strict=True):
                answers[index] = _written(result, known[index])
            self._undo_empty(known, answers)
        return [found or Written(error=Rejected("no answer")) for found in answers]

    def _undo_empty(self, writes: Sequence[Write], answers: list[Written | None]) -> None:
        """A new product of whose variations none was taken is no product yet: it goes again, until one of them is good."""
        alive = {write.parent for write, answer in zip(writes, answers, strict=True) if write.kind == Of.VARIATION and _is_good(answer)}
        empty = [
            index
            for index, write in enumerate(writes)
            if write.kind == Of.PRODUCT and not write.remote_id and _is_good(answers[index]) and write.key not in alive
        ]
        if not empty:
            return
        refs = [words.identifier(self.resources.type_of(writes[index]), self.resources.id_of(writes[index])) for index in empty]
        body = {"atomic:operations": [{"op": "remove", "ref": ref} for ref in refs], "meta": {"mode": "each"}}
        self.resources.ask("POST", "/waybill/v1/operations", body, media=words.ATOMIC)
        for index in empty:
            answers[index] = Written(error=Rejected("a product needs at least one variation", field="variations"))

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
                answers.append(_needless(write) or self._write(write, known))
            except CallError as error:
                stopped = error if isinstance(error, _SYSTEMIC) else None
                answers.append(Written(error=error))
        return answers

    # identity

    def _with_ids(self, writes: Sequence[Write]) -> list[Write]:
        """Every write with the id of what it is about, as far as that is in the shop, and that of its product."""
        unknown = sorted({write.key for write in writes if write.kind == Of.VARIATION and not write.remote_id})
        found: dict[str, tuple[str, str]] = {}
        bundles = sorted({self.resources.bundle(write.kind, write.bundle) for write in writes if write.kind == Of.VARIATION})
        for bundle in bundles:
            for start in range(0, len(unknown), words.PAGE):
                params = words.ids_query("sku", unknown[start : start + words.PAGE])
                found |= words.known_ids(self.resources.ask("GET", words.path_of(Of.VARIATION, bundle), params=params).json())
        products = {write.key: write.remote_id for write in writes if write.kind == Of.PRODUCT and write.remote_id}
        for write in writes:
            if write.kind == Of.VARIATION and write.parent:
                adopted = write.parent_id or found.get(write.key, ("", ""))[1]
                products.setdefault(write.parent, adopted) if adopted else None
        return [self._with_id(write, found, products) for write in writes]

    def _with_id(self, write: Write, found: Mapping[str, tuple[str, str]], products: Mapping[str, str]) -> Write:
        if write.kind == Of.PRODUCT:
            return replace(write, remote_id=write.remote_id or products.get(write.key, ""))
        if write.kind != Of.VARIATION:
            return write
        remote = write.remote_id or found.get(write.key, ("", ""))[0]
        parent = products.get(write.parent, "") or (words.new_id(self.resources.shop, Of.PRODUCT, write.parent) if write.parent else "")
        return replace(write, remote_id=remote, parent_id=parent)

    # operations

    def _operation(self, write: Write) -> dict[str, Any]:
        if write.kind == Of.TRANSLATION:
            return self._translation(write)
        uuid = self.resources.id_of(write)
        ref = words.identifier(self.resources.type_of(write), uuid)
        if write.is_gone and write.on_gone == "delete":
            return {"op": "remove", "ref": ref}
        if write.is_gone:
            return {"op": "update", "ref": ref, "data": {**ref, "attributes": {"status": False}}}
        if write.remote_id:
            return {"op": "update", "ref": ref, "data": self.resources.body(write, uuid)}
        return {"op": "add", "data": self.resources.new_body(write)}

    def _translation(self, write: Write) -> dict[str, Any]:
        original, language = _original(write)
        ref = {**words.identifier(self.resources.type_of(original), original.remote_id), "langcode": language}
        if write.is_gone:
            return {"op": "remove", "ref": ref}
        return {"op": "add", "ref": ref, "data": self.resources.body(original, original.remote_id)}

    # plain JSON:API

    def _write(self, write: Write, all_writes: Sequence[Write]) -> Written:
        if write.kind == Of.TRANSLATION:
            return self._patch_translation(write)
        if write.is_gone and write.on_gone == "delete":
            self._ask("DELETE", write, self.resources.id_of(write), also=frozenset({_ABSENT}))
            return Written(status=DELETED)
        if write.is_gone:
            return self._unpublish(write)
        if write.remote_id:
            self._ask("PATCH", write, write.remote_id, {"data": self.resources.body(write, write.remote_id)})
            return Written(write.remote_id, status="updated")
        data = self.resources.new_body(write)
        if write.kind == Of.PRODUCT:
            self._add_first_variation(write, data, all_writes)
        return self._created_or_patched(write, data)

    def _unpublish(self, write: Write) -> Written:
        uuid = self.resources.id_of(write)
        data = {**words.identifier(self.resources.type_of(write), uuid), "attributes": {"status": False}}
        reply = self._ask("PATCH", write, uuid, {"data": data}, also=frozenset({_ABSENT}))
        return Written(status="absent") if reply.status == _ABSENT else Written(uuid, status="updated")

    def _patch_translation(self, write: Write) -> Written:
        """A translation that is there can be changed, below its language's prefix."""
        original, language = _original(write)
        if write.is_gone:
            raise Rejected(NO_TRANSLATIONS)
        body = {"data": self.resources.body(original, original.remote_id)}
        path = f"/{language}{words.path_of(original.kind, self.resources.bundle(original.kind, original.bundle), original.remote_id)}"
        try:
            self.resources.ask("PATCH", path, body)
        except Rejected as error:
            raise Rejected(NO_TRANSLATIONS) if error.http_status == 405 else error from None
        return Written(f"{original.remote_id}@{language}", status="updated")

    def _add_first_variation(self, write: Write, data: dict[str, Any], all_writes: Sequence[Write]) -> None:
        """A product needs a variation, which is an orphan until the product names it: so the first one is made just before."""
        first = next((one for one in all_writes if one.kind == Of.VARIATION and one.parent == write.key and one.makes), None)
        if first is None:
            raise Rejected("a product needs at least one variation", field="variations")
        if not first.remote_id:
            try:
                self._create(first, self.resources.new_body(replace(first, parent_id="")))
            except Rejected as error:
                raise Rejected(f"its variation {first.key} was refused: {error.reason}", field="variations") from error
        variation = words.identifier(self.resources.type_of(first), self.resources.id_of(first))
        data["relationships"]["variations"] = {"data": [variation]}

    def _created_or_patched(self, write: Write, data: Mapping[str, Any]) -> Written:
        """What an earlier attempt made (or the first variation of a new product) gets what is wanted now."""
        if self._create(write, data) != _EXISTS:
            return Written(self.resources.id_of(write), status="created")
        return self._write(replace(write, remote_id=self.resources.id_of(write)), ())

    def _create(self, write: Write, data: Mapping[str, Any]) -> int:
        """POST; an id that exists (409) is that of an earlier attempt. So is a SKU that exists although it was not found: Drupal
        hides a variation that no product has, and looks at the SKU before the id."""
        try:
            return int(self._ask("POST", write, "", {"data": data}, also=frozenset({_EXISTS})).status)
        except Rejected as error:
            if write.kind == Of.VARIATION and error.field.startswith("/data/attributes/sku"):
                return _EXISTS
            raise

    def _ask(self, method: str, write: Write, uuid: str, body: Any = None, also: frozenset[int] = frozenset()) -> Any:
        path = words.path_of(write.kind, self.resources.bundle(write.kind, write.bundle), uuid)
        return self.resources.ask(method, path, body, also=also)


def _is_good(answer: Written | None) -> bool:
    return answer is not None and answer.error is None


def _needless(write: Write) -> Written | None:
    """What need not be asked: a price of nothing, and the end of what stays or never was."""
    if write.is_gone and write.on_gone == "keep":
        return Written(write.remote_id, status="kept")
    if write.is_gone and write.kind == Of.TRANSLATION and not write.parent_id:
        return Written(status="absent")
    if write.is_gone and write.kind == Of.VARIATION and not write.remote_id:
        return Written(status="absent")
    if write.remote_id or write.makes or write.is_gone:
        return None
    return Written(error=Rejected(NOT_THERE))


def _original(write: Write) -> tuple[Write, str]:
    """What a translation is of, with the fields of the translation, and the language."""
    kind, _, key = write.parent.partition("/")
    target = write.targets.get(write.parent)
    if target is None:
        raise Transient(f"{write.parent} is not in the shop yet")
    original = Write(kind, key, write.fields, remote_id=target.remote_id, bundle=target.bundle, targets=write.targets)
    return original, write.key.rpartition("@")[2]


def _written(result: Mapping[str, Any], write: Write) -> Written:
    status, made, error = words.answer(result)
    if error is None:
        if status in ("removed", "absent") and write.is_gone:
            return Written(status=DELETED)
        if write.kind == Of.TRANSLATION:
            return Written(f"{made}@{write.key.rpartition('@')[2]}", status=status)
        return Written(made or write.remote_id, status=status)
    if write.is_gone and str(error.get("status")) == str(_ABSENT):
        return Written(status="absent")
    reason = " ".join(filter(None, (str(error.get("title", "")), str(error.get("detail", "")))))[:300]
    field = str((error.get("source") or {}).get("pointer", ""))
    retryable = (error.get("meta") or {}).get("retryable") or str(error.get("status", "")).startswith("5")
    return Written(error=Transient(reason) if retryable else Rejected(reason, field=field.partition("/data/")[2] or field))
