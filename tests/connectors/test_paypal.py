"""The PayPal connector: vectors that the legacy SDK judged for its signatures, PayPal's published descriptions for the rest."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import responses
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import paypal as words
from mappings import paypal_words
from mappings.canonical import Ignored, Money, PartKind, PartState, PaymentChange, PaymentPart, PaymentState, Review
from middleware.connectors._http import Http
from middleware.connectors.paypal import Connector
from middleware.errors import (
    Busy,
    Refused,
    Rejected,
    SignatureRefused,
    Stale,
    Transient,
    Unauthorized,
    UnknownOutcome,
    Unreadable,
    WrongEnvironment,
)
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.testing import secret

PAYLOADS = Path(__file__).parents[1] / "payloads"
VECTORS = json.loads((PAYLOADS / "vectors" / "paypal.json").read_text("utf-8"))
SPEC = json.loads((PAYLOADS / "paypal" / "requests.json").read_text("utf-8"))
NAMES = json.loads((PAYLOADS / "paypal" / "event_names.json").read_text("utf-8"))["names"]
HOOK = "4JH86294D6297924G"
AT = datetime(2026, 1, 1, tzinfo=UTC)
URL = "https://api-m.sandbox.paypal.com"
CERT = "/v1/notifications/certs/CERT-360caa42-fca2a594-7a8abba8"


@pytest.fixture(scope="session")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("paypal") / "ca.pem"
    file.write_text(VECTORS["pem"]["ca"])
    return str(file)


def connector(*hooks: str, live: bool = False, **options: Any) -> Connector:
    connection = Connection(
        "paypal",
        "paypal",
        URL,
        tuple(secret(hook) for hook in hooks),
        {"client_secret": secret("app-secret")},
        {"client_id": "app", **options},
        live=live,
    )
    return Connector(connection, Http(connection))


def pem_of(vector: dict[str, Any]) -> str:
    """Which certificate the vector's address leads to, by its name."""
    name = vector["name"]
    kinds = {"self-signed": "evil", "wrong CN": "wrongcn", "expired": "expired"}
    return str(VECTORS["pem"][next((kind for word, kind in kinds.items() if word in name), "leaf")])


# signatures


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
@responses.activate
def test_every_vector_is_judged_as_expected(vector: dict[str, Any], ca_file: str) -> None:
    responses.get(URL + CERT, body=pem_of(vector))
    request = Inbound(vector["headers"], vector["body"].encode(), "", AT)
    ours = connector(vector["webhook_id"], trusted_certificates=ca_file)
    if vector["expected"] == "invalid":
        with pytest.raises(SignatureRefused):
            ours.read(request)
        return
    assert ours.read(request) == (
        Delivery("WH-58D329510W468432D-8HN650336L201105X", "PAYMENT.CAPTURE.COMPLETED", "42311647XV020574X", request.body, AT),
    )


VALID = VECTORS["vectors"][0]


def valid(**headers: str) -> Inbound:
    return Inbound({**VALID["headers"], **headers}, VALID["body"].encode(), "", AT)


@responses.activate
def test_a_certificate_is_asked_for_once_and_below_our_own_address(ca_file: str) -> None:
    responses.get(URL + CERT, body=VECTORS["pem"]["leaf"])
    ours = connector(HOOK, trusted_certificates=ca_file)
    for _ in range(3):
        ours.read(valid())
    assert [call.request.url for call in responses.calls] == [URL + CERT]


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example.com/v1/notifications/certs/CERT-1",
        "https://paypal.com.evil.example/v1/notifications/certs/CERT-1",
        "https://evilpaypal.com/v1/notifications/certs/CERT-1",
        "https://u@api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/../webhooks",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?x=1",
        "https://[",
        "",
    ],
)
def test_no_other_address_is_asked(address: str, ca_file: str) -> None:
    with responses.RequestsMock(), pytest.raises(SignatureRefused):
        connector(HOOK, trusted_certificates=ca_file).read(valid(**{"paypal-cert-url": address}))


@pytest.mark.parametrize("header", ["paypal-transmission-id", "paypal-transmission-time", "paypal-transmission-sig", "paypal-auth-algo"])
def test_a_header_that_is_missing_or_none_is_refused(header: str) -> None:
    for value in ("", "é"):
        with responses.RequestsMock() as fake:
            fake.get(URL + CERT, body=VECTORS["pem"]["leaf"]) if value and header.endswith(("-id", "-time")) else None
            with pytest.raises(SignatureRefused):
                connector(HOOK).read(valid(**{header: value}))


@responses.activate
def test_without_our_root_the_chain_leads_nowhere() -> None:
    responses.get(URL + CERT, body=VECTORS["pem"]["leaf"])
    with pytest.raises(SignatureRefused, match="no trusted root"):
        connector(HOOK).read(valid())


