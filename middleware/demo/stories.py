"""Three stories of the run, told in plain lines from what was recorded."""

from __future__ import annotations

from sqlalchemy import text

from middleware.demo.customers import Placed
from middleware.runtime import Runtime


def early_webhook(runtime: Runtime, order: Placed) -> str:
    """A webhook that came before its order."""
    query = text(
        "SELECT e.topic, extract(epoch FROM e.decided_at - e.kept_at) FROM events e JOIN orders o ON o.id = e.order_id"
        " WHERE o.order_id = :id AND e.connection = 'stripe' ORDER BY 2 DESC LIMIT 1"
    )
    with runtime.engine.connect() as connection:
        topic, waited = connection.execute(query, {"id": order.order_uuid}).one()
    return (
        f"A webhook before its order: Stripe's {topic} for order {order.number} arrived before the shop's order did. It was parked, not"
        f" refused and not forgotten, and joined {float(waited):.1f} s later, the moment the order appeared."
    )


def lost_reply(runtime: Runtime) -> tuple[str, str]:
    """An ERP that took the order and never answered: the line, and the order's number."""
    query = text(
        "SELECT o.number, o.erp_number, c.attempts,"
        " (SELECT string_agg(x.method || ' ' || coalesce(x.status::text, 'no answer'), ', ' ORDER BY x.id)"
        " FROM exchanges x WHERE x.call_id = c.id) FROM calls c JOIN orders o ON o.id = c.order_id"
        " WHERE c.operation = 'create_order' AND c.look_up AND c.state = 'done' ORDER BY"
        " NOT EXISTS (SELECT 1 FROM exchanges x WHERE x.call_id = c.id AND x.method = 'POST' AND x.status IS NULL), c.id LIMIT 1"
    )
    with runtime.engine.connect() as connection:
        number, erp_number, attempts, said = connection.execute(query).one()
    return (
        f"A lost ERP reply: the ERP's answer to order {number} never came ({said}). Waybill did not send it again blindly: it rested,"
        f" looked the order up, and found {erp_number} after {attempts} attempts. The ERP has it once."
    ), number


def forgery(runtime: Runtime) -> str:
    """Deliveries that were not what they claimed."""
    query = text("SELECT connection, cause, count FROM refusals ORDER BY connection, cause")
    with runtime.engine.connect() as connection:
        counts = ", ".join(f"{row.count} × {row.cause} at {row.connection}" for row in connection.execute(query))
    return (
        f"A forgery: deliveries with a wrong secret, a changed amount or an old time were refused at the door and left no event: {counts}."
    )
