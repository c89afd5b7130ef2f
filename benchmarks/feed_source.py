"""A local HTTP source of a feed: pages of 1,000 records of 1.6 KB, written to a file once, so that serving them costs next to nothing.

`python -m benchmarks.feed_source RECORDS` prints its port. Shape: that of the demo ERP's `GET /stock?after=SKU&limit=1000`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import mmap
import re
import sys
import tempfile

PAGE = 1_000
SIZE = 1_600
_AFTER = re.compile(rb"after=(\w*)")


def record(number: int) -> bytes:
    """One record, shaped like a product of a PIM (values by attribute, each with locale and scope) with stock in two warehouses."""
    values: dict[str, list[dict[str, object]]] = {
        "sku": [_value(f"S{number:08d}")],
        "color": [_value("blue")],
        "ean": [_value("4006381333931")],
    }
    values["name"] = [_value(f"Shirt {number}", "en_US"), _value(f"Hemd {number}", "de_DE")]
    values["price"] = [_value([{"amount": "19.90", "currency": "EUR"}, {"amount": "21.50", "currency": "USD"}])]
    values["weight"] = [_value({"amount": "800.0000", "unit": "GRAM"})]
    for index in range(10):
        values[f"attribute_{index}"] = [_value(f"option_{number % 50}_{index}")]
    found = {
        "sku": f"S{number:08d}",
        "enabled": True,
        "family": "clothing",
        "categories": ["shirts", "summer", "sale"],
        "warehouses": {"main": str(number % 500), "north": str(number % 7)},
        "changed_at": "2026-11-30T00:00:00+00:00",
        "values": values,
        "description": "",
    }
    missing = SIZE - len(json.dumps(found, separators=(",", ":")))
    found["description"] = "Ein Hemd aus Baumwolle. ".ljust(missing, "x")[:missing]
    return json.dumps(found, separators=(",", ":")).encode()


def _value(data: object, locale: str | None = None) -> dict[str, object]:
    return {"locale": locale, "scope": None, "data": data}


def page(number: int, records: int) -> bytes:
    """The answer with the page that begins at a record."""
    last = min(number + PAGE, records)
    following = f"S{last - 1:08d}" if last < records else None
    articles = b",".join(record(one) for one in range(number, last))
    body = b'{"articles":[' + articles + b'],"next":' + json.dumps(following).encode() + b"}"
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class Source(asyncio.Protocol):
    """Answers whatever is asked with the page after `after`."""

    def __init__(self, pages: list[memoryview]) -> None:
        self._pages = pages
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while b"\r\n\r\n" in self._rest:
            head, _, self._rest = self._rest.partition(b"\r\n\r\n")
            after = _AFTER.search(head)
            number = (int(after[1][1:]) + 1) // PAGE if after and after[1] else 0
            self._transport.write(self._pages[number])  # type: ignore[attr-defined]


async def serve(records: int) -> None:
    with tempfile.TemporaryFile() as file:
        ends = [0]
        for number in range(0, records, PAGE):
            ends.append(ends[-1] + file.write(page(number, records)))
        file.flush()
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        pages = [view[start:end] for start, end in itertools.pairwise(ends)]
        server = await asyncio.get_running_loop().create_server(lambda: Source(pages), "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