@responses.activate
def test_public_roots_are_those_of_the_authority_that_paypal_uses() -> None:
    ours = connector(HOOK)._certificates.trusted
    assert 3 < len(ours) < 30
    assert all("DigiCert" in root.subject.rfc4514_string() for root in ours)


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (404, SignatureRefused, "no such certificate"),
        (500, Busy, "cannot be had now: HTTP 500"),
        (200, SignatureRefused, "the certificate is none"),
    ],
)
@responses.activate
def test_a_certificate_that_cannot_be_had_is_told_apart_from_one_that_is_not_there(
    status: int, error: type[Exception], text: str, ca_file: str
) -> None:
    responses.get(URL + CERT, body="no PEM", status=status)
    with pytest.raises(error, match=text):
        connector(HOOK, trusted_certificates=ca_file).read(valid())


@responses.activate
def test_made_up_certificates_are_not_asked_for_without_end(ca_file: str) -> None:
    responses.get(URL + CERT, status=404)
    ours = connector(HOOK, trusted_certificates=ca_file)
    for _ in range(10):
        with pytest.raises(SignatureRefused):
            ours.read(valid())
    with pytest.raises(Busy):
        ours.read(valid())
    with pytest.raises(SignatureRefused):
        ours.read(replace(valid(), received_at=AT + timedelta(minutes=2)))
    assert len(responses.calls) == 11


@pytest.mark.parametrize("hooks", [("",), (" ", "\t"), ()])
def test_an_empty_webhook_id_closes_the_door(hooks: tuple[str, ...]) -> None:
    with pytest.raises(SignatureRefused, match="no webhook id"):
        connector(*hooks).read(valid())


@responses.activate
def test_of_several_webhooks_the_delivery_says_whose_it_was(ca_file: str) -> None:
    responses.get(URL + CERT, body=VECTORS["pem"]["leaf"])
    assert [delivery.secret for delivery in connector("OTHER", HOOK, trusted_certificates=ca_file).read(valid())] == [1]


@responses.activate
def test_a_sandbox_event_on_a_live_connection_is_refused(ca_file: str) -> None:
    responses.get(URL + CERT, body=VECTORS["pem"]["leaf"])
    with pytest.raises(WrongEnvironment, match="a test event on a live connection"):
        connector(HOOK, live=True, trusted_certificates=ca_file).read(valid())
    with pytest.raises(WrongEnvironment, match="a live event on a test connection"):
        connector(HOOK, trusted_certificates=ca_file).read(valid(**{"paypal-cert-url": "https://api.paypal.com" + CERT}))


@responses.activate
def test_a_connection_may_bound_the_age_of_a_transmission(ca_file: str) -> None:
    responses.get(URL + CERT, body=VECTORS["pem"]["leaf"])
    ours = connector(HOOK, trusted_certificates=ca_file, tolerance=300)
    assert len(ours.read(valid())) == 1
    with pytest.raises(Stale):
        ours.read(replace(valid(), received_at=AT + timedelta(seconds=304)))


def test_options_that_are_none_are_said() -> None:
    with pytest.raises(ValueError, match=r"^intent: expected"):
        connector(HOOK, intent="sale")
    with pytest.raises(ValueError, match=r"^verify: expected one of: certificate, api$"):
        connector(HOOK, verify="never")
    with pytest.raises(ValueError, match=r"^trusted_certificates: "):
        connector(HOOK, trusted_certificates="/no/such/file")


