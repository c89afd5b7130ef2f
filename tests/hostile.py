"""Bodies that a verified sender might send: whole inventions, and real ones with something replaced or left out."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(
        ["", "0", "-1.005", "1e9999", "NaN", "EUR", "XXX", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "\ud800", "\0"]
    )
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=6
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, the root left out."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [place for key, inner in value.items() for place in places(inner, (*path, key))]
    if isinstance(value, list):
        found += [place for index, inner in enumerate(value) for place in places(inner, (*path, index))]
    return found


@st.composite
def mutations(draw: st.DrawFn, *samples: Any) -> Any:
    """One of the samples with up to three places replaced by anything, or left out."""
    value = copy.deepcopy(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 3))):
        _mutate(draw, value)
    return value


def _mutate(draw: st.DrawFn, value: Any) -> None:
    known = places(value)
    if not known:
        return
    *way, last = draw(st.sampled_from(known))
    holder = value
    for step in way:
        holder = holder[step]
    if draw(st.booleans()):
        holder[last] = draw(JSON)
    else:
        del holder[last]
