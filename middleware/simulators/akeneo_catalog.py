"""What the simulated Akeneo holds: products and their models, the lists around them, and who changed what when."""

from __future__ import annotations

import copy
import random
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import RLock
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]
Values = Mapping[str, list[Json]]
LISTS = ("families", "attributes", "categories", "locales", "channels")
PERSON = "julia"


@dataclass(frozen=True, slots=True)
class Change:
    """One change as events tell it: `thing` is `product` or `product_model`, `deed` created, updated or removed."""

    thing: str
    deed: str
    author: str
    resource: Json = field(repr=False)


def value(data: Any, *, locale: str | None = None, scope: str | None = None) -> Json:
    """One entry of an attribute's values."""
    return {"locale": locale, "scope": scope, "data": data}


class Catalog:
    """`clock` tells aware UTC; times are kept in whole seconds and shown in `zone`. `tell` hears of every change of a product or
    product model. All of it may be called while requests run."""

    def __init__(self, clock: Callable[[], datetime], zone: ZoneInfo, lock: RLock, tell: Callable[[Change], None], seed: int) -> None:
        self.zone = zone
        self.products: dict[str, Json] = {}
        self.product_models: dict[str, Json] = {}
        self.lists: dict[str, dict[str, Json]] = {name: {} for name in LISTS}
        self.options: dict[str, dict[str, Json]] = {}
        self.media: dict[str, bytes] = {}
        self._clock = clock
        self._lock = lock
        self._tell = tell
        self._random = random.Random(seed)

    def new_uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def add_product(
        self,
        identifier: str | None = None,
        *,
        uuid: str = "",
        parent: str | None = None,
        values: Values | None = None,
        author: str = PERSON,
        **fields: Any,
    ) -> str:
        """A new product, a variant when it has a `parent`; `fields` are family, categories, enabled. Returns its uuid."""
        with self._lock:
            key = uuid or self.new_uuid()
            own = {**({"sku": [value(identifier)]} if identifier else {}), **(values or {})}
            record = {
                "uuid": key,
                "enabled": True,
                "family": None,
                "categories": [],
                "groups": [],
                "parent": parent,
                **fields,
                "values": own,
            }
            self._keep(self.products, key, record, "product", author)
            return key

    def update_product(self, uuid: str, *, values: Values | None = None, author: str = PERSON, **fields: Any) -> None:
        """Change fields and values of a product; raises KeyError."""
        self._update(self.products, uuid, values, fields, "product", author)

    def delete_product(self, uuid: str, *, author: str = PERSON) -> None:
        """No list shows it any more, and no delta ever says so; raises KeyError."""
        self._delete(self.products, uuid, "product", author)

    def add_model(self, code: str, *, parent: str | None = None, values: Values | None = None, author: str = PERSON, **fields: Any) -> None:
        """A new product model; `fields` are family, family_variant, categories."""
        with self._lock:
            shape: Json = {"code": code, "family": None, "family_variant": None, "parent": parent, "categories": []}
            self._keep(self.product_models, code, {**shape, **fields, "values": dict(values or {})}, "product_model", author)

    def update_model(self, code: str, *, values: Values | None = None, author: str = PERSON, **fields: Any) -> None:
        """Change a product model: its variants show the new values, and their own `updated` stays. Raises KeyError."""
        self._update(self.product_models, code, values, fields, "product_model", author)

    def delete_model(self, code: str, *, author: str = PERSON) -> None:
        """With the models and variants under it."""
        with self._lock:
            for model in [key for key, one in self.product_models.items() if one["parent"] == code]:
                self.delete_model(model, author=author)
            for variant in [key for key, one in self.products.items() if one["parent"] == code]:
                self.delete_product(variant, author=author)
        self._delete(self.product_models, code, "product_model", author)

    def put(self, kind: str, code: str, **fields: Any) -> None:
        """A record of one of `LISTS`, new or changed."""
        with self._lock:
            self.lists[kind][code] = {**self.lists[kind].get(code, {"code": code}), **fields, "updated": self.now()}

    def remove(self, kind: str, code: str) -> None:
        with self._lock:
            del self.lists[kind][code]
            self.options.pop(code if kind == "attributes" else "", None)

    def put_option(self, attribute: str, code: str, **labels: str) -> None:
        """An option of a select attribute, new or changed; the attribute's own `updated` stays."""
        with self._lock:
            order = len(self.options.setdefault(attribute, {})) + 1
            self.options[attribute][code] = {"code": code, "attribute": attribute, "sort_order": order, "labels": labels or []}

    def now(self) -> datetime:
        return self._clock().replace(microsecond=0)

    def changed(self, record: Json) -> datetime:
        """When a product changed last, itself or one of its models."""
        times: list[datetime] = [one["updated"] for one in (record, *self._ancestors(record))]
        return max(times)

    def shown(self, record: Json, *, channel: str = "", locales: Collection[str] = ()) -> Json:
        """A product or product model as the API shows it: with the values of all its models, those of other channels and
        locales left out."""
        values: dict[str, list[Json]] = {}
        for source in (*reversed(self._ancestors(record)), record):
            values.update(copy.deepcopy(source["values"]))
        kept = {code: _narrowed(entries, channel, locales) for code, entries in values.items()}
        times = {name: record[name].astimezone(self.zone).isoformat() for name in ("created", "updated")}
        # PHP's word for an empty object is [].
        return {**record, "values": {code: entries for code, entries in kept.items() if entries} or [], **times, "associations": []}

    def _ancestors(self, record: Json) -> list[Json]:
        found = []
        while record["parent"] is not None:
            record = self.product_models[record["parent"]]
            found.append(record)
        return found

    def _keep(self, among: dict[str, Json], key: str, record: Json, thing: str, author: str) -> None:
        record["created"] = record["updated"] = self.now()
        among[key] = record
        self._tell(Change(thing, "created", author, self.shown(record)))

    def _update(self, among: dict[str, Json], key: str, values: Values | None, fields: Mapping[str, Any], thing: str, author: str) -> None:
        with self._lock:
            record = among[key]
            record.update(fields, updated=self.now(), values={**record["values"], **(values or {})})
            self._tell(Change(thing, "updated", author, self.shown(record)))

    def _delete(self, among: dict[str, Json], key: str, thing: str, author: str) -> None:
        with self._lock:
            record = among.pop(key)
            named: Json = {name: record[name] for name in ("uuid", "code") if name in record}
            for held in record["values"].get("sku", ()):
                named["identifier"] = held["data"]
            self._tell(Change(thing, "removed", author, named))


def _narrowed(entries: Iterable[Json], channel: str, locales: Collection[str]) -> list[Json]:
    return [
        entry
        for entry in entries
        if (not channel or entry["scope"] in (None, channel)) and (not locales or entry["locale"] in (None, *locales))
    ]
