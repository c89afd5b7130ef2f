"""The peers of the feed benchmark, each in a process of its own: the bare minimum, and what one would write with the usual libraries.

`bare`: requests and orjson, nothing kept. `marshmallow`: requests, marshmallow's Schema(many=True), and SQLAlchemy's ORM comparing each
page with `IN`, as facts/performance.md describes it.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import orjson
import requests
from marshmallow import EXCLUDE, Schema, fields
from sqlalchemy import LargeBinary, Text, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Article(Base):
    """One record as the naive importer keeps it."""

    __tablename__ = "articles"
    sku: Mapped[str] = mapped_column(Text, primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    on_hand: Mapped[str] = mapped_column(Text)


class ValueSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    locale = fields.String(required=True, allow_none=True)
    scope = fields.String(required=True, allow_none=True)
    data = fields.Raw(required=True, allow_none=True)


class ArticleSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    sku = fields.String(required=True)
    enabled = fields.Boolean(required=True)
    family = fields.String(required=True)
    categories = fields.List(fields.String(), required=True)
    warehouses = fields.Dict(fields.String(), fields.Decimal(), required=True)
    changed_at = fields.AwareDateTime(required=True)
    values = fields.Dict(fields.String(), fields.List(fields.Nested(ValueSchema)), required=True)
    description = fields.String()


def pages(source: str) -> Iterator[bytes]:
    with requests.Session() as session:
        after: str | None = ""
        while after is not None:
            body = session.get(f"{source}/stock", params={"after": after, "limit": 1_000}, timeout=30).content
            yield body
            after = orjson.loads(body[-64:].rpartition(b'"next":')[2].rstrip(b"}"))


def bare(source: str, _: str, limit: int) -> int:
    """Parse every page and count."""
    return sum(len(orjson.loads(body)["articles"]) for body in islice(pages(source), -(-limit // 1_000)))


def marshmallow(source: str, database: str, limit: int) -> int:
    """Load every page through a schema, compare it with what is kept, keep what differs."""
    schema, total = ArticleSchema(many=True), 0
    engine = create_engine(database)
    Base.metadata.create_all(engine)
    for body in islice(pages(source), -(-limit // 1_000)):
        loaded = schema.load(json.loads(body)["articles"])
        with Session(engine) as session:
            kept = {row.sku: row for row in session.scalars(select(Article).where(Article.sku.in_([one["sku"] for one in loaded])))}
            for one in loaded:
                digest = hashlib.sha256(repr(sorted(one.items())).encode()).digest()
                row = kept.get(one["sku"])
                if row is None:
                    session.add(Article(sku=one["sku"], digest=digest, on_hand=str(sum(one["warehouses"].values()))))
                elif row.digest != digest:
                    row.digest, row.on_hand = digest, str(sum(one["warehouses"].values()))
            session.commit()
        total += len(loaded)
    engine.dispose()
    return total


def main(name: str, source: str, database: str, rounds: int, limit: int) -> None:
    run: Callable[[str, str, int], Any] = {"bare": bare, "marshmallow": marshmallow}[name]
    for _ in range(rounds + 1):
        began = time.perf_counter()
        records = run(source, database, limit)
        print(json.dumps({"what": "unchanged" if _ else "first", "records": records, "seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
