"""Something may have changed at a provider: ask the provider itself, once for all hints that came before it is asked."""

from __future__ import annotations

from middleware.work import Ask, Hint, Work

FEEDS = ("catalog", "stock")
"""Lanes of feeds: a hint there means that a record changed, and a pull finds all of them at once."""


def ask(hint: Hint, work: Work) -> None:
    """Ask for a fetch of the subject, unless one is asked for that nothing has begun yet: that one will see this change too."""
    connection = work.cause.connection
    if hint.lane in FEEDS:
        work.pull_soon(connection)
        work.verdict.detail = "the next pull will see it"
        return
    if work.is_pending(connection, "fetch_payment", hint.subject):
        work.verdict.detail = "a fetch that has not begun yet will see it"
        return
    key = f"fetch:{connection}:{hint.subject}:event{work.cause.event_id}"
    work.ask(Ask(connection, "fetch_payment", hint.subject, key, {"subject": hint.subject}, lane=hint.lane))
