"""The connector of any sender of Standard Webhooks: the official library judges signatures, a merchant's table is tried out whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings import standardwebhooks as words
from mappings.canonical import (
    Ignored,
    Money,
    PartKind,
    PartState,
    PaymentChange,
    PaymentPart,
    PaymentState,
    PayoutChange,
    PayoutState,
    Review,
)
from middleware.connectors import mistakes
from middleware.connectors._http import Http
from middleware.connectors.standardwebhooks import Connector
from middleware.errors import Refused, SignatureRefused, Stale, Unreadable, WrongEnvironment
from middleware.ports import Delivery, Inbound
from middleware.settings import Connection
from middleware.testing import secret
from tests.hostile import JSON, mutations

VECTORS = json.loads((Path(__file__).parents[1] / "payloads" / "vectors" / "standardwebhooks.json").read_text("utf-8"))
NOW = VECTORS["frozen_now_unix"]
AT = datetime.fromtimestamp(NOW, UTC)
KEY = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
OTHER = "whsec_b3RoZXJrZXlvdGhlcmtleW90aGVya2V5"


def connector(*secrets: str, live: bool = False, **options: Any) -> Connector:
    connection = Connection("any", "standardwebhooks", secrets=tuple(secret(one) for one in secrets), options=options, live=live)
    return Connector(connection, Http(connection))


def signed(body: bytes, key: str = KEY, prefix: str = "webhook", at: datetime = AT) -> Inbound:
    signature = standardwebhooks.Webhook(key).sign("msg_1", at, body.decode("utf-8", "surrogatepass"))
    headers = {f"{prefix}-id": "msg_1", f"{prefix}-timestamp": str(int(at.timestamp())), f"{prefix}-signature": signature}
    return Inbound(headers, body, "", AT)


# signatures


@pytest.mark.parametrize("prefix", ["webhook", "svix"])
@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_every_vector_is_judged_as_expected(vector: dict[str, Any], prefix: str) -> None:
    headers = {name.replace("webhook", prefix): value for name, value in vector["headers"].items()}
    request = Inbound(headers, vector["body"].encode(), "", AT)
    if vector["expected"] == "invalid":
        with pytest.raises(Refused):
            connector(vector["secret"]).read(request)
        return
    at = datetime.fromtimestamp(int(vector["headers"]["webhook-timestamp"]), UTC)
    message = vector["headers"]["webhook-id"]
    assert connector(vector["secret"]).read(request) == (Delivery(message, "payment.settled", "p_1", request.body, at),)


class _Clock(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        return datetime.fromtimestamp(NOW, tz)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes, dict[str, str], str], bool]]:
    """The official library with its clock at `NOW`; where it crashes, on broken base64, it does not accept."""
    monkeypatch.setattr("standardwebhooks.webhooks.datetime", _Clock)

    def accepts(body: bytes, headers: dict[str, str], key: str) -> bool:
        try:
            standardwebhooks.Webhook(key).verify(body, headers, json_parse=False)
        except (standardwebhooks.WebhookVerificationError, ValueError):
            return False
        return True

    yield accepts


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60)


@given(body=TEXTS, key=st.sampled_from([KEY, OTHER]), shift=st.sampled_from([0, 299, 300, 301, -300, -301]), data=st.data())
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_library_and_we_give_the_same_verdict(
    library: Callable[[bytes, dict[str, str], str], bool], body: str, key: str, shift: int, data: st.DataObject
) -> None:
    at = datetime.fromtimestamp(NOW + shift, UTC)
    good = standardwebhooks.Webhook(key).sign("msg_1", at, body)
    made = data.draw(
        st.sampled_from([good, f"v1,AAAA {good}", f"v1a,00 {good}", good[:-2], good.replace("v1", "v2"), good.swapcase(), "v1,"])
    )
    name = data.draw(st.sampled_from(["msg_1", "msg_1", "msg_2"]))
    headers = {"webhook-id": name, "webhook-timestamp": str(NOW + shift), "webhook-signature": made}
    posted = (body + data.draw(st.sampled_from(["", "", " "]))).encode()
    try:
        connector(KEY).read(Inbound(headers, posted, "", AT))
        ours = True
    except Refused:
        ours = False
    assert ours == library(posted, headers, KEY)


def test_an_old_delivery_is_stale() -> None:
    with pytest.raises(Stale):
        connector(KEY, tolerance=10).read(signed(b"{}", at=datetime.fromtimestamp(NOW - 11, UTC)))


def test_a_blank_secret_is_a_mistake_and_none_a_closed_door() -> None:
    with pytest.raises(ValueError, match="empty"):
        connector("whsec_")
    with pytest.raises(SignatureRefused, match="no secret"):
        connector().read(signed(b"{}"))


def test_while_a_secret_is_rotated_the_delivery_says_which_matched() -> None:
    assert [one.secret for one in connector(OTHER, KEY).read(signed(b'{"type":"t"}'))] == [1]


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"type": 7}', b"no json", b'{"type": NaN}', b"[" * 5000])
def test_a_verified_body_without_a_topic_is_kept_under_its_id(body: bytes) -> None:
    (found,) = connector(KEY).read(signed(body))
    assert (found.delivery_id, found.topic, found.payload) == ("msg_1", "unreadable", body)


def test_an_event_of_the_other_environment_is_refused_where_the_table_says_which_it_is() -> None:
    body = b'{"type": "t", "live": true}'
    assert connector(KEY).read(signed(body))[0].topic == "t"
    with pytest.raises(WrongEnvironment):
        connector(KEY, paths={"live": "live"}).read(signed(body))


# the table

TOPICS = {
    "payment.waiting": "pending",
    "payment.sca": "requires_action",
    "payment.held": "authorized",
    "payment.settled": "captured",
    "payment.refused": "failed",
    "payment.released": "voided",
    "payment.taken": "capture",
    "payment.given_back": "refund",
    "payment.not_given_back": "refund_failed",
    "payment.disputed": "dispute",
    "payment.dispute_won": "dispute_won",
    "payment.checked": "review_hold",
    "payout.done": "payout_paid",
    "customer.created": "ignore",
}
BODY = {
    "type": "payment.settled",
    "timestamp": "2026-01-01T00:00:00Z",
    "data": {"id": "p_1", "amount": "44.70", "currency": "eur", "order_id": 1001, "part_id": "x_1", "code": "nsf"},
}
SAID = PaymentChange("p_1", AT, None, None, (), ("1001",))
MONEY = Money(4470, "EUR")


def part(kind: PartKind, counts: bool, state: PartState) -> tuple[PaymentPart, ...]:
    return (PaymentPart(kind, "x_1", MONEY, counts, state),)


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("payment.waiting", {"state": PaymentState.PENDING, "amount": MONEY}),
        ("payment.sca", {"state": PaymentState.REQUIRES_ACTION, "amount": MONEY}),
        ("payment.held", {"state": PaymentState.AUTHORIZED, "amount": MONEY}),
        (
            "payment.settled",
            {"state": PaymentState.CAPTURED, "amount": MONEY, "parts": part(PartKind.CAPTURE, True, PartState.DONE)},
        ),
        ("payment.refused", {"state": PaymentState.FAILED, "amount": MONEY, "outcome": "insufficient_funds", "raw_code": "nsf"}),
        ("payment.released", {"state": PaymentState.VOIDED, "amount": MONEY}),
        ("payment.taken", {"parts": part(PartKind.CAPTURE, True, PartState.DONE)}),
        ("payment.given_back", {"parts": part(PartKind.REFUND, True, PartState.DONE)}),
        ("payment.not_given_back", {"parts": part(PartKind.REFUND, False, PartState.FAILED)}),
        ("payment.disputed", {"parts": part(PartKind.DISPUTE, True, PartState.OPENED)}),
        ("payment.dispute_won", {"parts": part(PartKind.DISPUTE, False, PartState.WON)}),
        ("payment.checked", {"review": Review.HOLD}),
    ],
)
def test_what_a_topic_means_is_what_the_table_says(topic: str, expected: dict[str, Any]) -> None:
    ours = connector(KEY, topics=TOPICS, outcomes={"nsf": "insufficient_funds"})
    fields = {name: getattr(SAID, name) for name in SAID.__slots__}
    assert ours.translate(topic, json.dumps({**BODY, "type": topic}).encode()) == PaymentChange(**{**fields, **expected})


def test_a_payout_is_one() -> None:
    body = json.dumps({**BODY, "type": "payout.done"}).encode()
    assert connector(KEY, topics=TOPICS).translate("payout.done", body) == PayoutChange("p_1", AT, PayoutState.PAID, MONEY)


def test_what_is_not_in_the_table_is_kept_and_ignored() -> None:
    ours = connector(KEY, topics=TOPICS)
    assert ours.translate("x", b'{"type": "new"}') == Ignored("the topic is not in the table")
    assert ours.translate("x", b'{"type": "customer.created"}') == Ignored("the topic is ignored by the table")
    assert ours.translate("x", b"[]") == Ignored("the topic is not in the table")


@pytest.mark.parametrize(
    ("amount", "currency", "options", "expected"),
    [
        ("44.70", "EUR", {}, Money(4470, "EUR")),
        (44, "JPY", {}, Money(44, "JPY")),
        (4470, "EUR", {"unit": "minor"}, Money(4470, "EUR")),
        (4400, "JPY", {"unit": "minor", "exponents": {"JPY": 2}}, Money(44, "JPY")),
        (1500, "ISK", {"unit": "minor", "exponents": {"ISK": 2}}, Money(15, "ISK")),
    ],
)
def test_amounts_are_read_in_the_senders_unit(amount: Any, currency: str, options: dict[str, Any], expected: Money) -> None:
    body = {**BODY, "data": {**BODY["data"], "amount": amount, "currency": currency}}  # type: ignore[dict-item]
    found = connector(KEY, topics=TOPICS, **options).translate("t", json.dumps(body).encode())
    assert isinstance(found, PaymentChange)
    assert found.amount == expected


def test_fractions_of_json_stay_exact() -> None:
    body = json.dumps(BODY).replace('"44.70"', "44.70").encode()
    found = connector(KEY, topics=TOPICS).translate("t", body)
    assert isinstance(found, PaymentChange)
    assert found.amount == MONEY


SUM = {"value": "1.00", "cur": "EUR"}


def test_paths_lead_anywhere_and_times_may_be_seconds() -> None:
    body = {
        "event": "done",
        "at": NOW,
        "object": {"ref": "p_1", "meta": [{"k": "order", "v": "1001"}], "sum": {"value": "1.00", "cur": "EUR"}},
    }
    paths = {
        "topic": "event",
        "time": "at",
        "id": "object.ref",
        "order": "object.meta[?k=='order'].v | [0]",
        "amount": "object.sum.value",
        "currency": "object.sum.cur",
        "part": "",
    }
    ours = connector(KEY, topics={"done": "captured"}, paths=paths)
    capture = (PaymentPart(PartKind.CAPTURE, "p_1", Money(100, "EUR")),)
    expected = PaymentChange("p_1", AT, PaymentState.CAPTURED, Money(100, "EUR"), capture, ("1001",))
    assert ours.translate("done", json.dumps(body).encode()) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amount": "ada@example.test"}, "amount: expected a decimal number as text"),
        ({"amount": "44.705"}, "amount: finer than the currency's minor unit"),
        ({"currency": "EURO"}, "currency: expected an ISO 4217 code"),
        ({"id": {}}, "id: expected an id"),
        ({"id": None}, "id: is not there"),
    ],
)
def test_what_does_not_fit_names_the_path_and_no_value(changes: dict[str, Any], message: str) -> None:
    body = {**BODY, "data": {**BODY["data"], **changes}}  # type: ignore[dict-item]
    with pytest.raises(Unreadable) as found:
        connector(KEY, topics=TOPICS).translate("t", json.dumps(body).encode())
    assert str(found.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topics": {"a": "paid"}}, "options.topics: a is 'paid'; expected one of: pending"),
        ({"paths": {"sum": "x"}}, "options.paths: sum is unknown; known: topic"),
        ({"paths": {"id": "a["}}, "options.paths: id is no jmespath"),
        ({"paths": {"id": 7}}, "options.paths: id is no jmespath"),
        ({"unit": "cents"}, "options.unit: expected major or minor"),
        ({"outcomes": {"x": "y"}}, "options.outcomes: expected codes → one of: declined"),
    ],
)
def test_a_table_that_cannot_be_is_a_mistake_of_the_configuration(options: dict[str, Any], message: str) -> None:
    (found,) = mistakes({"any": Connection("any", "standardwebhooks", secrets=(secret(KEY),), options=options)})
    assert found.startswith(f"connections.any.{message}")


@given(raw=mutations(*({**BODY, "type": topic} for topic in TOPICS)) | JSON, unit=st.sampled_from(["major", "minor"]))
@settings(max_examples=600, deadline=None)
def test_nothing_that_a_verified_sender_may_send_is_a_bug(raw: Any, unit: str) -> None:
    body = json.dumps(raw).encode()
    ours = connector(KEY, topics=TOPICS, unit=unit)
    ours.read(signed(body))
    try:
        ours.translate("t", body)
    except Unreadable:
        return


def test_every_word_of_the_table_is_understood() -> None:
    for word in words.WORDS:
        found = connector(KEY, topics={"t": word}).translate("t", json.dumps({**BODY, "type": "t"}).encode())
        assert isinstance(found, Ignored) == (word == "ignore")