class Authority:
    """A certificate authority of the test's own, with one intermediate and a leaf in PayPal's name."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        middle_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.root = self.issue("Root", self.key, "Root", self.key, ca=True)
        self.middle = self.issue("Middle", middle_key, "Root", self.key, ca=True)
        self.leaf_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.leaf = self.issue("certs.paypal.com", self.leaf_key, "Middle", middle_key, ca=False)
        self.under_leaf = self.issue("x.paypal.com", self.leaf_key, "certs.paypal.com", self.leaf_key, ca=False)

    @staticmethod
    def issue(name: str, key: Any, issuer: str, by: Any, *, ca: bool) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        builder = builder.issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])).public_key(key.public_key())
        builder = builder.serial_number(7).not_valid_before(AT - timedelta(days=1)).not_valid_after(AT + timedelta(days=1))
        return builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True).sign(by, hashes.SHA256())

    def headers(self, body: bytes, hook: str) -> dict[str, str]:
        text = f"id-1|2026-01-01T00:00:00Z|{hook}|{zlib.crc32(body)}".encode()
        signature = base64.b64encode(self.leaf_key.sign(text, PKCS1v15(), hashes.SHA256())).decode()
        return {
            **VALID["headers"],
            "paypal-transmission-id": "id-1",
            "paypal-transmission-time": "2026-01-01T00:00:00Z",
            "paypal-transmission-sig": signature,
        }


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


def pems(*chain: x509.Certificate) -> str:
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in chain)


@pytest.mark.parametrize(
    ("chain", "accepted"),
    [
        (lambda made: (made.leaf, made.middle), True),
        (lambda made: (made.leaf, made.middle, made.root), True),
        (lambda made: (made.leaf,), False),
        (lambda made: (made.middle, made.leaf), False),
        (lambda made: (made.under_leaf, made.leaf, made.middle), False),
    ],
)
@responses.activate
def test_a_chain_leads_from_the_first_certificate_over_authorities_to_a_root(
    chain: Callable[[Authority], tuple[x509.Certificate, ...]], accepted: bool, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "root.pem").write_text(pems(authority.root))
    responses.get(URL + CERT, body=pems(*chain(authority)))
    ours = connector(HOOK, trusted_certificates=str(tmp_path / "root.pem"))
    request = Inbound(authority.headers(b"{}", HOOK), b"{}", "", AT)
    if not accepted:
        with pytest.raises(SignatureRefused):
            ours.read(request)
        return
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert ours.read(request) == (Delivery(digest, "unreadable", digest, b"{}"),)
    for later in (ours, connector(HOOK, trusted_certificates=str(tmp_path / "root.pem"))):  # also where it was trusted before
        with pytest.raises(SignatureRefused, match="not valid at this time"):
            later.read(replace(request, received_at=AT + timedelta(days=2)))


@given(body=st.binary(max_size=200), flip=st.integers(0, 2000), where=st.sampled_from(["body", "sig", "id", "time", "hook", ""]))
@settings(max_examples=500, deadline=None)
def test_only_what_was_signed_is_accepted(authority: Authority, body: bytes, flip: int, where: str) -> None:
    headers = authority.headers(body, HOOK)
    sent, hook = body, HOOK
    if where == "body":
        sent = body + b"x" if not body else body[: flip % len(body)] + bytes([body[flip % len(body)] ^ 1]) + body[flip % len(body) + 1 :]
    elif where == "sig":
        raw = bytearray(base64.b64decode(headers["paypal-transmission-sig"]))
        raw[flip % len(raw)] ^= 1
        headers["paypal-transmission-sig"] = base64.b64encode(raw).decode()
    elif where in ("id", "time"):
        headers[f"paypal-transmission-{where}"] += "0"
    elif where == "hook":
        hook = HOOK + "0"
    ours = connector(hook)
    ours._certificates.trusted = [authority.root]
    ours._certificates.known[CERT] = pems(authority.leaf, authority.middle).encode()
    try:
        ours.read(Inbound(headers, sent, "", AT))
    except Refused:
        assert where
    else:
        assert not where


# translation

ORDER = "5O190127TN364715T"
AUTH, CAP, REF = "0VF52814937998046", "42311647XV020574X", "1JU08902781691411"


def link(family: str, thing: str) -> dict[str, str]:
    place = "checkout" if family == "orders" else "payments"
    return {"rel": "up", "href": f"https://api.sandbox.paypal.com/v2/{place}/{family}/{thing}", "method": "GET"}


def thing(one: str, value: str = "44.70", status: str = "COMPLETED", **more: Any) -> dict[str, Any]:
    return {
        "id": one,
        "status": status,
        "amount": {"currency_code": "EUR", "value": value},
        "custom_id": "1001",
        "invoice_id": "D-1001",
        **more,
    }


def event(kind: str, resource: dict[str, Any]) -> bytes:
    body = {"id": "WH-1", "event_type": kind, "create_time": "2026-01-01T00:00:00.000Z", "resource": resource}
    return json.dumps(body).encode()


def translated(kind: str, resource: dict[str, Any], **options: Any) -> Any:
    return connector(HOOK, **options).translate(kind, event(kind, resource))


TOTAL = Money(4470, "EUR")
SAID = PaymentChange(CAP, AT, PaymentState.CAPTURED, TOTAL, (PaymentPart(PartKind.CAPTURE, CAP, TOTAL),), ("1001", "D-1001"))


def failed(code: str) -> dict[str, Any]:
    return {"status": "DECLINED", "processor_response": {"response_code": code}}


@pytest.mark.parametrize(
    ("kind", "resource", "expected"),
    [
        ("COMPLETED", {}, SAID),
        (
            "PENDING",
            {"status": "PENDING", "status_details": {"reason": "PENDING_REVIEW"}},
            replace(
                SAID,
                state=PaymentState.PENDING,
                parts=(PaymentPart(PartKind.CAPTURE, CAP, TOTAL, False, PartState.PENDING),),
                raw_code="PENDING_REVIEW",
                review=Review.HOLD,
            ),
        ),
        (
            "DENIED",
            failed("5120"),
            replace(
                SAID,
                state=PaymentState.FAILED,
                parts=(PaymentPart(PartKind.CAPTURE, CAP, TOTAL, False, PartState.FAILED),),
                outcome="insufficient_funds",
                raw_code="5120",
            ),
        ),
        (
            "DECLINED",
            failed("PPXX"),
            replace(
                SAID,
                state=PaymentState.FAILED,
                parts=(PaymentPart(PartKind.CAPTURE, CAP, TOTAL, False, PartState.FAILED),),
                outcome="declined",
                raw_code="PPXX",
            ),
        ),
        (
            "COMPLETED",
            {"status": "A_WORD_OF_NEXT_YEAR"},
            replace(SAID, state=PaymentState.PENDING, parts=(PaymentPart(PartKind.CAPTURE, CAP, TOTAL, False, PartState.PENDING),)),
        ),
    ],
)
def test_what_a_capture_says(kind: str, resource: dict[str, Any], expected: PaymentChange) -> None:
    assert (
        translated(f"PAYMENT.CAPTURE.{kind}", thing(CAP, links=[link("orders", ORDER)], **{"status": "COMPLETED", **resource})) == expected
    )


@pytest.mark.parametrize(
    "more", [{"links": [link("authorizations", AUTH)]}, {"supplementary_data": {"related_ids": {"authorization_id": AUTH}}}]
)
def test_a_capture_of_an_authorization_is_a_part_of_it(more: dict[str, Any]) -> None:
    assert translated("PAYMENT.CAPTURE.COMPLETED", thing(CAP, **more)) == replace(SAID, remote_id=AUTH, state=None, amount=None)


@pytest.mark.parametrize(("status", "state"), [*paypal_words.AUTHORIZATIONS.items(), ("NEW", PaymentState.PENDING)])
def test_what_an_authorization_says(status: str, state: PaymentState) -> None:
    found = translated("PAYMENT.AUTHORIZATION.CREATED", thing(AUTH, status=status))
    outcome = "declined" if state is PaymentState.FAILED else ""
    assert found == PaymentChange(AUTH, AT, state, TOTAL, (), ("1001", "D-1001"), outcome)


@pytest.mark.parametrize(
    "kind", ["PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REVERSED", "PAYMENT.REFUND.PENDING", "PAYMENT.REFUND.FAILED"]
)
@pytest.mark.parametrize(("status", "state"), [*paypal_words.REFUNDS.items(), ("NEW", (PartState.PENDING, True))])
def test_what_a_refund_says(kind: str, status: str, state: tuple[PartState, bool]) -> None:
    part = PaymentPart(PartKind.REFUND, REF, Money(1000, "EUR"), state[1], state[0])
    found = translated(kind, thing(REF, "10.00", status, links=[link("captures", CAP)]))
    assert found == PaymentChange(CAP, AT, None, None, (part,), ("1001", "D-1001"))


def test_a_reversal_that_is_a_capture_takes_it_back() -> None:
    part = PaymentPart(PartKind.CAPTURE, CAP, TOTAL, False, PartState.REVERSED)
    assert translated("PAYMENT.CAPTURE.REVERSED", thing(CAP)) == replace(SAID, state=None, amount=None, parts=(part,))


def test_a_refund_that_names_no_capture_is_shown_to_a_person() -> None:
    with pytest.raises(Unreadable, match=r"^resource: which capture it is of is not said$"):
        translated("PAYMENT.CAPTURE.REFUNDED", thing(REF))


def dispute(status: str, outcome: str = "", **more: Any) -> dict[str, Any]:
    return {
        "dispute_id": "PP-D-1",
        "status": status,
        "dispute_amount": {"currency_code": "EUR", "value": "44.70"},
        "disputed_transactions": [{"seller_transaction_id": CAP, "custom": "1001", "invoice_number": "D-1001"}],
        **({"dispute_outcome": {"outcome_code": outcome}} if outcome else {}),
        **more,
    }


@pytest.mark.parametrize(
    ("status", "outcome", "state", "counts"),
    [
        ("OPEN", "", PartState.OPENED, True),
        ("WAITING_FOR_SELLER_RESPONSE", "", PartState.EVIDENCE_REQUIRED, True),
        ("WAITING_FOR_BUYER_RESPONSE", "", PartState.UNDER_REVIEW, True),
        ("UNDER_REVIEW", "", PartState.UNDER_REVIEW, True),
        ("OTHER", "", PartState.UNDER_REVIEW, True),
        ("RESOLVED", "RESOLVED_SELLER_FAVOUR", PartState.WON, False),
        ("RESOLVED", "RESOLVED_BUYER_FAVOUR", PartState.LOST, True),
        ("RESOLVED", "CANCELED_BY_BUYER", PartState.CLOSED, False),
        ("RESOLVED", "A_NEW_VERDICT", PartState.UNDER_REVIEW, True),
        ("RESOLVED", "", PartState.UNDER_REVIEW, True),
    ],
)
@pytest.mark.parametrize("kind", ["CUSTOMER.DISPUTE.CREATED", "CUSTOMER.DISPUTE.UPDATED", "CUSTOMER.DISPUTE.RESOLVED"])
def test_what_a_dispute_says(kind: str, status: str, outcome: str, state: PartState, counts: bool) -> None:
    part = PaymentPart(PartKind.DISPUTE, "PP-D-1", TOTAL, counts, state)
    assert translated(kind, dispute(status, outcome)) == PaymentChange(CAP, AT, None, None, (part,), ("1001", "D-1001"))
    assert translated(kind, dispute(status, outcome, disputed_transactions=[])) == Ignored("a dispute about no payment")


@pytest.mark.parametrize(
    ("currency", "value", "expected"),
    [
        ("HUF", "1500", Money(150000, "HUF")),
        ("JPY", "1099", Money(1099, "JPY")),
        ("TWD", "30", Money(3000, "TWD")),
        ("USD", "0.01", Money(1, "USD")),
    ],
)
def test_amounts_are_decimal_text(currency: str, value: str, expected: Money) -> None:
    assert translated("PAYMENT.AUTHORIZATION.CREATED", thing(AUTH, amount={"currency_code": currency, "value": value})).amount == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("10.001", "amount: finer than the currency's minor unit"),
        (10.5, r"amount\.value: expected a decimal number as text"),
        ("secret", r"amount\.value: expected"),
    ],
)
def test_what_no_schema_accepts_names_the_field_and_no_value(value: Any, text: str) -> None:
    with pytest.raises(Unreadable, match=f"^{text}") as found:
        translated("PAYMENT.AUTHORIZATION.CREATED", thing(AUTH, amount={"currency_code": "EUR", "value": value}))
    assert "secret" not in str(found.value)


def test_every_event_that_paypal_names_is_mapped_or_left_aside_with_a_reason() -> None:
    assert set(SPEC["events"]) <= set(NAMES)
    found = {name: translated(name, {}) for name in NAMES if name not in words.READERS}
    assert [name for name, said in found.items() if not isinstance(said, Ignored) or "not known" in said.reason] == []
    assert translated("NEXT.YEARS", {}) == Ignored("event NEXT.YEARS is not known")
    assert set(words.READERS) - set(NAMES) == {words.FETCHED, "PAYMENT.REFUND.COMPLETED"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        "id",
        "status",
        "amount",
        "links",
        "supplementary_data",
        "custom_id",
        "disputed_transactions",
        "dispute_outcome",
        "dispute_amount",
        "captures",
        "authorizations",
        "refunds",
        "disputes",
        "payment",
        "status_details",
    ]
)


@given(kind=st.sampled_from([*words.READERS, "X"]), changes=st.dictionaries(FIELDS, JSON, max_size=4), dropped=st.sets(FIELDS, max_size=2))
@settings(max_examples=600, deadline=None)
def test_nothing_that_paypal_may_sign_crashes_anything(kind: str, changes: dict[str, Any], dropped: set[str]) -> None:
    full = {
        **thing(CAP),
        **dispute("OPEN"),
        "payment": CAP,
        "captures": [thing(CAP)],
        "refunds": [thing(REF, links=[link("captures", CAP)])],
    }
    body = event(kind, {key: value for key, value in {**full, **changes}.items() if key not in dropped})
    ours = connector(HOOK, intent="authorize")
    assert len([ours._delivery(body, 0)]) == 1
    try:
        found = ours.translate(kind, body)
    except Unreadable:
        return
    assert isinstance(found, PaymentChange | Ignored)


def test_bytes_that_are_no_text_are_kept_and_unreadable() -> None:
    body = event("PAYMENT.CAPTURE.COMPLETED", thing(CAP)).replace(b"WH-1", b"\xff")
    assert connector(HOOK)._delivery(body, 0).topic == "unreadable"
    with pytest.raises(Unreadable, match="not JSON"):
        connector(HOOK).translate("", body)


@pytest.mark.parametrize("one", [[], {}, None, 7, ""])
def test_a_capture_without_an_id_is_unreadable_and_crashes_nothing(one: Any) -> None:
    held = {"payment": AUTH, "authorizations": [thing(AUTH)], "captures": [{**thing(CAP), "id": one}]}
    with pytest.raises(Unreadable):
        translated(words.FETCHED, {**held, "refunds": [thing(REF)]})


@pytest.mark.parametrize("intent", ["capture", "authorize"])
def test_where_orders_are_authorised_first_a_refund_and_a_dispute_are_looked_up(intent: str) -> None:
    """They name the capture only; the payment is its authorization."""
    ours = connector(HOOK, intent=intent)
    bodies = [
        event("PAYMENT.CAPTURE.REFUNDED", thing(REF, links=[link("captures", CAP)])),
        event("CUSTOMER.DISPUTE.CREATED", dispute("OPEN")),
    ]
    told = event(
        "PAYMENT.CAPTURE.REFUNDED",
        thing(REF, links=[link("captures", CAP)], supplementary_data={"related_ids": {"authorization_id": AUTH}}),
    )
    found = [ours._delivery(body, 0) for body in (*bodies, told)]
    assert [(one.subject, one.hint) for one in found] == [(CAP, intent == "authorize")] * 2 + [(AUTH, False)]


# operations


@pytest.fixture
def token() -> Any:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as fake:
        fake.post(f"{URL}/v1/oauth2/token", json={"access_token": "A21", "expires_in": 32400})
        yield fake


def effect(operation: str, **payload: Any) -> Effect:
    return Effect(f"pay:{operation}:1", operation, AUTH, {"payment": AUTH, **payload})


def last_body(fake: Any, schema: str) -> dict[str, Any]:
    """What was sent last, once PayPal's own description has accepted it and knows all of its fields."""
    body = json.loads(fake.calls[-1].request.body)
    jsonschema.validate(body, {"$ref": f"#/components/schemas/{schema}", "components": SPEC["components"]})
    assert set(body) <= set(SPEC["fields"][schema])
    return body


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"amount": None, "final": True}, {"final_capture": True}),
        (
            {"amount": {"minor": 3000, "currency": "EUR"}, "final": False},
            {"final_capture": False, "amount": {"currency_code": "EUR", "value": "30.00"}},
        ),
        ({"amount": {"minor": 150000, "currency": "HUF"}}, {"final_capture": False, "amount": {"currency_code": "HUF", "value": "1500"}}),
        ({"amount": {"minor": 1099, "currency": "JPY"}}, {"final_capture": False, "amount": {"currency_code": "JPY", "value": "1099"}}),
    ],
)
def test_a_capture_is_asked_for_as_paypal_describes_it(token: Any, payload: dict[str, Any], expected: dict[str, Any]) -> None:
    token.post(f"{URL}/v2/payments/authorizations/{AUTH}/capture", json={"id": CAP, "status": "COMPLETED"}, status=201)
    assert connector(HOOK).capture_payment(effect("capture_payment", **payload)) == Receipt(CAP, state="COMPLETED")
    assert last_body(token, "capture_request") == expected
    sent = token.calls[-1].request.headers
    assert (sent["Authorization"], sent["PayPal-Request-Id"]) == ("Bearer A21", "pay:capture_payment:1")


