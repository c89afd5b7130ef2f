"""The roles that a system can play: one-method Protocols. A system plays the roles whose method it has; a capability that
it lacks is an absent method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from mappings.canonical import Message, ShopOrder


@dataclass(frozen=True, slots=True)
class Inbound:
    """One received request, raw. Header names are lower case; `url` is the public one that the sender called."""

    headers: Mapping[str, str]
    body: bytes
    url: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event inside a verified request. `payload` is the bytes that `translate` will read. A `hint` only says that something
    of `subject` changed; without an id of the provider's (empty) it is never de-duplicated at keep. `correlation_id` is what the
    event itself carries of the storefront's, if anything."""

    delivery_id: str
    topic: str
    subject: str
    payload: bytes
    occurred_at: datetime | None = None
    hint: bool = False
    secret: int = 0
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """One intended effect on one connection. `key` is its idempotency key; `payload` is what was decided, frozen."""

    key: str
    operation: str
    subject: str
    payload: Mapping[str, object]
    attempt: int = 1
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the system answered: its id and number of the thing, and a few words of state for the audit trail."""

    remote_id: str
    number: str = ""
    state: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


@runtime_checkable
class ReadsWebhooks(Protocol):
    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify over the raw bytes and split; raises `Refused`."""
        ...


@runtime_checkable
class SignsSamples(Protocol):
    def sample_request(self, at: datetime) -> Inbound:
        """A request as the provider would send it at `at`, signed with the connection's first secret: what the self-test sends to its own
        door. It changes nothing when it is kept."""
        ...


@runtime_checkable
class GreetsSubscribers(Protocol):
    def greet(self, token: str) -> str:
        """What a system is told that asks, with the query parameter that the connector names in `HANDSHAKE`, whether anybody is here:
        "" when the token is none. Without this role the token itself is echoed."""
        ...


@runtime_checkable
class Translates(Protocol):
    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: bytes to the canonical model; raises `Unreadable`."""
        ...


@runtime_checkable
class CreatesOrders(Protocol):
    def create_order(self, effect: Effect) -> Receipt:
        """Create the order that `effect.payload["order"]` holds, once; raises `CallError`."""
        ...


@runtime_checkable
class FindsOrders(Protocol):
    def find_order(self, effect: Effect) -> Receipt | None:
        """The order that an earlier attempt of this effect made, or None; raises `CallError`."""
        ...


@runtime_checkable
class WritesOrderStatus(Protocol):
    def write_order_status(self, effect: Effect) -> Receipt:
        """Set the ERP's number and status on the shop's order; repeating changes nothing; raises `CallError`."""
        ...


@runtime_checkable
class MovesOrders(Protocol):
    def move_order(self, effect: Effect) -> Receipt:
        """Take the shop's order to the state `effect.payload["to"]` (empty: leave it), and set (`hold`: the reason) or release its hold;
        repeating changes nothing. Raises `CallError`."""
        ...


@runtime_checkable
class AddsShipments(Protocol):
    def add_shipments(self, effect: Effect) -> Receipt:
        """Show the parcels in `effect.payload["shipments"]` on the shop's order; repeating changes nothing; raises `CallError`."""
        ...


@runtime_checkable
class WritesPayments(Protocol):
    def write_payment(self, effect: Effect) -> Receipt:
        """Set a payment of the shop's order to what its provider says; repeating changes nothing; raises `CallError`."""
        ...


@runtime_checkable
class AnswersPings(Protocol):
    def answer_ping(self, effect: Effect) -> Receipt:
        """Call the shop back, that it sees both directions work; raises `CallError`."""
        ...


@runtime_checkable
class FetchesPayments(Protocol):
    def fetch_payment(self, effect: Effect) -> Delivery:
        """Ask the provider how the payment `effect.payload["subject"]` is now. The delivery's id is a fingerprint of the answer:
        the same answer twice is one event. Raises `CallError`."""
        ...


@runtime_checkable
class CapturesPayments(Protocol):
    def capture_payment(self, effect: Effect) -> Receipt:
        """Take authorized money, all or a part of it. `effect.payload` is {payment: the provider's id, amount: {minor, currency} or None
        for all that is left, final: whether nothing more will be taken, reference: ours}. `Receipt.remote_id` is the id that the
        provider's events give the capture. Raises `CallError`."""
        ...


