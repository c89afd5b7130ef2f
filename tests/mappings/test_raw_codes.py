"""What is kept of a provider's own code."""

from __future__ import annotations

import pytest

from mappings.raw_codes import raw_code


@pytest.mark.parametrize("code", ["Refused", "3D Not Authenticated", "20051", "5120", "CVV_FAILURE", "05 : Do not honor", "00N7"])
def test_a_code_is_kept(code: str) -> None:
    assert raw_code(code) == code


@pytest.mark.parametrize("text", [None, "", "4111111111111111", "033899:1111:03/2030", "ada@example.test", "x" * 81, "a\nb", "Zoë"])
def test_anything_else_is_not(text: str | None) -> None:
    assert raw_code(text) == ""
