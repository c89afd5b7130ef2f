"""What Commerce does when an order or a payment is saved: numbers, versions, totals, workflow, payment."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from middleware.simulators.drupal.entities import Entities, Entity

Price = dict[str, str]

WORKFLOWS: dict[str, dict[str, tuple[frozenset[str], str]]] = {
    "order_default": {"place": (frozenset({"draft"}), "completed"), "cancel": (frozenset({"draft"}), "canceled")},
    "order_default_validation": {
        "place": (frozenset({"draft"}), "validation"),
        "validate": (frozenset({"validation"}), "completed"),
        "cancel": (frozenset({"draft", "validation"}), "canceled"),
    },
    "order_fulfillment": {
        "place": (frozenset({"draft"}), "fulfillment"),
        "fulfill": (frozenset({"fulfillment"}), "completed"),
        "cancel": (frozenset({"draft", "fulfillment"}), "canceled"),
    },
    "order_fulfillment_validation": {
        "place": (frozenset({"draft"}), "validation"),
        "validate": (frozenset({"validation"}), "fulfillment"),
        "fulfill": (frozenset({"fulfillment"}), "completed"),
        "cancel": (frozenset({"draft", "validation", "fulfillment"}), "canceled"),
    },
}
_COUNTED = frozenset({"completed", "partially_refunded", "refunded"})
_EVENTS = {"place": "order.placed", "cancel": "order.cancelled", "fulfill": "order.fulfilled"}


def transition(workflow: str, before: str, after: str) -> str | None:
    """The transition that leads from one state to another, or None."""
    for name, (sources, target) in WORKFLOWS[workflow].items():
        if before in sources and target == after:
            return name
    return None


def prepare(entities: Entities, draft: Entity, before: Entity | None, *, workflow: str, now: int) -> list[str]:
    """Complete an order that is about to be saved; returns the kinds of event that the save causes, in order."""
    values = draft.values
    values["version"] = (before.values["version"] if before else 0) + 1
    step = transition(workflow, before.values["state"] if before else "draft", values["state"])
    if step == "place":
        values["placed"] = now
        values["order_number"] = values["order_number"] or str(entities.next_id("order number"))
    if values["state"] == "completed" and not values["completed"]:
        values["completed"] = now
    total_up(entities, draft)
    if values["state"] == "draft":
        return []
    paid = _just_paid(values)
    kinds = [_EVENTS[step]] if step in _EVENTS else [] if paid else ["order.updated"]
    return [*kinds, "order.paid"] if paid else kinds


def total_up(entities: Entities, draft: Entity) -> None:
    """Recalculate total, paid and balance from items, adjustments and payments."""
    items = [entities.get(uuid) for uuid in draft.targets("order_items")]
    adjustments = [*draft.values["adjustments"], *(one for item in items for one in item.values["adjustments"])]
    amounts = [item.values["total_price"] for item in items]
    amounts += [one["amount"] for one in adjustments if not one["included"]]
    if not amounts:
        return
    currency = amounts[0]["currency_code"]
    total = sum((Decimal(amount["number"]) for amount in amounts), Decimal(0))
    counted = [payment for payment in payments_of(entities, draft.uuid) if payment.values["state"] in _COUNTED]
    paid = sum((_kept(payment) for payment in counted), Decimal(0))
    draft.values["total_price"] = price(total, currency)
    draft.values["total_paid"] = price(paid, currency) if counted else None
    draft.values["balance"] = price(total - paid, currency)


def payments_of(entities: Entities, order: str) -> Iterable[Entity]:
    """The payments that refer to an order, oldest first."""
    return (one for one in entities.referring("order_id", order) if one.type.entity_type == "commerce_payment")


def price(number: Decimal, currency: str) -> Price:
    """A price as Commerce calculates it: without trailing zeros."""
    text = f"{number:f}"
    return {"number": text.rstrip("0").rstrip(".") if "." in text else text, "currency_code": currency}


def _kept(payment: Entity) -> Decimal:
    return Decimal(payment.values["amount"]["number"]) - Decimal(payment.values["refunded_amount"]["number"])


def _just_paid(values: dict[str, Any]) -> bool:
    data = values["data"] or {}
    if data.get("paid_event_dispatched") or not values["total_paid"] or Decimal(values["balance"]["number"]) > 0:
        return False
    values["data"] = {**data, "paid_event_dispatched": True}
    return True
