"""What every connector must hold to. It finds its subjects by itself: the files of middleware/connectors/."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mappings.canonical import Message
from middleware import connectors, ports
from middleware.connectors._http import Http
from middleware.errors import Refused, Unreadable
from middleware.ports import Inbound
from middleware.settings import LANES, Connection
from middleware.testing import secret

ROOT = Path(__file__).parents[2]
PROOFS = ("real system", "SDK", "simulator", "documents only")
SYSTEMS = connectors.systems()
WEBHOOKS = [name for name in SYSTEMS if hasattr(connectors.connector_class(name), "read")]
TRANSLATORS = [name for name in SYSTEMS if hasattr(connectors.connector_class(name), "translate")]


def made(system: str, **changes: object) -> object:
    cls = connectors.connector_class(system)
    given = {
        "secrets": (secret("whsec_c2VjcmV0LW9mLXRoZS1jb250cmFjdA=="),),
        "credentials": {name: secret("value") for name in cls.CREDENTIALS},
        **changes,
    }
    connection = Connection("mine", system, "http://127.0.0.1:9", **given)
    return cls(connection, Http(connection))


def test_the_folder_is_the_registry() -> None:
    files = {file.stem for file in (ROOT / "middleware" / "connectors").glob("*.py") if not file.stem.startswith("_")}
    assert set(SYSTEMS) == files


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_connector_declares_what_it_is(system: str) -> None:
    cls = connectors.connector_class(system)
    assert system == cls.SYSTEM
    assert cls.LANE in LANES
    assert cls.PROOF.startswith(PROOFS)
    assert cls.API_VERSION
    assert isinstance(cls.CREDENTIALS, Mapping)
    assert set(getattr(cls, "NATIVE_IDEMPOTENCY", ())) <= set(ports.ROLES)
    assert 400 <= getattr(cls, "REFUSAL_STATUS", 401) < 500
    for name, (kind, default, text) in cls.OPTIONS.items():
        assert isinstance(default, kind), name
        assert text, name


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_connector_plays_known_roles_and_has_no_other_public_method(system: str) -> None:
    cls = connectors.connector_class(system)
    public = {name for name, _ in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")}
    assert public, "a connector without a role"
    assert public <= set(ports.ROLES)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_role_has_the_signature_of_its_protocol(system: str) -> None:
    cls = connectors.connector_class(system)
    for role in connectors.roles_of(cls):
        expected = list(inspect.signature(getattr(ports.ROLES[role], role)).parameters)
        assert list(inspect.signature(getattr(cls, role)).parameters) == expected, role


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_operation_it_is_asked_for_can_be_settled(system: str) -> None:
    cls = connectors.connector_class(system)
    for operation in ports.OPERATIONS.values():
        if hasattr(cls, operation.name) and not operation.repeatable:
            assert hasattr(cls, operation.find) or operation.name in getattr(cls, "NATIVE_IDEMPOTENCY", ())


@pytest.mark.parametrize("system", SYSTEMS)
def test_one_stem_everywhere(system: str) -> None:
    importlib.import_module(f"mappings.{system}")
    tested = [file.stem for file in (ROOT / "tests").rglob(f"test_{system}*.py")] + [
        file.stem for file in (ROOT / "tests").rglob("test_erp.py")
    ]
    assert tested, f"no test file is called test_{system}.py"


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_connector_speaks_only_through_the_one_client(system: str) -> None:
    source = (ROOT / "middleware" / "connectors" / f"{system}.py").read_text("utf-8")
    imported = {alias.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import) for alias in node.names}
    assert not imported & {"requests", "urllib3", "socket", "http.client", "urllib.request"}


@pytest.mark.parametrize("system", WEBHOOKS)
@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe", b'{"id": "x"}'])
@pytest.mark.parametrize("headers", [{}, {"content-type": "application/json"}, {"stripe-signature": "t=1,v1=", "webhook-signature": "v1,"}])
def test_an_unsigned_request_is_refused(system: str, body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(Refused):
        made(system).read(Inbound(headers, body, "", datetime.now(UTC)))


@pytest.mark.parametrize("system", WEBHOOKS)
def test_a_connection_without_a_secret_is_a_closed_door(system: str) -> None:
    with pytest.raises(Refused):
        made(system, secrets=()).read(Inbound({}, b"{}", "", datetime.now(UTC)))
    if not hasattr(connectors.connector_class(system), "list_records"):  # a feed may do without hints
        assert any("secrets: missing" in line for line in connectors.mistakes({"mine": Connection("mine", system, "http://127.0.0.1:9")}))


@pytest.mark.parametrize("system", TRANSLATORS)
@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"{}", b"\xff", b'{"data": "ada@example.test"}', b'{"id": {"deep": [1]}}'])
def test_what_it_cannot_read_is_said_without_a_value(system: str, payload: bytes) -> None:
    try:
        message = made(system).translate("anything", payload)
    except Unreadable as error:
        assert "ada@" not in str(error)
    else:
        assert isinstance(message, Message)


def test_mistakes_of_a_connection_are_found_at_once() -> None:
    wrong = Connection(
        "erp", "tryton", "", credentials={"pass": secret("x")}, options={"companny": 1, "company": "one"}, rate="often", timeout=99
    )
    assert connectors.mistakes({"erp": wrong, "x": Connection("x", "sap")}) == [
        "connections.erp.options.companny: unknown; known: company, web_shop, party_prefix, payment_term, warehouse,"
        " charge_product, price_digits, warehouses, available, attributes, language, languages, page",
        "connections.erp.options.company: expected int, found str",
        "connections.erp.credentials.pass: unknown; known: key",
        "connections.erp.credentials.key: missing; expected a reference, env:NAME or file:PATH"
        " (key of a validated REST application of the user that Waybill acts as)",
        "connections.erp.base_url: missing; expected the system's http(s) address",
        "connections.erp.rate: expected something like 10/second, found 'often'",
        "connections.erp.timeout: expected more than 0 and at most the deadline of 30 s, found 99",
        f"connections.x.system: no system is called 'sap'; expected one of: {', '.join(SYSTEMS)}",
    ]
