"""An ERP without native idempotency: every `POST /orders` makes a new order, whatever was posted before."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from middleware.simulators._server import Simulator, reply, route
from middleware.simulators.erp_articles import Articles
from middleware.simulators.erp_rules import Problem, problems

_ROUTES = Map(
    [
        Rule("/orders", endpoint="create", methods=["POST"]),
        Rule("/orders", endpoint="browse", methods=["GET"]),
        Rule("/orders/<int:order_id>", endpoint="read", methods=["GET"]),
        Rule("/<any(prices, stock):kind>", endpoint="browse_articles", methods=["GET"]),
        Rule("/<any(prices, stock):kind>/<path:sku>", endpoint="read_article", methods=["GET"]),
    ]
)


class ErpState(StrEnum):
    """The life of an order; an order is cancelled from any state but shipped and done."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    DONE = "done"
    CANCELLED = "cancelled"


_NEXT: dict[ErpState, frozenset[ErpState]] = {
    ErpState.DRAFT: frozenset({ErpState.CONFIRMED, ErpState.CANCELLED}),
    ErpState.CONFIRMED: frozenset({ErpState.PROCESSING, ErpState.CANCELLED}),
    ErpState.PROCESSING: frozenset({ErpState.SHIPPED, ErpState.CANCELLED}),
    ErpState.SHIPPED: frozenset({ErpState.DONE}),
    ErpState.DONE: frozenset(),
    ErpState.CANCELLED: frozenset(),
}


@dataclass(slots=True)
class ErpOrder:
    """One order as the ERP keeps it; `document` is what was posted, `changed_at` aware UTC."""

    id: int
    reference: str
    total: str
    changed_at: datetime
    document: dict[str, Any] = field(repr=False)
    state: ErpState = ErpState.DRAFT
    parcels: list[dict[str, str]] = field(default_factory=list)

    @property
    def number(self) -> str:
        return f"SO-{self.id:06d}"

    def shown(self) -> dict[str, object]:
        return {
            "id": self.id,
            "number": self.number,
            "state": self.state.value,
            "total": self.total,
            "reference": self.reference,
            "changed_at": self.changed_at.isoformat(),
            "parcels": list(self.parcels),
        }


class ErpSimulator(Simulator):
    """`key` is the bearer key; `skus` the articles that it knows (None: all); `clock` tells aware UTC."""

    name = "erp"

    def __init__(
        self,
        *,
        key: str = "erp-key",
        skus: Collection[str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        seed: int = 0,
    ) -> None:
        super().__init__(seed=seed)
        self.orders: list[ErpOrder] = []
        self.articles = Articles(clock)
        self.key = key
        self._skus = None if skus is None else frozenset(skus)
        self._clock = clock

    def orders_by_reference(self) -> dict[str, list[ErpOrder]]:
        """Every order, under the reference that it was posted with: two in one list is a double export."""
        with self.lock:
            found: dict[str, list[ErpOrder]] = {}
            for order in self.orders:
                found.setdefault(order.reference, []).append(order)
            return found

    def advance(self, order_id: int, state: ErpState | str) -> ErpOrder:
        """Move an order on; raises KeyError for an unknown order and ValueError for a step that the ERP does not allow."""
        with self.lock:
            order, target = self._find(order_id), ErpState(state)
            if target not in _NEXT[order.state]:
                raise ValueError(f"{order.number} cannot go from {order.state} to {target}")
            order.state, order.changed_at = target, self._clock()
            if target is ErpState.SHIPPED:
                self._pack(order)
            return order

    def _pack(self, order: ErpOrder) -> None:
        number = f"PK-{order.id:06d}"
        parcel = {"id": number, "carrier": "Demo Post", "tracking_code": f"DP{order.id:09d}", "shipped_at": order.changed_at.isoformat()}
        order.parcels.append(parcel)

    def answer(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            raise Unauthorized
        return route(_ROUTES, self, request)

    def create(self, request: Request) -> Response:
        document = request.get_json(force=True, silent=True)
        if document is None:
            raise BadRequest
        found = problems(document, self._skus)
        if found:
            return _unprocessable(found)
        order = ErpOrder(len(self.orders) + 1, document["reference"], document["total"], self._clock(), document)
        self.orders.append(order)
        return reply(order.shown(), 201, Location=f"{self.url}/orders/{order.id}")

    def read(self, request: Request, order_id: int) -> Response:
        try:
            return reply(self._find(order_id).shown())
        except KeyError as error:
            raise NotFound from error

    def browse(self, request: Request) -> Response:
        """By `reference`, or a page of what changed since an instant, ordered by (changed_at, id)."""
        try:
            since = _instant(request.args.get("changed_since", ""))
            after, limit = int(request.args.get("after", 0)), min(int(request.args.get("limit", 100)), 500)
        except ValueError:
            return _unprocessable([Problem("changed_since, after, limit", "expected RFC 3339, a number, a number")])
        reference = request.args.get("reference")
        found = sorted(
            (o for o in self.orders if (o.changed_at, o.id) > (since, after) and reference in (None, o.reference)),
            key=lambda order: (order.changed_at, order.id),
        )
        page = found[: max(limit, 1)]
        return reply({"orders": [order.shown() for order in page], "next": _next(page[-1], limit) if len(found) > len(page) else None})

    def browse_articles(self, request: Request, kind: str) -> Response:
        """A page of what changed since an instant, ordered by number."""
        try:
            since, limit = _instant(request.args.get("changed_since", "")), min(int(request.args.get("limit", 100)), 500)
        except ValueError:
            return _unprocessable([Problem("changed_since, limit", "expected RFC 3339, a number")])
        records, after = self.articles.page(kind, since, request.args.get("after", ""), limit)
        return reply({"articles": records, "next": after or None})

    def read_article(self, request: Request, kind: str, sku: str) -> Response:
        article = self.articles.find(sku)
        if article is None:
            raise NotFound
        return reply(article.shown(kind))

    def _find(self, order_id: int) -> ErpOrder:
        if not 0 < order_id <= len(self.orders):
            raise KeyError(order_id)
        return self.orders[order_id - 1]


def _instant(text: str) -> datetime:
    if not text:
        return datetime.min.replace(tzinfo=UTC)
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("an instant needs its offset")
    return found


def _next(last: ErpOrder, limit: int) -> str:
    return "/orders?" + urlencode({"changed_since": last.changed_at.isoformat(), "after": last.id, "limit": limit})


def _unprocessable(found: list[Problem]) -> Response:
    return reply({"errors": [{"field": problem.field, "message": problem.message} for problem in found]}, 422)
