"""What an error makes of a call: made again, looked up first, rejected, or left to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from middleware.decisions import Outcome
from middleware.domain.retry import Retry
from middleware.errors import CallError, RateLimited, Rejected, Transient, Unauthorized, UnknownOutcome
from middleware.leases import Taken
from middleware.models import Call, CallState
from middleware.ports import OPERATIONS

if TYPE_CHECKING:
    from middleware.runtime import Runtime


def outcome_of(error: CallError, call: Taken | Call, runtime: Runtime) -> Outcome:
    """What an error makes of a call after this attempt."""
    work = runtime.settings.work
    retry = Retry(work.call_attempts, work.retry_base, work.retry_cap)
    common: dict[str, Any] = {"code": error.code, "reason": error.reason, "field": error.field}
    if isinstance(error, Rejected):
        return Outcome(CallState.REJECTED, **common)
    if isinstance(error, Unauthorized):
        return Outcome(CallState.PENDING, retry_after=0, burns_attempt=False, **common)
    if isinstance(error, UnknownOutcome) and not _can_settle(runtime, call):
        return Outcome(CallState.DEAD, **{**common, "reason": f"{error.reason}; it cannot be looked up: a person decides"})
    if error.burns_attempt and retry.is_spent(call.attempts):
        return Outcome(CallState.DEAD, **{**common, "reason": f"{error.reason}; all {call.attempts} attempts are spent"})
    wait = retry.wait(call.attempts, runtime.jitter, error.retry_after)
    if isinstance(error, UnknownOutcome):
        rest = 0.0 if _is_native(runtime, call) else runtime.settings.connections[call.connection].settle
        return Outcome(CallState.UNKNOWN, retry_after=max(wait, rest), **common)
    assert isinstance(error, Transient | RateLimited)
    return Outcome(CallState.RETRY, retry_after=wait, burns_attempt=error.burns_attempt, **common)


def _can_settle(runtime: Runtime, call: Taken | Call) -> bool:
    operation = OPERATIONS[call.operation]
    return operation.repeatable or _is_native(runtime, call) or hasattr(runtime.connector(call.connection), operation.find or "-")


def _is_native(runtime: Runtime, call: Taken | Call) -> bool:
    return call.operation in getattr(runtime.connector(call.connection), "NATIVE_IDEMPOTENCY", ())
