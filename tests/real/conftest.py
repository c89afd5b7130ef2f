"""Fixtures for the programs that other people wrote; each is skipped with its reason where the machine cannot run it."""

from collections.abc import Iterator

import pytest

from middleware.simulators.proxy import FaultProxy

from . import localstripe_server, medusa_server, tryton_server, vendure_server
from .programs import Unavailable


@pytest.fixture(scope="session")
def tryton() -> Iterator[tryton_server.Tryton]:
    """A running, seeded Tryton. Its state is shared by the tests of a session: use order numbers of your own, or `reset()`.
    The first use on a machine installs and seeds for about two minutes: mark the module `timeout(600)`."""
    try:
        started = tryton_server.running()
        server = started.__enter__()
    except Unavailable as reason:
        pytest.skip(f"no real Tryton: {reason}")
    try:
        yield server
    finally:
        started.__exit__(None, None, None)


@pytest.fixture
def tryton_proxy(tryton: tryton_server.Tryton) -> Iterator[FaultProxy]:
    """A fault proxy in front of it; `tryton.proxied(tryton_proxy)` is the address to call."""
    with tryton.proxy() as proxy:
        yield proxy


@pytest.fixture(scope="session")
def localstripe() -> Iterator[localstripe_server.Localstripe]:
    """A running localstripe, shared by the tests of a session."""
    try:
        started = localstripe_server.running()
        server = started.__enter__()
    except Unavailable as reason:
        pytest.skip(f"no localstripe: {reason}")
    try:
        yield server
    finally:
        started.__exit__(None, None, None)


@pytest.fixture(scope="session")
def vendure() -> Iterator[vendure_server.Vendure]:
    """A running Vendure, shared by the tests of a session: use SKUs of your own. The first use on a machine installs it."""
    try:
        started = vendure_server.running()
        server = started.__enter__()
    except Unavailable as reason:
        pytest.skip(f"no real Vendure: {reason}")
    try:
        yield server
    finally:
        started.__exit__(None, None, None)


@pytest.fixture(scope="session")
def medusa() -> Iterator[medusa_server.Medusa]:
    """A running Medusa, shared by the tests of a session: use SKUs of your own. The first use on a machine installs it."""
    try:
        started = medusa_server.running()
        server = started.__enter__()
    except Unavailable as reason:
        pytest.skip(f"no real Medusa: {reason}")
    try:
        yield server
    finally:
        started.__exit__(None, None, None)
