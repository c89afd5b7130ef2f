"""The simulated Drupal answers like the real one: every recorded pair, replayed over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .golden import NAMES, Replay, aligned, pair, without_salt

PARTLY = {
    "083-error-404-unknown-type": "an HTML page of the site's theme, with the hashes of its assets",
    "084-error-404-not-jsonapi-path": "an HTML page of the site's theme, with the hashes of its assets",
}
"""Pairs whose body cannot be equal, each with the reason; their status and headers are compared all the same."""


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    started = Replay()
    with started.simulator:
        yield started


@pytest.mark.parametrize("name", NAMES)
def test_the_simulator_answers_as_the_real_site_did(replay, name):
    wanted, got = pair(name), replay.answer(name)
    expected = (wanted.raw["status"], replay.translated(wanted.headers))
    assert (got.status, got.headers) == expected
    if name in PARTLY:
        return
    body = replay.translated(wanted.raw["response_body"])
    shown = got.body
    if wanted.raw["trimmed"]:
        shown = {**shown, "links": {key: link for key, link in shown["links"].items() if key in body["links"]}}
    body, shown = without_salt(body), without_salt(shown)
    assert shown == aligned(body, shown)


def test_all_recorded_pairs_are_there():
    assert [int(name[:3]) for name in NAMES] == list(range(1, 139))


def test_each_server_made_uuid_stands_for_one_recorded_uuid(replay):
    replay.answer(NAMES[-1])
    assert len(set(replay.known.values())) == len(replay.known)