@pytest.mark.parametrize(("capture", "path"), [(CAP, CAP), ("", AUTH)])
def test_a_refund_is_of_its_capture(token: Any, capture: str, path: str) -> None:
    token.post(f"{URL}/v2/payments/captures/{path}/refund", json={"id": REF, "status": "PENDING"}, status=201)
    payload = {"capture": capture, "amount": {"minor": 1000, "currency": "EUR"}, "reason": "broken", "reference": "r-1"}
    assert connector(HOOK).refund_payment(effect("refund_payment", **payload)) == Receipt(REF, state="PENDING")
    assert last_body(token, "refund_request") == {
        "amount": {"currency_code": "EUR", "value": "10.00"},
        "note_to_payer": "broken",
        "custom_id": "r-1",
    }
    assert token.calls[-1].request.headers["PayPal-Request-Id"] == "pay:refund_payment:1"


@pytest.mark.parametrize(
    ("status", "body"),
    [(204, {}), (200, {"id": AUTH}), (422, {"name": "UNPROCESSABLE_ENTITY", "details": [{"issue": "PREVIOUSLY_VOIDED"}]})],
)
def test_a_void_may_be_repeated(token: Any, status: int, body: dict[str, Any]) -> None:
    token.post(f"{URL}/v2/payments/authorizations/{AUTH}/void", body=json.dumps(body) if body else "", status=status)
    assert connector(HOOK).void_payment(effect("void_payment")) == Receipt(AUTH, state="VOIDED")


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (
            422,
            {
                "name": "UNPROCESSABLE_ENTITY",
                "message": "of ada@example.test",
                "details": [{"issue": "PREVIOUSLY_CAPTURED", "field": "/amount/value"}],
            },
            Rejected,
            "HTTP 422: UNPROCESSABLE_ENTITY PREVIOUSLY_CAPTURED",
        ),
        (404, {"name": "RESOURCE_NOT_FOUND"}, Rejected, "HTTP 404: RESOURCE_NOT_FOUND"),
        (400, [], Rejected, "HTTP 400"),
        (403, {}, Unauthorized, "HTTP 403: the credentials are not accepted"),
        (401, {}, Unauthorized, "HTTP 401: a fresh token is not accepted"),
        (503, {}, Transient, "HTTP 503"),
    ],
)
def test_what_paypal_refuses_is_said_without_a_value(token: Any, status: int, body: Any, error: type[Exception], text: str) -> None:
    token.post(f"{URL}/v2/payments/authorizations/{AUTH}/void", json=body, status=status)
    with pytest.raises(error) as found:
        connector(HOOK).void_payment(effect("void_payment"))
    assert (type(found.value), str(found.value)) == (error, text)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [(201, {"id": CAP, "status": "DECLINED"}, Rejected), (201, {"id": CAP}, UnknownOutcome), (500, {}, UnknownOutcome)],
)
def test_a_capture_that_did_not_come_about_is_told(token: Any, status: int, body: dict[str, Any], error: type[Exception]) -> None:
    token.post(f"{URL}/v2/payments/authorizations/{AUTH}/capture", json=body, status=status)
    with pytest.raises(error):
        connector(HOOK).capture_payment(effect("capture_payment"))


