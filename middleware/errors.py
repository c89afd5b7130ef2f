"""Every error that Waybill raises on purpose; each carries its code, its class and whether to retry.

WaybillError
├── SettingsError              a mistake in the configuration (file, key, what is expected)
├── Refused                    an inbound request is not accepted (HTTP 4xx, counted, never a row)
│   ├── UnknownConnection      404
│   ├── BodyTooLarge           413
│   ├── SignatureRefused       401 (a connector may answer 400)
│   ├── Stale                  401: signed, but outside the replay window
│   └── WrongEnvironment       400: a test event on a live connection, or the reverse
├── Busy                       503: the writer is full or the database is down; nothing was acknowledged
├── Internal                   500: a bug of ours; nothing was acknowledged
├── Unreadable                 data: a verified payload that no schema accepts (dead, with its cause)
├── IllegalTransition          data: a state change that the table does not allow
└── CallError                  an outgoing call did not end well
    ├── Transient              nothing happened over there; try again
    │   ├── Unreachable        refused, DNS, breaker open: burns no attempt when the breaker is open
    │   └── OnHold             they hold it for a reason of their own: wait as long as it takes, burns no attempt
    ├── RateLimited            try again at `retry_at`
    ├── Unauthorized           systemic: pauses the connection, burns no attempt
    ├── Rejected               data: the system says no, with the field at fault
    └── UnknownOutcome         the request left, no verdict came back: look up before repeating
"""

from __future__ import annotations

from enum import StrEnum


class ErrorClass(StrEnum):
    """Who can mend it: time, a credential, the data, a person, or us."""

    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    AUTH = "auth"
    SCHEMA = "schema"
    PERMANENT = "permanent"
    UNKNOWN_OUTCOME = "unknown_outcome"
    BUG = "bug"


class WaybillError(Exception):
    """Base of the tree. `status` is what an inbound caller sees."""

    code = "internal"
    error_class = ErrorClass.BUG
    retryable = False
    status = 500


class SettingsError(WaybillError):
    """One or more mistakes in the configuration; `mistakes` holds a line for each."""

    code = "settings"
    error_class = ErrorClass.PERMANENT

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class Refused(WaybillError):
    """An inbound request is not accepted; the text is safe to show to the sender."""

    code = "refused"
    error_class = ErrorClass.PERMANENT
    status = 400


class UnknownConnection(Refused):
    code = "unknown_connection"
    status = 404


class BodyTooLarge(Refused):
    code = "body_too_large"
    status = 413


class BodyIncomplete(Refused):
    """The sender went before the whole body had come; nobody reads the answer."""

    code = "body_incomplete"


class SignatureRefused(Refused):
    code = "signature"
    error_class = ErrorClass.AUTH
    status = 401


class Stale(Refused):
    code = "stale"
    error_class = ErrorClass.AUTH
    status = 401


class WrongEnvironment(Refused):
    code = "wrong_environment"
    status = 400


class Busy(WaybillError):
    """Nothing was stored; the sender must try again."""

    code = "busy"
    error_class = ErrorClass.TRANSIENT
    retryable = True
    status = 503


class Internal(WaybillError):
    """A bug of ours; nothing was stored, so the sender should try again."""

    retryable = True


class Unreadable(WaybillError):
    """A verified payload that no schema accepts; the text names fields, never values."""

    code = "unreadable"
    error_class = ErrorClass.SCHEMA
    status = 422


class IllegalTransition(WaybillError):
    code = "illegal_transition"
    error_class = ErrorClass.PERMANENT
    status = 409


class CallError(WaybillError):
    """An outgoing call did not end well. `reason` is one line without secrets or personal data."""

    code = "call"
    error_class = ErrorClass.BUG
    burns_attempt = True

    def __init__(self, reason: str, *, retry_after: float | None = None, field: str = "", status: int | None = None) -> None:
        """`retry_after` is seconds from now, `field` the field at fault, `status` the HTTP status that came back."""
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.field = field
        self.http_status = status


class Transient(CallError):
    code = "transient"
    error_class = ErrorClass.TRANSIENT
    retryable = True


class Unreachable(Transient):
    """The request never left: the breaker is open or our own limit is reached."""

    code = "unreachable"
    burns_attempt = False


class OnHold(Transient):
    """The other side holds the thing for a reason of its own (a dispute, a fraud review): only its release ends that."""

    code = "on_hold"
    burns_attempt = False


class RateLimited(CallError):
    code = "rate_limited"
    error_class = ErrorClass.RATE_LIMITED
    retryable = True
    burns_attempt = False


class Unauthorized(CallError):
    code = "unauthorized"
    error_class = ErrorClass.AUTH
    burns_attempt = False


class Rejected(CallError):
    code = "rejected"
    error_class = ErrorClass.PERMANENT


class SourceFailed(CallError):
    """What a write needs of another system (a picture) could not be had now."""

    code = "source_failed"
    error_class = ErrorClass.TRANSIENT
    retryable = True


class UnknownOutcome(CallError):
    code = "unknown_outcome"
    error_class = ErrorClass.UNKNOWN_OUTCOME
    retryable = True
