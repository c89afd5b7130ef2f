"""Secrets: named by a reference (`env:NAME`, `file:PATH`), never printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret value that does not print itself. `source` is the reference it came from; while one is replaced by another, both may be
    valid, each from `not_before` until `not_after` (None: always)."""

    source: str
    value: str = field(repr=False)
    not_before: datetime | None = None
    not_after: datetime | None = None

    def is_valid(self, at: datetime) -> bool:
        """Whether it may be used at a time."""
        return (self.not_before is None or at >= self.not_before) and (self.not_after is None or at < self.not_after)

    def reveal(self) -> str:
        return self.value

    def __str__(self) -> str:
        return f"<secret {self.source}>"


def resolve(reference: str, environ: Mapping[str, str]) -> Secret:
    """`env:NAME` or `file:PATH` to a `Secret`; raises ValueError when it is missing or empty."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = environ.get(name, "")
    else:
        path = Path(name)
        value = path.read_text("utf-8").strip() if path.is_file() else ""
    if not value.strip():
        raise ValueError(f"{reference} is missing or empty")
    return Secret(reference, value)