def test_a_token_that_ended_early_is_asked_for_anew(token: Any) -> None:
    path = f"{URL}/v2/payments/authorizations/{AUTH}/capture"
    token.post(path, status=401, json={})
    token.post(path, status=201, json={"id": CAP, "status": "COMPLETED"})
    assert connector(HOOK).capture_payment(effect("capture_payment")).remote_id == CAP
    assert [call.request.path_url.rpartition("/")[2] for call in token.calls] == ["token", "capture", "token", "capture"]


def fetched(one: str) -> Delivery:
    return connector(HOOK).fetch_payment(Effect("k", "fetch_payment", one, {"subject": one}))


def serve_authorised_order(fake: Any) -> None:
    """An authorization with two captures, a refund of the second, and a dispute of the first."""
    related = {"supplementary_data": {"related_ids": {"order_id": ORDER, "authorization_id": AUTH}}}
    first = thing(CAP, "30.00", **related)
    payments = {
        "authorizations": [thing(AUTH, status="PARTIALLY_CAPTURED")],
        "captures": [
            thing(CAP, "30.00", links=[link("authorizations", AUTH)]),
            thing("CAP2", "14.70", links=[link("authorizations", AUTH)]),
        ],
        "refunds": [thing(REF, "4.70", links=[link("captures", "CAP2")]), thing("R9", links=[link("captures", "ANOTHER")])],
    }
    fake.get(f"{URL}/v2/payments/captures/{CAP}", json=first)
    fake.get(f"{URL}/v2/payments/captures/{AUTH}", status=404, json={})
    fake.get(f"{URL}/v2/payments/authorizations/{CAP}", status=404, json={})
    fake.get(
        f"{URL}/v2/payments/authorizations/{AUTH}",
        json=thing(AUTH, status="PARTIALLY_CAPTURED", supplementary_data={"related_ids": {"order_id": ORDER}}),
    )
    fake.get(f"{URL}/v2/checkout/orders/{ORDER}", json={"id": ORDER, "purchase_units": [{"payments": payments}]})
    fake.get(f"{URL}/v1/customer/disputes?disputed_transaction_id={CAP}", json={"items": [{"dispute_id": "PP-D-1"}]})
    fake.get(f"{URL}/v1/customer/disputes?disputed_transaction_id=CAP2", json={"items": []})
    fake.get(f"{URL}/v1/customer/disputes/PP-D-1", json=dispute("RESOLVED", "RESOLVED_SELLER_FAVOUR"))


