"""What must never be written down: secrets, card numbers, personal values. Used by logs, samples and error reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[hidden]"

_NAMES = re.compile(
    r"secret|password|passwd|token|authori[sz]ation|cookie|signature|api_?key|credential|session|body|payload|snapshot|mail|phone|address"
    r"|given_name|family_name|first_name|last_name|card|iban|cvc|cvv|\bpan\b|x-api-key",
    re.IGNORECASE,
)
_VALUES = re.compile(
    r"(?P<key>\b(?:whsec|sk|rk|pk)_[A-Za-z0-9_+/=-]{8,})"
    r"|(?P<mail>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<bearer>\b(?:Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,})"
    r"|(?P<url>(?<=://)[^/\s:@]+:[^/\s@]+(?=@))"
    r"|(?P<track>;\d{12,19}=\d*\??|%B\d{12,19}\^[^?\n]{0,120}\??)"
    r"|(?P<card>(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w.-]))"
)


def scrub_text(text: str) -> str:
    """The text without keys, mail addresses, credentials in URLs, and digits that pass as a card number."""
    return _VALUES.sub(_hide, text)


def scrub(value: Any, name: str = "") -> Any:
    """The same structure with everything sensitive replaced; `name` is the key that it stands under."""
    if name and _NAMES.search(name):
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: scrub(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(item) for item in value]
    if isinstance(value, bytes):
        return HIDDEN
    return scrub_text(value) if isinstance(value, str) else value


def _hide(match: re.Match[str]) -> str:
    found = match.group(0)
    if match.lastgroup == "card" and not _is_card(re.sub(r"\D", "", found)):
        return found
    return HIDDEN


def _is_card(digits: str) -> bool:
    """Luhn: the check digit that every card number has (ISO/IEC 7812-1)."""
    doubled = [int(d) if i % 2 == 0 else sum(divmod(int(d) * 2, 10)) for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0
