"""A provider's own code of a failure, kept beside the outcome: only what looks like one, never a card's digits or a person's words."""

from __future__ import annotations

import re

_CODE = re.compile(r"(?!.*\d{6})(?!(?:\D*\d){9})[A-Za-z0-9 ._:/-]{1,80}")


def raw_code(text: str | None) -> str:
    """The code, or "" when it holds anything else."""
    return text if text and _CODE.fullmatch(text) else ""