@pytest.mark.parametrize("subject", [CAP, AUTH])
def test_whichever_id_is_asked_for_the_whole_payment_is_told(token: Any, subject: str) -> None:
    serve_authorised_order(token)
    found = fetched(subject)
    change = connector(HOOK).translate(found.topic, found.payload)
    assert (found.topic, found.subject) == ("PAYMENT.FETCHED", AUTH)
    assert change == PaymentChange(
        AUTH,
        found.occurred_at,
        PaymentState.AUTHORIZED,
        TOTAL,
        (
            PaymentPart(PartKind.CAPTURE, CAP, Money(3000, "EUR")),
            PaymentPart(PartKind.CAPTURE, "CAP2", Money(1470, "EUR")),
            PaymentPart(PartKind.REFUND, REF, Money(470, "EUR")),
            PaymentPart(PartKind.DISPUTE, "PP-D-1", TOTAL, False, PartState.WON),
        ),
        ("1001", "D-1001"),
    )


def test_the_same_answer_twice_is_one_event(token: Any) -> None:
    serve_authorised_order(token)
    assert fetched(AUTH).delivery_id == fetched(AUTH).delivery_id


def test_a_payment_without_authorization_is_its_capture(token: Any) -> None:
    token.get(f"{URL}/v2/payments/captures/{CAP}", json=thing(CAP))
    token.get(f"{URL}/v2/payments/authorizations/{CAP}", status=404, json={})
    token.get(f"{URL}/v1/customer/disputes", status=403, json={})
    found = fetched(CAP)
    assert connector(HOOK).translate(found.topic, found.payload) == replace(SAID, occurred_at=found.occurred_at)


