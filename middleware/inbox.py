"""First half of an event's life: kept once, then decided.

`receive` is the only way in: the connector verifies and splits, the writer keeps, and only then the sender is answered.
`decide` is one doorbell's work: claim up to a batch of due events, translate them (pure), lock their join keys, run their
flows and write states, audit and calls in one transaction. What fails together is decided one by one.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy.exc import OperationalError

from mappings.canonical import Message, PaymentChange
from middleware import observing, routes
from middleware.claims import Claimed, LeaseLost, bookkeep, claim
from middleware.domain.keys import keys_of, subject_key
from middleware.domain.retry import Retry
from middleware.errors import ErrorClass, SignatureRefused, UnknownConnection, Unreadable, WaybillError
from middleware.models import EventState
from middleware.observing import log
from middleware.ports import Delivery, Inbound
from middleware.work import Hint, Verdict, Work
from middleware.writer import Row

if TYPE_CHECKING:
    from middleware.runtime import Runtime

_LENGTH = struct.Struct(">I")
_LONGEST_NAME = 255
_encode = msgspec.json.Encoder().encode
_UNKEPT_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


# keep


@dataclass(frozen=True, slots=True)
class Received:
    """What a verified request held: how many deliveries, and how many of them were new."""

    deliveries: int
    new: int


def receive(runtime: Runtime, connection: str, request: Inbound, correlation_id: str = "", traceparent: str = "") -> Received:
    """Verify, split and durably keep one request; raises `Refused` or `Busy`, and then nothing was kept."""
    rows = admit(runtime, connection, request, correlation_id, traceparent)
    return Received(len(rows), runtime.writer.keep(rows) if rows else 0)


def admit(runtime: Runtime, connection: str, request: Inbound, correlation_id: str = "", traceparent: str = "") -> list[Row]:
    """The first half of `receive`: verify and split; the rows are sealed and wait to be kept. Raises `Refused`."""
    connector = runtime.connector(connection)
    if not hasattr(connector, "read"):
        raise UnknownConnection(f"no deliveries are expected at {connection!r}")
    deliveries = connector.read(request)
    if deliveries:
        _check_secret(runtime, connection, deliveries[0].secret, request.received_at)
    return _rows(runtime, connection, deliveries, request.headers, correlation_id, traceparent)


def _check_secret(runtime: Runtime, connection: str, index: int, at: datetime) -> None:
    """Count the use of the secret that verified a request; raises `SignatureRefused` when its time is over, or has not come."""
    secrets = runtime.settings.connections[connection].secrets
    if index >= len(secrets):  # verified by something else: a certificate, a question asked back
        return
    if not secrets[index].is_valid(at):
        raise SignatureRefused(f"signed with {secrets[index].source}, which is not valid now")
    runtime.secret_uses.note(connection, secrets[index].source, at)


def keep(runtime: Runtime, connection: str, deliveries: Sequence[Delivery]) -> int:
    """Keep what we fetched ourselves, all or none; returns how many were new."""
    rows = _rows(runtime, connection, deliveries, {}, "", "")
    return runtime.writer.keep(rows) if rows else 0


def _rows(
    runtime: Runtime, connection: str, deliveries: Sequence[Delivery], headers: Mapping[str, str], correlation_id: str, traceparent: str
) -> list[Row]:
    """A hint without an id of the provider's gets one of ours: it is never a duplicate here."""
    if any(delivery.hint for delivery in deliveries):
        runtime.hints.check(connection)
    lane = runtime.lane(connection)
    kept_headers = _encode({name: value for name, value in headers.items() if name not in _UNKEPT_HEADERS})
    envelope = _LENGTH.pack(len(kept_headers)) + kept_headers
    correlation_id = correlation_id or token_hex(16)
    rows = []
    for delivery in deliveries:
        identity = _name(delivery.delivery_id) or f"hint:{token_hex(16)}"
        body = runtime.vault.seal(envelope + delivery.payload, connection, identity)
        rows.append(
            Row(
                connection,
                identity,
                _name(delivery.topic),
                _name(delivery.subject),
                lane,
                body,
                delivery.occurred_at,
                delivery.hint,
                delivery.correlation_id or correlation_id,
                traceparent,
            )
        )
    return rows


def _name(text: str) -> str:
    """A name from outside as the database can hold and index it: without NUL, and hashed when it is too long."""
    if len(text) > _LONGEST_NAME:
        return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return text.replace("\0", "\ufffd")


def unpack(body: bytes) -> tuple[dict[str, str], bytes]:
    """The headers and the payload of an opened body."""
    end = _LENGTH.size + _LENGTH.unpack_from(body)[0]
    return msgspec.json.decode(body[_LENGTH.size : end], type=dict[str, str]), body[end:]


# decide


@dataclass(frozen=True, slots=True)
class Readable:
    """A claimed event with its message and join keys."""

    event: Claimed
    message: Message | Hint
    keys: tuple[str, ...]

    @property
    def locks(self) -> tuple[str, ...]:
        return (*self.keys, subject_key(self.event.connection, self.event.subject))


def decide(runtime: Runtime, lane: str) -> int:
    """Decide one batch of the lane's due events; returns how many were claimed."""
    claimed = claim(runtime, lane)
    if not claimed:
        return 0
    readable, verdicts = _read(runtime, claimed)
    try:
        rung = _decide_or_split(runtime, claimed, readable, verdicts)
    except LeaseLost:
        log.warning("decide.lease_lost", lane=lane, events=len(claimed))
        return len(claimed)
    runtime.ring_after(rung, decide_again=lane if verdicts_due(verdicts) else None)
    return len(claimed)