@runtime_checkable
class VoidsPayments(Protocol):
    def void_payment(self, effect: Effect) -> Receipt:
        """Release authorized money that was not taken; `effect.payload` is {payment}. Repeating changes nothing. Raises `CallError`."""
        ...


@runtime_checkable
class RefundsPayments(Protocol):
    def refund_payment(self, effect: Effect) -> Receipt:
        """Give money back, all or a part. `effect.payload` is {payment, capture: the provider's id of the capture or "", amount:
        {minor, currency} or None, reason, reference}. `Receipt.remote_id` is the id that its events give the refund. Raises `CallError`."""
        ...


@runtime_checkable
class FindsPaymentOperations(Protocol):
    def find_operation(self, effect: Effect) -> Receipt | None:
        """The capture or refund that an earlier attempt of this effect made (`effect.operation` says which, `effect.key` is what it was
        sent with), or None: for providers without idempotency keys. Raises `CallError`."""
        ...


@runtime_checkable
class ListsPaymentEvents(Protocol):
    def payment_events(self, since: datetime | None) -> Iterator[tuple[Delivery, ...]]:
        """Pages of what the provider sent or did after `since` (its clock), oldest first, as deliveries with the ids that its webhooks
        have; where it lists only payments, each is a delivery that `translate` reads, its id a fingerprint. Raises `CallError`."""
        ...


@runtime_checkable
class ListsChangedOrders(Protocol):
    def changed_orders(self, since: datetime | None) -> Iterator[tuple[Delivery, ...]]:
        """Pages of order changes after `since` (the system's clock), oldest first; raises `CallError`."""
        ...


@runtime_checkable
class ListsOrders(Protocol):
    def list_orders(self, since: datetime | None) -> Iterator[tuple[ShopOrder, ...]]:
        """Pages of the shop's placed orders, of those placed after `since`; raises `CallError`."""
        ...


