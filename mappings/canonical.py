"""The one model that every system is translated to and from: money, orders, payments, fulfilment.

Frozen dataclasses; ids from outside are strings; times are aware UTC; `Money` is what is charged or totalled (integer
minor units), `UnitPrice` what is multiplied (Decimal) and rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

# ISO 4217 minor-unit exponents that are not 2. A system whose exponents differ keeps its own table in its own mapping.
ISO_EXPONENTS = {
    **dict.fromkeys(
        ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"], 0
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}


@dataclass(frozen=True, slots=True)
class Money:
    """An amount that is charged or totalled: integer minor units of `currency` (ISO 4217, upper case)."""

    minor: int
    currency: str

    @classmethod
    def of(cls, amount: Decimal | str, currency: str) -> Money:
        """From a decimal amount in major units; raises ValueError when it is finer than the currency allows."""
        scaled = Decimal(amount).scaleb(ISO_EXPONENTS.get(currency, 2))
        if scaled != scaled.to_integral_value():
            raise ValueError(f"{amount} {currency} is finer than the currency's minor unit")
        return cls(int(scaled), currency)

    @property
    def amount(self) -> Decimal:
        """The amount in major units, with exactly the currency's decimals."""
        exponent = ISO_EXPONENTS.get(self.currency, 2)
        return Decimal(self.minor).scaleb(-exponent)

    def __add__(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.minor + other.minor, self.currency)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """A price that is multiplied by a quantity: exact Decimal in major units, rounded only in `times`."""

    amount: Decimal
    currency: str
    tax_included: bool = False

    def times(self, quantity: Decimal) -> Money:
        """The line amount, rounded once, half up, to the currency's minor unit."""
        exponent = ISO_EXPONENTS.get(self.currency, 2)
        minor = (self.amount * quantity).scaleb(exponent).to_integral_value(ROUND_HALF_UP)
        return Money(int(minor), self.currency)


