"""One decision's unit of work: what flows look up, change and ask for, over one session; written when the batch commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BindParameter, Text, and_, any_, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from mappings.canonical import Order
from middleware.asks import Asks
from middleware.database import insert_rows
from middleware.decisions import Ask, Cause, Hint, OrderChanged, Outcome, Verdict
from middleware.domain import transitions
from middleware.errors import IllegalTransition
from middleware.models import EventState, Link, OrderKey, OrderRow, PaymentRow, Run, TransitionRow
from middleware.parking import Parking
from middleware.settings import Settings
from middleware.vault import Vault

__all__ = ["Ask", "Cause", "Hint", "OrderChanged", "Outcome", "Verdict", "Work"]

_LOCK = text("SELECT k FROM unnest(CAST(:keys AS text[])) k WHERE pg_try_advisory_xact_lock(hashtextextended(k, 0))")


def _texts(name: str) -> BindParameter[Sequence[str]]:
    """A list as one parameter: an IN list of a batch's keys would be another statement every time, parsed anew."""
    return bindparam(name, type_=ARRAY(Text))


_ORDERS = select(OrderKey.key, OrderRow).join(OrderRow).where(OrderKey.key == any_(_texts("keys")))
_IDS = func.unnest(_texts("connections"), _texts("remote_ids")).table_valued("connection", "remote_id").render_derived()
_PAYMENTS = select(PaymentRow).join(_IDS, and_(PaymentRow.connection == _IDS.c.connection, PaymentRow.remote_id == _IDS.c.remote_id))