def _read(runtime: Runtime, claimed: Sequence[Claimed]) -> tuple[list[Readable], dict[int, Verdict]]:
    readable, verdicts = [], {}
    for event in claimed:
        try:
            message = Hint(event.subject, runtime.lane(event.connection)) if event.hint else translate(runtime, event)
        except Exception as error:  # noqa: BLE001 - recorded as this event's cause
            verdicts[event.id] = _verdict_of(error, event, runtime)
            continue
        keys = () if isinstance(message, Hint) else keys_of(message, event.connection, runtime.settings)
        readable.append(Readable(event, message, keys))
    return readable, verdicts


def translate(runtime: Runtime, event: Claimed) -> Message:
    """Open the body and translate it; raises `WaybillError`."""
    if event.body is None:
        raise Unreadable("the body was dropped by retention")
    _, payload = unpack(runtime.vault.open(event.body, event.connection, event.delivery_id))
    message: Message = runtime.connector(event.connection).translate(event.topic, payload)
    return message


def _decide_together(runtime: Runtime, claimed: Sequence[Claimed], readable: Sequence[Readable], verdicts: dict[int, Verdict]) -> Work:
    with runtime.sessions.begin() as session:
        work = Work(session, runtime.settings, runtime.vault, runtime.now())
        free = work.lock(key for item in readable for key in item.locks)
        mine = [item for item in readable if free.issuperset(item.locks)]
        work.load(
            (key for item in mine for key in item.keys), (_payment_of(item) for item in mine if isinstance(item.message, PaymentChange))
        )
        found = dict(verdicts)
        for item in readable:
            if not free.issuperset(item.locks):
                found[item.event.id] = Verdict(
                    EventState.DUE, due_at=work.now + timedelta(milliseconds=50), detail="locked by another worker"
                )
        for item in mine:
            found[item.event.id] = work.begin(item.event.cause(item.keys))
            routes.follow(item.message, work)
        work.flush()
        bookkeep(work.session, work.now, claimed, found)
    verdicts.update(found)
    _observe(runtime, claimed, found)
    return work


def _decide_or_split(runtime: Runtime, claimed: Sequence[Claimed], readable: Sequence[Readable], verdicts: dict[int, Verdict]) -> Work:
    try:
        return _decide_together(runtime, claimed, readable, verdicts)
    except LeaseLost:
        raise
    except Exception as error:  # noqa: BLE001 - the batch failed as a whole: find the one at fault
        log.warning("decide.one_by_one", lane=runtime.lane(claimed[0].connection), events=len(claimed), error=type(error).__name__)
    return _decide_one_by_one(runtime, claimed, readable, verdicts)


def _decide_one_by_one(runtime: Runtime, claimed: Sequence[Claimed], readable: Sequence[Readable], verdicts: dict[int, Verdict]) -> Work:
    by_id = {item.event.id: item for item in readable}
    last: Work | None = None
    lanes: set[str] = set()
    for event in claimed:
        alone = [by_id[event.id]] if event.id in by_id else []
        known = {event.id: verdicts[event.id]} if event.id in verdicts else {}
        try:
            last = _decide_alone(runtime, event, alone, known)
        except LeaseLost:
            continue
        verdicts.update(known)
        lanes |= last.lanes
    if last is None:
        raise LeaseLost
    last.lanes |= lanes
    return last


def _decide_alone(runtime: Runtime, event: Claimed, alone: Sequence[Readable], known: dict[int, Verdict]) -> Work:
    try:
        return _decide_together(runtime, [event], alone, known)
    except LeaseLost:
        raise
    except Exception as error:  # noqa: BLE001 - recorded as this event's cause
        known[event.id] = _verdict_of(error, event, runtime)
    return _decide_together(runtime, [event], [], known)


def _payment_of(item: Readable) -> tuple[str, str]:
    assert isinstance(item.message, PaymentChange)
    return item.event.connection, item.message.remote_id


def _verdict_of(error: Exception, event: Claimed, runtime: Runtime) -> Verdict:
    """Dead at once when the data is at fault, else due again until the attempts are spent."""
    work = runtime.settings.work
    retry = Retry(work.event_attempts, work.retry_base, work.retry_cap)
    code = (
        error.code
        if isinstance(error, WaybillError)
        else "database"
        if isinstance(error, OperationalError)
        else f"bug:{type(error).__name__}"
    )
    detail = str(error) if isinstance(error, WaybillError) else type(error).__name__
    if code.startswith("bug:"):
        observing.report(error)
        log.error("decide.bug", event_id=event.id, exc_info=error)
    if (isinstance(error, WaybillError) and error.error_class is not ErrorClass.TRANSIENT) or retry.is_spent(event.attempts):
        return Verdict(EventState.DEAD, cause=code, detail=detail)
    wait = timedelta(seconds=retry.wait(event.attempts, runtime.jitter))
    return Verdict(EventState.DUE, cause=code, detail=detail, due_at=runtime.now() + wait)


def _observe(runtime: Runtime, claimed: Sequence[Claimed], verdicts: Mapping[int, Verdict]) -> None:
    now = runtime.now()
    for event in claimed:
        verdict = verdicts[event.id]
        observing.DECIDED.labels(event.connection, verdict.state).inc()
        if verdict.state is not EventState.DUE:
            observing.DECIDE_LAG.labels(event.connection, runtime.lane(event.connection)).observe((now - event.kept_at).total_seconds())
        if verdict.state is EventState.DEAD:
            why = {"cause": verdict.cause, "detail": verdict.detail, "correlation_id": event.correlation_id}
            log.error("event.dead", event_id=event.id, connection=event.connection, topic=event.topic, **why)


def verdicts_due(verdicts: Mapping[int, Verdict]) -> bool:
    """Whether some of the batch is due again."""
    return any(verdict.state is EventState.DUE for verdict in verdicts.values())