def test_a_payment_that_paypal_does_not_know_is_told(token: Any) -> None:
    token.get(f"{URL}/v2/payments/captures/X", status=404, json={})
    token.get(f"{URL}/v2/payments/authorizations/X", status=404, json={})
    with pytest.raises(Rejected, match="knows no such payment"):
        fetched("X")


# PayPal's own verdict

VERIFY = f"{URL}/v1/notifications/verify-webhook-signature"


def test_paypal_may_be_asked_itself_with_the_bytes_that_came(token: Any) -> None:
    def answered(request: Any) -> tuple[int, dict[str, str], str]:
        right = json.loads(request.body)["webhook_id"] == HOOK
        return 200, {}, json.dumps({"verification_status": "SUCCESS" if right else "FAILURE"})

    token.add_callback("POST", VERIFY, answered)
    assert [one.secret for one in connector("OTHER", HOOK, verify="api").read(valid())] == [1]
    question = token.calls[-1].request.body
    assert question.endswith(b',"webhook_event":' + valid().body + b"}")
    asked = json.loads(question)
    jsonschema.validate(asked, {"$ref": "#/components/schemas/verify_webhook_signature", "components": SPEC["components"]})
    assert {name: asked[name] for name in asked if name != "webhook_event"} == {
        "auth_algo": "SHA256withRSA",
        "cert_url": VALID["headers"]["paypal-cert-url"],
        "transmission_id": VALID["headers"]["paypal-transmission-id"],
        "transmission_sig": VALID["headers"]["paypal-transmission-sig"],
        "transmission_time": VALID["headers"]["paypal-transmission-time"],
        "webhook_id": HOOK,
    }


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, {"verification_status": "FAILURE"}, SignatureRefused),
        (200, [], SignatureRefused),
        (400, {"name": "VALIDATION_ERROR"}, SignatureRefused),
        (500, {}, Busy),
        (403, {}, Busy),
    ],
)
def test_without_paypals_yes_nothing_is_taken(token: Any, status: int, body: Any, error: type[Exception]) -> None:
    token.post(VERIFY, json=body, status=status)
    with pytest.raises(error):
        connector(HOOK, verify="api").read(valid())


