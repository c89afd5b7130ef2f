"""Secrets, card numbers and mail addresses never survive."""

from __future__ import annotations

import json
import string

from hypothesis import given
from hypothesis import strategies as st

from middleware.domain.redaction import HIDDEN, scrub, scrub_text

WORDS = st.text(alphabet=string.ascii_letters + " ,;:()", max_size=20)
KEY = st.tuples(
    st.sampled_from(["whsec_", "sk_live_", "sk_test_", "rk_live_", "pk_test_"]),
    st.text(alphabet=string.ascii_letters + string.digits + "+/=", min_size=8, max_size=60),
).map("".join)
MAIL = st.from_regex(r"[a-z0-9][a-z0-9.+_-]{0,15}@[a-z0-9-]{1,12}(\.[a-z]{2,6}){1,2}", fullmatch=True)


@st.composite
def cards(draw: st.DrawFn) -> str:
    """A number of 13 to 19 digits with its check digit, written together or in groups."""
    digits = draw(st.text(alphabet=string.digits, min_size=12, max_size=18))
    total = sum(sum(divmod(int(d) * (2 if i % 2 == 0 else 1), 10)) for i, d in enumerate(reversed(digits)))
    number = digits + str(-total % 10)
    between = draw(st.sampled_from(["", " ", "-"]))
    return between.join(number[i : i + 4] for i in range(0, len(number), 4))


SENSITIVE = st.one_of(cards(), KEY, MAIL)


@given(WORDS, SENSITIVE, WORDS)
def test_nothing_sensitive_survives_in_a_text(before: str, secret: str, after: str) -> None:
    shown = scrub_text(f"{before} {secret} {after}")
    assert secret not in shown
    assert HIDDEN in shown


@given(
    st.recursive(
        SENSITIVE,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["text", "note", "list", "why"]), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_nothing_sensitive_survives_in_a_structure(value: object) -> None:
    def leaves(found: object) -> list[str]:
        if isinstance(found, dict):
            return [leaf for inner in found.values() for leaf in leaves(inner)]
        return [leaf for inner in found for leaf in leaves(inner)] if isinstance(found, list) else [str(found)]

    shown = json.dumps(scrub(value))
    assert not [leaf for leaf in leaves(value) if leaf in shown]


@given(
    st.sampled_from(["Authorization", "stripe-signature", "password", "api_key", "Cookie", "body", "mail", "card_number", "X-Api-Key"]),
    st.text(min_size=1),
)
def test_what_stands_under_a_telling_name_is_hidden_whatever_it_is(name: str, value: str) -> None:
    assert scrub({name: value, "kept": 7}) == {name: HIDDEN, "kept": 7}


def test_ordinary_numbers_and_ids_stay_readable() -> None:
    text = "order 1001 of 2026-11-22, SO-000042, pi_3NVuCl2eZvKYlo2C1R4, 4470 EUR, 1234567890123"
    assert scrub_text(text) == text


def test_credentials_in_an_address_are_hidden() -> None:
    assert scrub_text("postgresql://waybill:topsecret@db/waybill") == f"postgresql://{HIDDEN}@db/waybill"
