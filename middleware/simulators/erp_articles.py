"""The simulated ERP's articles: prices and stock, read page by page by what changed since an instant, or one by its number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]


@dataclass(slots=True)
class Article:
    """One article. `prices` and `stock` (by warehouse) are as the ERP shows them; each has its own time of change."""

    sku: str
    prices: Sequence[Json]
    stock: dict[str, str]
    changed: dict[str, datetime] = field(default_factory=dict)

    def shown(self, kind: str) -> Json:
        body = {"prices": list(self.prices)} if kind == "prices" else {"warehouses": dict(self.stock)}
        return {"sku": self.sku, **body, "changed_at": self.changed[kind].isoformat()}


class Articles:
    """All articles by number; `clock` tells aware UTC."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._articles: dict[str, Article] = {}

    def put(self, sku: str, *, prices: Sequence[Json] | None = None, stock: dict[str, str] | None = None) -> None:
        """A new article, or new prices or stock of one."""
        article = self._articles.setdefault(sku, Article(sku, (), {}))
        for kind, given in (("prices", prices), ("stock", stock)):
            if given is not None:
                setattr(article, kind, given)
            if given is not None or kind not in article.changed:
                article.changed[kind] = self._clock()

    def drop(self, sku: str) -> None:
        """The article is no more."""
        del self._articles[sku]

    def find(self, sku: str) -> Article | None:
        return self._articles.get(sku)

    def page(self, kind: str, since: datetime, after: str, limit: int) -> tuple[list[Json], str]:
        """A page ordered by number, and the number after which the next one begins ("": none)."""
        found = sorted(sku for sku, one in self._articles.items() if sku > after and one.changed[kind] > since)
        chosen = found[: max(limit, 1)]
        return [self._articles[sku].shown(kind) for sku in chosen], chosen[-1] if len(found) > len(chosen) else ""
