"""The rows of a CSV file as a stream (RFC 4180, https://www.rfc-editor.org/rfc/rfc4180): each with the byte where it begins; no I/O."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from mappings.elements import LARGEST_RECORD, Broken, bounded

_DELIMITERS = ",;\t|"

csv.field_size_limit(LARGEST_RECORD)  # of the whole process: the module has no other way, and its default is 128 KB


@dataclass(frozen=True, slots=True)
class Header:
    """The first row of a table: its columns, the delimiter of its file, and the byte where the records begin."""

    names: tuple[str, ...]
    delimiter: str = ","
    end: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One row from byte `start` to `end`; `cells` is None when its `text` is no CSV."""

    start: int
    end: int
    text: str
    cells: list[str] | None


def columns(cells: Iterable[Any], wanted: str) -> tuple[str, ...]:
    """The names of a table's columns; one without a name is "column:3". Raises `Broken` without `wanted` or with a name twice."""
    names = tuple(str("" if cell is None else cell).strip() or f"column:{n}" for n, cell in enumerate(cells, 1))
    if wanted not in names:
        raise Broken(f"has no column {wanted!r}")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise Broken(f"has the column {twice[0]!r} twice")
    return names


def header(lines: Iterable[bytes], wanted: str, *, encoding: str, delimiter: str) -> Header:
    """The header of a CSV file from its lines; `delimiter` "auto" takes the one that parts its first line most often."""
    rest = iter(lines)
    first = next(rest, b"")
    if delimiter == "auto":
        delimiter = max(_DELIMITERS, key=re.sub(r'"[^"]*"', "", first.decode(encoding, "replace")).count)
    row = next(rows(chain([first], rest), encoding, delimiter, 0), None)
    if row is None or row.cells is None:
        raise Broken("has no header that is CSV")
    return Header(columns(row.cells, wanted), delimiter, row.end)


def rows(lines: Iterable[bytes], encoding: str, delimiter: str, start: int) -> Iterator[Row]:
    """Rows that may span lines: the reader asks for exactly the lines of one row, so that its offsets are known."""
    text: list[str] = []
    size, ended = 0, False

    def source() -> Iterator[str]:
        nonlocal size, ended
        for line in lines:
            size += len(line)
            bounded(size)
            text.append((line.removeprefix(codecs.BOM_UTF8) if start == 0 and not text else line).decode(encoding, "replace"))
            yield text[-1]
        ended = True

    reader = csv.reader(source(), delimiter=delimiter, strict=True)
    while True:
        try:
            cells: list[str] | None = next(reader)
        except StopIteration:
            return
        except csv.Error:
            if ended:
                raise Broken("ends inside a quoted cell") from None
            cells = None
        if cells is None or cells:
            yield Row(start, start + size, "".join(text), cells)
        start, size = start + size, 0
        text.clear()


def check(lines: Iterable[bytes], id_column: str, *, encoding: str, delimiter: str, vouched: bool) -> None:
    """Read CSV to its end; raises `Broken` inside an open quote, and for a last line without end unless the file is `vouched` for."""
    last = b""

    def source() -> Iterator[bytes]:
        nonlocal last
        for line in lines:
            last = line
            yield line

    rest = source()
    head = header(rest, id_column, encoding=encoding, delimiter=delimiter)
    for _ in rows(rest, encoding, head.delimiter, head.end):
        pass
    if not last.endswith(b"\n") and not vouched:
        raise Broken("has a last line without an end: it may be cut off")