@dataclass(slots=True)
class Work:
    """The session of one batch, with the rows that its messages need already loaded."""

    session: Session
    settings: Settings
    vault: Vault
    now: datetime
    cause: Cause = field(default_factory=lambda: Cause("", ""))
    verdict: Verdict = field(default_factory=Verdict)
    follow_ups: list[OrderChanged] = field(default_factory=list)
    lanes: set[str] = field(default_factory=set)
    released: bool = False
    _orders: dict[str, OrderRow] = field(default_factory=dict)
    _payments: dict[tuple[str, str], PaymentRow] = field(default_factory=dict)
    _names: list[tuple[str, OrderRow]] = field(default_factory=list)
    _audit: list[tuple[OrderRow | None, dict[str, Any]]] = field(default_factory=list)
    _asks: Asks = field(init=False)
    _parking: Parking = field(init=False)

    def __post_init__(self) -> None:
        self._asks = Asks(self.session, self.vault, self.now)
        self._parking = Parking(self.session, self.now)

    def lock(self, keys: Iterable[str]) -> set[str]:
        """Try to lock the keys until the end of the transaction, in sorted order; returns those that were free."""
        return set(self.session.scalars(_LOCK, {"keys": sorted(set(keys))}))

    def load(self, keys: Iterable[str], payments: Iterable[tuple[str, str]]) -> None:
        """Fetch the orders known by the join keys and the payments by (connection, remote id), a query each."""
        found = self.session.execute(_ORDERS, {"keys": list(set(keys))})
        self._orders.update({key: order for key, order in found})
        wanted = set(payments)
        if wanted:
            connections, remote_ids = zip(*wanted, strict=True)
            rows = self.session.scalars(_PAYMENTS, {"connections": list(connections), "remote_ids": list(remote_ids)})
            self._payments.update({(row.connection, row.remote_id): row for row in rows})

    def begin(self, cause: Cause) -> Verdict:
        """Start with the next event or call; returns its verdict, which the flow may change."""
        self.cause, self.verdict = cause, Verdict()
        return self.verdict

    def order(self, keys: Iterable[str] | None = None) -> OrderRow | None:
        """The order known under any of the keys (default: the cause's own)."""
        return next((self._orders[key] for key in (self.cause.keys if keys is None else keys) if key in self._orders), None)

    def payment(self, connection: str, remote_id: str) -> PaymentRow | None:
        """The payment with the provider's id."""
        return self._payments.get((connection, remote_id))

    def snapshot(self, order: OrderRow) -> Order:
        """The order as the shop last said it."""
        return msgspec.json.decode(self.vault.open(order.snapshot, order.shop, order.order_id), type=Order)

    def add_order(self, order: OrderRow) -> None:
        """Record a new order and audit its first state."""
        self.session.add(order)
        self.audit(order, "order", "", order.state)

    def name_order(self, order: OrderRow, keys: Iterable[str]) -> None:
        """Make the order known under the join keys, and wake every parked event that waits for one of them."""
        new = [key for key in keys if key not in self._orders]
        self._orders.update(dict.fromkeys(new, order))
        self._names += [(key, order) for key in new]
        if self._parking.wake(new):
            self.released = True

    def follow(self, order: OrderRow) -> None:
        """Let the routes see, after this flow, that the shop said the order anew."""
        self._follow_up(order).anew = True

    def reconsider(self, order: OrderRow) -> None:
        """Let the routes see, after this flow, that something of the order changed beside its states."""
        self._follow_up(order)

    def add_payment(self, payment: PaymentRow) -> None:
        """Record a new payment of an order and audit its first state."""
        self.session.add(payment)
        self._payments[payment.connection, payment.remote_id] = payment
        self.audit(payment.order, f"payment {payment.remote_id}", "", payment.state)

    def move(self, order: OrderRow, what: str, becomes: str, detail: str = "") -> bool:
        """Change one of an order's states through its transition table; the same state is no change. An illegal change is
        refused, recorded, and answered with False."""
        was = getattr(order, what)
        if was == becomes or not self._allowed(order, what, what, was, becomes):
            return False
        setattr(order, what, str(becomes))
        if what == "export_state":
            order.since = self.now
        self.audit(order, what, was, becomes, detail)
        self._follow_up(order)
        return True

    def move_payment(self, payment: PaymentRow, becomes: str) -> bool:
        """Change a payment's state through its transition table, like `move`."""
        was, thing = payment.state, f"payment {payment.remote_id}"
        if was == becomes or not self._allowed(payment.order, "payment", thing, was, becomes):
            return False
        payment.state = str(becomes)
        self.audit(payment.order, thing, was, becomes)
        return True

    def audit(self, order: OrderRow | None, thing: str, was: str, becomes: str, detail: str = "", *, refused: bool = False) -> None:
        """Add a row to the audit trail."""
        row = {
            "at": self.now,
            "thing": thing,
            "was": str(was),
            "becomes": str(becomes),
            "cause": self.cause.label,
            "refused": refused,
            "detail": detail,
            "correlation_id": self.cause.correlation_id,
        }
        self._audit.append((order, row))

    def link(self, connection: str, kind: str, our_id: str, remote_id: str, number: str) -> None:
        """Join our id and theirs; the same link twice is one."""
        row = {"connection": connection, "kind": kind, "our_id": our_id, "remote_id": remote_id, "number": number, "linked_at": self.now}
        self.session.execute(insert(Link).values(row).on_conflict_do_nothing())

    def ask(self, ask: Ask, order: OrderRow | None = None) -> None:
        """Ask for a call; the same key twice is one call."""
        self._asks.add(ask, order, self.cause)
        self.lanes.add(ask.lane)

    def tell_shop(self, order: OrderRow) -> None:
        """Ask for the call that writes the ERP's number and status on the shop's order; it replaces one that nothing began."""
        because = f"event{self.cause.event_id}" if self.cause.call_id is None else f"call{self.cause.call_id}"
        payload = {"order_id": order.order_id, "erp_number": order.erp_number, "status": order.fulfilment_state}
        key = f"status:{order.shop}:{order.order_id}:{because}"
        self.ask(Ask(order.shop, "write_order_status", f"order/{order.order_id}", key, payload, replaces=True), order)

    def pull_soon(self, connection: str) -> None:
        """Have the connection's feeds pulled with the next sweep, whatever their rhythm; a run under way is followed by another."""
        self.session.execute(update(Run).where(Run.connection == connection, Run.kind != "orders").values(is_hinted=True))

    def is_pending(self, connection: str, operation: str, subject: str) -> bool:
        """Whether such a call is asked for that nothing has begun yet; it cannot begin before this work commits."""
        return self._asks.has_pending(connection, operation, subject)

    def is_asked(self, key: str) -> bool:
        """Whether a call with this key exists."""
        return self._asks.has(key)

    def renew(self, key: str, payload: Mapping[str, Any]) -> None:
        """Give a call that nothing has begun yet a newer payload; one that was begun keeps what it was begun with."""
        self._asks.renew(key, payload)

    def withdraw(self, connection: str, operation: str, subject: str) -> int:
        """Supersede pending calls that nothing has begun yet; returns how many."""
        return self._asks.withdraw(connection, operation, subject)

    def park(self, why: str) -> None:
        """The event waits for an order that is not known yet, under every join key it has, with a deadline."""
        self.verdict.state, self.verdict.cause, self.verdict.detail = EventState.PARKED, "order_unknown", why
        self.verdict.parked_until = self.now + timedelta(seconds=self.settings.work.park_for)
        self.verdict.keys = self.cause.keys
        if self.cause.event_id is not None:
            self._parking.park(self.cause.event_id, self.verdict)

    def ignore(self, why: str) -> None:
        """The event is kept and means nothing to us."""
        self.verdict.state, self.verdict.detail = EventState.IGNORED, why

    def flush(self) -> None:
        """Write everything that is still in memory."""
        self.session.flush()
        insert_rows(self.session, OrderKey, [{"key": key, "order_id": order.id} for key, order in self._names], on_conflict="DO NOTHING")
        if self._parking.release([key for key, _ in self._names]):
            self.released = True
        self._names.clear()
        audit = [{**row, "order_id": order.id if order else None} for order, row in self._audit]
        insert_rows(self.session, TransitionRow, audit)
        self._parking.write()
        self._asks.write()
        self._audit.clear()

    def _allowed(self, order: OrderRow, table: str, thing: str, was: str, becomes: str) -> bool:
        try:
            transitions.check(table, was, becomes)
        except IllegalTransition as refusal:
            self.audit(order, thing, was, becomes, str(refusal), refused=True)
            return False
        return True

    def _follow_up(self, order: OrderRow) -> OrderChanged:
        for change in self.follow_ups:
            if change.order is order:
                return change
        self.follow_ups.append(OrderChanged(order))
        return self.follow_ups[-1]
