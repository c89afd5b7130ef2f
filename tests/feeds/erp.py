"""Tables that fit every ERP whose records are told in our words, and what a pull and a push with them do."""

from __future__ import annotations

from typing import Any

from mappings.table_files import read
from middleware.feeds import pulls, pushes
from middleware.feeds.feed import Feed
from middleware.runtime import Runtime

_BASE = "prices[?(list == '' || list == 'Retail') && group == '' && min_quantity == `1`] | [0]"
_HEAD = {"connection": "erp", "shop": "shop", "sku": "sku"}
_KINDS: dict[str, dict[str, Any]] = {
    "products": {
        "product": "product",
        "fields": [
            {"to": "title", "from": "product_name", "of": "product", "required": True},
            {"to": "status", "from": "active", "type": "boolean"},
        ],
    },
    "prices": {"fields": [{"to": "price", "from": f"({_BASE}).amount", "type": "price", "currency": f"({_BASE}).currency"}]},
    "stock": {"fields": [{"to": "field_stock", "from": "available", "type": "decimal"}]},
}
TABLES = {kind: read(kind, {**_HEAD, "kind": kind, **raw}) for kind, raw in _KINDS.items()}


def pull_and_push(runtime: Runtime, connector: Any, *, full: bool = False) -> None:
    """Every kind from the source, then into the shop what changed."""
    runtime.__dict__["feeds"] = {("erp", kind): Feed("erp", kind, table, connector) for kind, table in TABLES.items()}
    for feed in runtime.feeds.values():
        pulled = pulls.pull(runtime, feed, full=full)
        assert pulled is not None
        assert pulled.failure == ""
    while pushes.push(runtime, "shop"):
        pass
