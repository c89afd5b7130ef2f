"""The tables of payouts; migrations make them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from middleware.models import Base


class PayoutRow(Base):
    """One payout to the merchant's bank, as the provider said it last; minor units."""

    __tablename__ = "payouts"

    connection: Mapped[str] = mapped_column(primary_key=True)
    remote_id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    amount_minor: Mapped[int]
    fee_minor: Mapped[int | None]
    currency: Mapped[str]
    said_at: Mapped[datetime]


class PayoutPartRow(Base):
    """One movement inside a payout: gross, the provider's fee and what is left, of which payment."""

    __tablename__ = "payout_parts"
    __table_args__ = (
        ForeignKeyConstraint(["connection", "payout"], ["payouts.connection", "payouts.remote_id"], ondelete="CASCADE"),
        Index("ix_payout_parts_payment", "connection", "payment_ref", postgresql_where=text("payment_ref <> ''")),
    )

    connection: Mapped[str] = mapped_column(primary_key=True)
    payout: Mapped[str] = mapped_column(primary_key=True)
    remote_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    payment_ref: Mapped[str] = mapped_column(server_default=text("''"))
    gross_minor: Mapped[int]
    fee_minor: Mapped[int]
    net_minor: Mapped[int]
    currency: Mapped[str]


class SecretUse(Base):
    """How many requests a secret verified, by its reference, and when last."""

    __tablename__ = "secret_uses"

    connection: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    uses: Mapped[int]
    last_at: Mapped[datetime]