@dataclass(frozen=True, slots=True)
class Operation:
    """What may be asked of a system. `find` names the look-up that settles an unknown outcome; a `repeatable` operation
    sets a state and may simply be repeated."""

    name: str
    role: type
    find: str = ""
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a feed: `source_id` is the source's own stable id, `raw` the record exactly as it was read."""

    source_id: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, and the `cursor` with which the next page is asked for: "" when this was the last one."""

    records: tuple[Record, ...]
    cursor: str = ""


@runtime_checkable
class ListsRecords(Protocol):
    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        """The page of a feed at `cursor` ("": the first): everything, or what changed after `since` (the source's clock). A
        record that moves between pages while they are read may come twice, and must not be missed. Raises `CallError`."""
        ...


NOT_THERE = "not in the shop yet"
"""Why a price or a stock level waits: no catalog source has its variation, and neither has the shop."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A file: its name, its bytes and its media type ("" when nobody said)."""

    name: str
    content: bytes
    media_type: str = ""


def _no_files(connection: str, reference: str) -> Blob:
    raise LookupError(f"{connection} has no file {reference}")


@dataclass(frozen=True, slots=True)
class Target:
    """Something that is in the shop already: its kind, its bundle and the shop's id."""

    kind: str
    bundle: str
    remote_id: str


@dataclass(frozen=True, slots=True)
class Write:
    """What is wanted of one thing: `kind` says which (`mappings.wanted.Of`), `key` is its identity (product code, SKU), `fields` are by
    their name in the shop. `remote_id` and `parent_id` are the shop's ids, "" while they are not known; `makes` says that a
    catalog source has it, so that it may be created; `is_gone`, that none has it any more, `on_gone` what that means (unpublish,
    delete, keep), `was_gone` that it ended before and comes back. `targets` are the things that the fields refer to, by name."""

    kind: str
    key: str
    fields: Mapping[str, Any]
    parent: str = ""
    remote_id: str = ""
    parent_id: str = ""
    makes: bool = False
    is_gone: bool = False
    bundle: str = "default"
    on_gone: str = "unpublish"
    was_gone: bool = False
    targets: Mapping[str, Target] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    """Ids of the records that it is made of: `connection:kind/source id`."""
    file_of: Callable[[str, str], Blob] = _no_files
    """A file of a source by connection and reference; raises `CallError`."""


DELETED = "deleted"
"""How a write ended that deleted the thing: it has no id any more."""


@dataclass(frozen=True, slots=True)
class Written:
    """How a write ended: the shop's id, or the error with the field at fault."""

    remote_id: str = ""
    error: Exception | None = None
    status: str = ""


@runtime_checkable
class WritesItems(Protocol):
    def write_items(self, writes: Sequence[Write]) -> list[Written]:
        """Write things, one answer for each, in their order; repeating changes nothing. Raises `CallError` when
        nothing of it can be done now."""
        ...


@runtime_checkable
class KnowsFields(Protocol):
    def missing_fields(self, wanted: Mapping[tuple[str, str], Sequence[str]]) -> list[str]:
        """Of fields by (kind, bundle), those that the shop does not have, each as "variation default: field_color"; nothing where it
        does not tell. Raises `CallError`."""
        ...


@runtime_checkable
class ReadsItems(Protocol):
    def read_items(self, writes: Sequence[Write]) -> list[Mapping[str, Any] | None]:
        """How things are in the shop now: for each its fields as `differences` compares them, or None when it is not there. Raises
        `CallError`."""
        ...


@runtime_checkable
class DecodesRecords(Protocol):
    def decode_record(self, kind: str, raw: bytes) -> Any:
        """Pure: a raw record to plain data for the mapping tables, exact numbers as `Decimal`; raises `Unreadable`."""
        ...


@runtime_checkable
class FetchesRecord(Protocol):
    def fetch_record(self, kind: str, source_id: str) -> Record | None:
        """The record as the source has it now, or None when the source says that it is gone: what a vanished record is asked for
        before anything is taken back. Raises `CallError` when the source cannot say."""
        ...


@runtime_checkable
class FetchesMedia(Protocol):
    def fetch_media(self, reference: str) -> Blob:
        """The file that a record names: a code, a path or an address of the source itself; raises `CallError`, `Rejected` for a
        file that is not there or larger than the connector reads."""
        ...


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("create_order", CreatesOrders, find="find_order"),
        Operation("write_order_status", WritesOrderStatus, repeatable=True),
        Operation("move_order", MovesOrders, repeatable=True),
        Operation("add_shipments", AddsShipments, repeatable=True),
        Operation("write_payment", WritesPayments, repeatable=True),
        Operation("answer_ping", AnswersPings, repeatable=True),
        Operation("fetch_payment", FetchesPayments, repeatable=True),
        Operation("capture_payment", CapturesPayments, find="find_operation"),
        Operation("void_payment", VoidsPayments, repeatable=True),
        Operation("refund_payment", RefundsPayments, find="find_operation"),
    )
}
"""Every operation that a flow may ask for. A connector with native idempotency for one lists it in `NATIVE_IDEMPOTENCY`."""

ROLES: dict[str, type] = {
    "read": ReadsWebhooks,
    "sample_request": SignsSamples,
    "greet": GreetsSubscribers,
    "translate": Translates,
    "create_order": CreatesOrders,
    "find_order": FindsOrders,
    "write_order_status": WritesOrderStatus,
    "move_order": MovesOrders,
    "add_shipments": AddsShipments,
    "write_payment": WritesPayments,
    "answer_ping": AnswersPings,
    "changed_orders": ListsChangedOrders,
    "list_orders": ListsOrders,
    "fetch_payment": FetchesPayments,
    "capture_payment": CapturesPayments,
    "void_payment": VoidsPayments,
    "refund_payment": RefundsPayments,
    "find_operation": FindsPaymentOperations,
    "payment_events": ListsPaymentEvents,
    "list_records": ListsRecords,
    "decode_record": DecodesRecords,
    "fetch_record": FetchesRecord,
    "fetch_media": FetchesMedia,
    "write_items": WritesItems,
    "missing_fields": KnowsFields,
    "read_items": ReadsItems,
}
