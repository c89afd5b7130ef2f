"""The demo's judge: compares what customers, Stripe and the ERP know with what Waybill recorded. It trusts no counter of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import text

from middleware.demo.customers import Placed
from middleware.demo.world import World
from middleware.runtime import Runtime
from middleware.simulators.deliveries import Deliverer


@dataclass(frozen=True, slots=True)
class Report:
    """What happened. Every figure is counted where it happened: orders in the shop, `erp_orders` in the ERP, payments at Stripe."""

    orders_placed: int
    orders_exported: int
    erp_orders: int
    shop_told: int
    payments_captured: int
    deliveries_sent: int
    duplicate_deliveries: int
    refused_deliveries: int
    parked_then_joined: int
    erp_faults: int
    unknown_outcomes_settled: int
    catalog_things: int
    catalog_refused: int
    lost: int
    doubled: int
    seconds: float
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every invariant holds."""
        return not self.problems and self.lost == self.doubled == 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def is_settled(runtime: Runtime, world: World, placed: Sequence[Placed]) -> bool:
    """Whether nothing waits any more and the shop was told every ERP number."""
    with runtime.engine.connect() as connection:
        waiting = connection.execute(
            text(
                "SELECT (SELECT count(*) FROM events WHERE state IN ('due', 'deciding', 'parked'))"
                " + (SELECT count(*) FROM calls WHERE state IN ('pending', 'making', 'retry', 'unknown'))"
                " + (SELECT count(*) FROM orders WHERE export_state NOT IN ('exported', 'rejected', 'dead'))"
            )
        ).scalar_one()
    return waiting == 0 and recorded(runtime) >= len(placed)


def recorded(runtime: Runtime) -> int:
    """How many orders Waybill knows."""
    with runtime.engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM orders")).scalar_one())


def judge(
    runtime: Runtime, world: World, placed: Sequence[Placed], senders: Sequence[Deliverer], seconds: float, differences: Sequence[str] = ()
) -> Report:
    """Hold every system against every other; `differences` are those of the catalog."""
    problems = list(differences)
    in_erp = world.erp.orders_by_reference()
    lost = (
        _lost_orders(placed, in_erp, problems) + _lost_deliveries(runtime, senders, problems) + _wrong_payments(runtime, placed, problems)
    )
    doubled = sum(len(found) - 1 for found in in_erp.values()) + _doubled_rows(runtime, problems)
    told = _told(world, placed, in_erp, problems)
    reports = [sender.report() for sender in senders]
    problems += [f"{r.wrongly_accepted} forged, stale or tampered deliveries were accepted" for r in reports if r.wrongly_accepted]
    problems += [f"{r.undelivered} deliveries were given up" for r in reports if r.undelivered]
    return Report(
        orders_placed=len(placed),
        orders_exported=_count(runtime, "SELECT count(*) FROM orders WHERE export_state = 'exported'"),
        erp_orders=len(world.erp.orders),
        shop_told=told,
        payments_captured=_count(
            runtime, "SELECT count(*) FROM payments WHERE state IN ('captured', 'partially_captured', 'partially_refunded')"
        ),
        deliveries_sent=sum(r.sent for r in reports),
        duplicate_deliveries=sum(r.duplicates for r in reports),
        refused_deliveries=sum(r.refused_on_purpose for r in reports),
        parked_then_joined=_count(runtime, "SELECT count(*) FROM events WHERE state = 'decided' AND parked_until IS NOT NULL"),
        erp_faults=sum(world.erp.faults.injected.values()),
        unknown_outcomes_settled=_count(runtime, "SELECT count(*) FROM calls WHERE state = 'done' AND look_up"),
        catalog_things=_count(runtime, "SELECT count(*) FROM items WHERE state = 'in_sync'"),
        catalog_refused=_count(runtime, "SELECT count(*) FROM records WHERE state = 'rejected'"),
        lost=lost,
        doubled=doubled,
        seconds=round(seconds, 1),
        problems=tuple(problems),
    )


def _lost_orders(placed: Sequence[Placed], in_erp: dict[str, Any], problems: list[str]) -> int:
    missing = [order for order in placed if order.order_uuid not in in_erp]
    problems += [f"order {order.number} is not in the ERP" for order in missing]
    for order in placed:
        for found in in_erp.get(order.order_uuid, []):
            if round(float(found.total) * 100) != order.total:
                problems.append(f"order {order.number} is {found.total} in the ERP, {order.total / 100} in the shop")
    return len(missing)


def _lost_deliveries(runtime: Runtime, senders: Sequence[Deliverer], problems: list[str]) -> int:
    acknowledged = {posting.message_id for sender in senders for posting in sender.postings if posting.status and posting.status < 300}
    with runtime.engine.connect() as connection:
        kept = set(connection.execute(text("SELECT delivery_id FROM events")).scalars())
        undecided = connection.execute(text("SELECT delivery_id, state, cause FROM events WHERE state NOT IN ('decided', 'ignored')")).all()
    missing = acknowledged - kept
    problems += [f"delivery {message} was acknowledged and is not kept" for message in sorted(missing)]
    problems += [f"delivery {row.delivery_id} is {row.state} ({row.cause})" for row in undecided]
    return len(missing) + len(undecided)


def _wrong_payments(runtime: Runtime, placed: Sequence[Placed], problems: list[str]) -> int:
    query = text(
        "SELECT p.remote_id, p.connection || '', coalesce(sum(t.amount_minor) FILTER (WHERE t.kind = 'capture' AND t.counts), 0),"
        " coalesce(sum(t.amount_minor) FILTER (WHERE t.kind = 'refund' AND t.counts), 0), o.order_id FROM payments p"
        " JOIN orders o ON o.id = p.order_id LEFT JOIN payment_parts t ON t.payment_id = p.id GROUP BY p.id, o.order_id"
    )
    with runtime.engine.connect() as connection:
        ours = {row[0]: (int(row[2]), int(row[3]), row[4]) for row in connection.execute(query)}
    wrong = [order for order in placed if ours.get(order.intent) != (order.captured, order.refunded, order.order_uuid)]
    problems += [f"payment {o.intent}: Stripe has {(o.captured, o.refunded)}, Waybill {ours.get(o.intent)}" for o in wrong]
    return len(wrong)


def _doubled_rows(runtime: Runtime, problems: list[str]) -> int:
    doubled = _count(runtime, "SELECT count(*) - count(DISTINCT (shop, order_id)) FROM orders")
    if doubled:
        problems.append(f"{doubled} orders are recorded twice")
    return doubled


def _told(world: World, placed: Sequence[Placed], in_erp: dict[str, Any], problems: list[str]) -> int:
    told = 0
    for order in placed:
        number = world.shop.order(order.order_uuid).fields["field_waybill_erp_number"]
        expected = [found.number for found in in_erp.get(order.order_uuid, [])]
        told += number in expected
        if number not in expected:
            problems.append(f"the shop has ERP number {number} on order {order.number}, the ERP has {expected}")
    return told


def _count(runtime: Runtime, query: str) -> int:
    with runtime.engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())
