"""A shop asks whether we can reach it: call it back."""

from __future__ import annotations

from mappings.canonical import Ping
from middleware.work import Ask, Work


def answer(ping: Ping, work: Work) -> None:
    """Ask for the call that answers; the same ping twice is one answer."""
    shop = work.cause.connection
    work.ask(Ask(shop, "answer_ping", f"ping/{ping.ping_id}", f"ping:{shop}:{ping.ping_id}", {"ping": ping.ping_id}))
