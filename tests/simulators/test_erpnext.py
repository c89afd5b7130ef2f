"""The simulated ERPNext: lists as Frappe gives them, and webhooks that the connector verifies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from middleware.connectors._http import Http
from middleware.connectors.erpnext import Connector
from middleware.errors import Refused
from middleware.ports import Inbound
from middleware.settings import Connection
from middleware.simulators.deliveries import DeliveryReport, Mischief
from middleware.simulators.erpnext import ERPNextSimulator
from middleware.testing import secret

KEY = {"Authorization": "token api-key:api-secret"}


@pytest.fixture
def site() -> Iterator[ERPNextSimulator]:
    with ERPNextSimulator() as started:
        for number in range(25):
            started.item(f"item-{number:02}", item_name=f"Item {number}")
        yield started


def ask(site: ERPNextSimulator, doctype: str = "Item", headers: dict[str, str] = KEY, **params: Any) -> tuple[int, Any]:
    texts = {name: value if isinstance(value, str | int) else json.dumps(value) for name, value in params.items()}
    query = {"order_by": "name asc", **texts}
    with requests.get(f"{site.url}/api/resource/{doctype}", params=query, headers=headers, timeout=5) as answer:
        return answer.status_code, answer.json()


def names(answer: tuple[int, Any]) -> list[str]:
    return [row["name"] for row in answer[1]["data"]]


def test_a_list_has_twenty_documents_and_their_names_unless_asked(site: ERPNextSimulator) -> None:
    assert ask(site) == (200, {"data": [{"name": f"item-{number:02}"} for number in range(20)]})
    assert names(ask(site, limit_start=24)) == ["item-24"]
    assert len(names(ask(site, limit_page_length=0))) == 25


def test_filters_compare_as_the_database_does(site: ERPNextSimulator) -> None:
    site.item("ITEM-24B")
    assert names(ask(site, filters=[["name", ">", "Item-23"]])) == ["item-24", "ITEM-24B"]
    assert names(ask(site, filters=[["name", "in", ["ITEM-00", "x"]]])) == ["item-00"]
    assert names(ask(site, filters=[["brand", "is", "set"]])) == []


@pytest.mark.parametrize(
    ("doctype", "params", "status", "kind"),
    [
        ("Thing", {}, 404, "DoesNotExistError"),
        ("Item Barcode", {}, 403, "PermissionError"),
        ("Item", {"fields": ["nothing"]}, 417, "DataError"),
        ("Item", {"filters": [["name", "~", "x"]]}, 417, "ValidationError"),
        ("Item", {"filters": "{"}, 417, "ValidationError"),
        ("Item", {"order_by": "modified desc"}, 417, "ValidationError"),
        ("Item", {"headers": {}}, 401, "AuthenticationError"),
    ],
)
def test_refusals_have_frappes_shape(site: ERPNextSimulator, doctype: str, params: dict[str, Any], status: int, kind: str) -> None:
    code, body = ask(site, doctype, **params)
    assert (code, body["exc_type"]) == (status, kind)


def test_every_change_is_told_and_only_our_signature_is_accepted(site: ERPNextSimulator, receiver: Any) -> None:
    connection = Connection("erp", "erpnext", site.url, secrets=(secret("s1"),))
    connector = Connector(connection, Http(connection))
    told = []

    def judge(headers: dict[str, str], body: bytes) -> int:
        try:
            found = connector.read(Inbound(headers, body, "", datetime.now(UTC)))
        except Refused as error:
            return error.status
        told.extend((one.topic, one.subject) for one in found)
        return 200

    receiver.judge = judge
    deliverer = site.deliver_to(receiver.url, "s1", mischief=Mischief(tampered=1, forged=1), workers=1)
    site.item("item-00", item_name="New")
    site.remove("Item", "item-01")
    started = deliverer.start()
    assert started.drain(10)
    started.stop()
    assert deliverer.report() == DeliveryReport(messages=2, sent=6, accepted=2, refused_on_purpose=4)
    assert sorted(told) == [("erpnext.Item", "item-00"), ("erpnext.Item", "item-01")]