@pytest.mark.parametrize("body", [b"", b'{}, "webhook_id": "X"', b"{", b"\xff", b'{"a": "\xff"}'])
def test_what_is_no_json_is_not_even_asked_about(token: Any, body: bytes) -> None:
    with pytest.raises(SignatureRefused, match="no JSON"):
        connector(HOOK, verify="api").read(replace(valid(), body=body))
    assert len(token.calls) == 0


# back-fill


def test_events_are_listed_day_by_day_the_oldest_first(token: Any) -> None:
    now = datetime.now(UTC)

    def listed(request: Any) -> tuple[int, dict[str, str], str]:
        start = datetime.fromisoformat(request.params["start_time"])
        body = {"id": f"WH-{start.day}", "event_type": "X", "create_time": start.isoformat(), "resource": {"id": "R"}}
        second = {**body, "id": f"WH-{start.day}b", "create_time": (start + timedelta(hours=1)).isoformat()}
        if "next" in request.params:
            return 200, {}, json.dumps({"events": [body]})
        follow = f"{URL}/v1/notifications/webhooks-events?start_time={request.params['start_time'].replace('+', '%2B')}&next=1"
        return 200, {}, json.dumps({"events": [second], "links": [{"rel": "next", "href": follow}]})

    token.add_callback("GET", f"{URL}/v1/notifications/webhooks-events", listed)
    since = now - timedelta(days=2)
    days = [(now - timedelta(days=n)).day for n in (2, 1)]
    assert [[event.delivery_id for event in page] for page in connector(HOOK).payment_events(since)][:2] == [
        [f"WH-{day}", f"WH-{day}b"] for day in days
    ]


def test_a_list_that_leads_back_to_itself_ends(token: Any) -> None:
    body = {"events": [], "links": [{"rel": "next", "href": f"{URL}/v1/notifications/webhooks-events?a=1"}]}
    token.get(f"{URL}/v1/notifications/webhooks-events", json=body)
    with pytest.raises(Rejected, match="back to itself"):
        list(connector(HOOK).payment_events(datetime.now(UTC) - timedelta(hours=1)))


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"events": 1}'])
def test_a_list_that_is_none_is_told(token: Any, body: bytes) -> None:
    token.get(f"{URL}/v1/notifications/webhooks-events", body=body)
    with pytest.raises(Rejected, match="the list of events is none"):
        list(connector(HOOK).payment_events(datetime.now(UTC) - timedelta(hours=1)))