class OrderState(StrEnum):
    """Where the shop says that an order is."""

    UNKNOWN = "unknown"
    DRAFT = "draft"
    PLACED = "placed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class PaymentState(StrEnum):
    """Where the provider says that a payment is."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    FAILED = "failed"
    AUTHORIZED = "authorized"
    VOIDED = "voided"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


class FulfilmentState(StrEnum):
    """Where the ERP says that an order is."""

    UNKNOWN = "unknown"
    DRAFT = "draft"
    CONFIRMED = "confirmed"
    PROCESSING = "processing"
    PARTIALLY_SHIPPED = "partially_shipped"
    SHIPPED = "shipped"
    DONE = "done"
    CANCELLED = "cancelled"


class PartKind(StrEnum):
    """What moved money: amounts of a payment are sets of these by id, never sums of events."""

    CAPTURE = "capture"
    REFUND = "refund"
    DISPUTE = "dispute"


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address; personal data, never logged."""

    given_name: str = ""
    family_name: str = ""
    organization: str = ""
    line1: str = ""
    line2: str = ""
    postal_code: str = ""
    locality: str = ""
    administrative_area: str = ""
    country: str = ""

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.given_name, self.family_name) if part) or self.organization


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A promotion, tax, fee or shipping amount; `included` ones are already inside the prices."""

    kind: str
    label: str
    amount: Money
    included: bool = False


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line: `total` is what the shop charged for it before its not-included adjustments."""

    line_id: str
    sku: str
    title: str
    quantity: Decimal
    unit_price: UnitPrice
    total: Money
    adjustments: tuple[Adjustment, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderPayment:
    """A payment that the shop attached to the order; `remote_id` is the provider's reference."""

    payment_id: str
    gateway: str
    remote_id: str
    state: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Order:
    """A shop's whole order at one version. `order_id` is the shop's UUID, `internal_id` its numeric id as a string. `sequence`
    numbers what the shop said of it: payments may change while the version stays."""

    order_id: str
    internal_id: str
    number: str
    version: int
    state: OrderState
    store_ref: str
    total: Money
    changed_at: datetime
    placed_at: datetime | None = None
    mail: str = ""
    language: str = ""
    lines: tuple[OrderLine, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    billing: Address = field(default_factory=Address)
    shipping: Address = field(default_factory=Address)
    payments: tuple[OrderPayment, ...] = ()
    sequence: int = 0


class PartState(StrEnum):
    """Where a capture, refund or dispute is. The first four are of captures and refunds, the others of disputes."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    REVERSED = "reversed"
    OPENED = "opened"
    EVIDENCE_REQUIRED = "evidence_required"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    CLOSED = "closed"


class Outcome(StrEnum):
    """Why a payment failed, in every provider's case one of these; the provider's own code is kept beside it."""

    NONE = ""
    DECLINED = "declined"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    FRAUD_SUSPECTED = "fraud_suspected"
    AUTHENTICATION_REQUIRED = "authentication_required"
    AUTHENTICATION_FAILED = "authentication_failed"
    EXPIRED = "expired"
    INVALID_DETAILS = "invalid_details"
    LIMIT_EXCEEDED = "limit_exceeded"
    CANCELLED = "cancelled"
    PROVIDER_ERROR = "provider_error"


@dataclass(frozen=True, slots=True)
class PaymentPart:
    """One capture, refund or dispute of a payment, by the provider's own id; `counts` is False once it failed or was won."""

    kind: PartKind
    remote_id: str
    amount: Money
    counts: bool = True
    state: PartState = PartState.DONE


class Review(StrEnum):
    """A fraud check's decision on a payment: of the provider, or of a tool beside it."""

    HOLD = "hold"
    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class PaymentChange:
    """What one provider event says of one payment. `order_refs` are the shop's order ids that the provider carries for us; `outcome`
    is one of `Outcome`, `review` a fraud check's decision, where the event is one."""

    remote_id: str
    occurred_at: datetime
    state: PaymentState | None
    amount: Money | None = None
    parts: tuple[PaymentPart, ...] = ()
    order_refs: tuple[str, ...] = ()
    outcome: str = ""
    raw_code: str = ""
    review: Review | None = None


class PayoutState(StrEnum):
    """Where the provider says that a payout to the merchant's bank is."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class SettledPart:
    """One movement of money inside a payout: of which payment (provider's id), gross, the provider's fee, and what is left."""

    remote_id: str
    kind: str
    gross: Money
    fee: Money
    net: Money
    payment_ref: str = ""


@dataclass(frozen=True, slots=True)
class PayoutChange:
    """What the provider says of one payout; `parts` are the movements that it is made of, as far as it tells them."""

    remote_id: str
    occurred_at: datetime
    state: PayoutState
    amount: Money
    fee: Money | None = None
    parts: tuple[SettledPart, ...] = ()


@dataclass(frozen=True, slots=True)
class ShopOrder:
    """An order as a shop lists it, without personal data: enough to compare it with other systems."""

    order_id: str
    internal_id: str
    number: str
    store_ref: str
    state: OrderState
    total: Money
    paid: Money
    placed_at: datetime | None = None

    @property
    def is_paid(self) -> bool:
        return self.paid.minor >= self.total.minor


@dataclass(frozen=True, slots=True)
class Shipment:
    """One parcel of an order as the ERP knows it: `shipment_id` is its own id; the code is the carrier's, and may be absent."""

    shipment_id: str
    state: str = "shipped"
    tracking_code: str = ""
    carrier: str = ""
    tracking_url: str = ""
    shipped_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FulfilmentChange:
    """What the ERP says of one of our orders: `order_ref` is the reference that we gave it, `remote_id` its own id; `shipments`
    are all that it has made so far."""

    remote_id: str
    number: str
    state: FulfilmentState
    occurred_at: datetime
    order_ref: str = ""
    total: Money | None = None
    shipments: tuple[Shipment, ...] = ()


@dataclass(frozen=True, slots=True)
class Ping:
    """A shop asks to be called back, to see that both directions work."""

    ping_id: str


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that the storefront saw of a cart or an order: the `facts` are small texts and numbers, never personal data.
    `shown` and `charged` are given where both totals are known."""

    kind: str
    order_ref: str
    occurred_at: datetime
    outcome: str = ""
    seconds: float | None = None
    shown: Money | None = None
    charged: Money | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that is kept and means nothing to us, with the reason."""

    reason: str


Message = Order | PaymentChange | PayoutChange | FulfilmentChange | Ping | Signal | Ignored
