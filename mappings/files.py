"""Records of files (CSV, JSON Lines, XML, sheets): lines and chunks to canonical records, one record to plain data; no I/O.

CSV follows RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180), JSON Lines https://jsonlines.org, XML 1.0 without a document type.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any

from mappings.elements import Broken, bounded, found, plain, tree
from mappings.rows import Header, columns, rows

LARGEST_CELL = 1024 * 1024
"""Characters of a cell, attribute or text beyond which a record is refused."""
_ID = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff\ufffd]{1,255}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHEET_ERRORS = frozenset({"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"})


class Format(StrEnum):
    """What a file is, by the end of its name."""

    CSV = "csv"
    LINES = "jsonl"
    XML = "xml"
    SHEET = "xlsx"


SUFFIXES = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".txt": Format.CSV,
    ".jsonl": Format.LINES,
    ".ndjson": Format.LINES,
    ".xml": Format.XML,
    ".xlsx": Format.SHEET,
}


class Unfit(ValueError):
    """A record that cannot be decoded; the text names what is wrong, never a value."""


Place = tuple[int | str, ...]
"""Where reading can begin again: a byte, and for XML the elements that are open there; empty for the beginning."""


@dataclass(frozen=True, slots=True)
class Found:
    """One record where it stands: `source_id` is its stable id ("" when it has none that is usable), `raw` its canonical bytes."""

    place: Place
    source_id: str
    raw: bytes


def csv_records(lines: Iterable[bytes], head: Header, id_column: str, *, encoding: str, start: int) -> Iterator[Found]:
    """The records of CSV lines that begin at byte `start`: JSON objects in the header's order. A row that does not fit the header
    is kept as an array of its cells, one that is no CSV as text: `decode` refuses both. Raises `Broken` inside an open quote."""
    index = head.names.index(id_column)
    for row in rows(lines, encoding, head.delimiter, start):
        if row.cells is None:
            yield Found((row.start,), "", _json(row.text))
        elif len(row.cells) != len(head.names):
            yield Found((row.start,), _usable(row.cells[index]) if index < len(row.cells) else "", _json(row.cells))
        else:
            yield Found((row.start,), _usable(row.cells[index]), _json(dict(zip(head.names, row.cells, strict=True))))


def json_records(lines: Iterable[bytes], id_name: str, *, encoding: str, start: int) -> Iterator[Found]:
    """The records of JSON Lines that begin at byte `start`, each the line itself (in UTF-8)."""
    for line in lines:
        begin, start = start, start + len(line)
        bounded(len(line))
        raw = line.removeprefix(codecs.BOM_UTF8).strip() if begin == 0 else line.strip()
        if raw:
            raw = raw if encoding == "utf-8" else raw.decode(encoding, "replace").encode()
            yield Found((begin,), _id_of_line(raw, id_name), raw)


def xml_records(chunks: Iterable[bytes], tag: str, id_name: str, *, encoding: str, place: Place) -> Iterator[Found]:
    """The records of an XML document that is read from `place` (empty: its beginning), each its element serialised."""
    start, *ancestors = place or (0,)
    for one in found(chunks, tag, encoding, int(start), tuple(map(str, ancestors))):
        yield Found((one.start, *one.ancestors), identity(plain(one.element), id_name), one.raw)


def sheet_records(cells: Iterable[Iterable[Any]], id_column: str) -> Iterator[Found]:
    """The records of a sheet's rows, the first of them the header: numbers as exact decimal text, times as ISO 8601."""
    filled = (row for row in map(_filled, cells) if row)
    names = columns(next(filled, []), id_column)
    index = names.index(id_column)
    for some in filled:
        row = some + [None] * (len(names) - len(some))
        record = dict(zip(names, row, strict=True)) if len(row) == len(names) else row
        yield Found((), _usable(row[index]), _json(record))


def check_json_lines(lines: Iterable[bytes]) -> None:
    """Read JSON Lines to their end; raises `Broken` when the last one was cut off."""
    last = b"\n"
    for last in lines:
        bounded(len(last))
    if last.endswith(b"\n"):
        return
    try:
        whole = isinstance(_object(last.strip()), dict)
    except (Unfit, RecursionError):
        whole = False
    if not whole:
        raise Broken("has a last line that is cut off")


def decode(form: Format, raw: bytes) -> Any:
    """One record as plain data: JSON's fractions are `Decimal`; of XML attributes are "@name", repeated children lists, a text
    beside attributes or children "#text", prefixes of namespaces dropped. Raises `Unfit`."""
    try:
        record = plain(tree(raw)) if form is Format.XML else _object(raw)
    except Broken:
        raise Unfit("is not XML") from None
    except RecursionError:
        raise Unfit("is nested too deeply") from None
    if not isinstance(record, dict):
        raise Unfit(_misfit(form, record))
    if len(raw) > LARGEST_CELL or b"\\u" in raw:
        record = _sound(record, "")
    for name, value in record.items() if form is Format.SHEET else ():
        if isinstance(value, str) and value in _SHEET_ERRORS:
            raise Unfit(f"{name}: the sheet shows an error")
    return record


def identity(record: Any, name: str) -> str:
    """The id in a record (a member, an attribute, or the text of a child), "" when it has none that is usable."""
    if not isinstance(record, Mapping):
        return ""
    value = record.get(name, record.get(f"@{name}"))
    return _usable(value.get("#text") if isinstance(value, Mapping) else value)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _object(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode("utf-8", "replace"), parse_float=Decimal, parse_constant=_no_number)
    except ValueError:
        raise Unfit("is not JSON") from None


def _no_number(_word: str) -> None:
    raise ValueError


def _id_of_line(raw: bytes, name: str) -> str:
    try:
        return identity(_object(raw), name)
    except (Unfit, RecursionError):
        return ""


def _usable(value: Any) -> str:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if _ID.fullmatch(text) else ""


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | str) else str(value)


def _filled(cells: Iterable[Any]) -> list[Any]:
    """A sheet's row without the empty cells at its end."""
    row = [_cell(cell) for cell in cells]
    while row and row[-1] is None:
        row.pop()
    return row


def _misfit(form: Format, record: Any) -> str:
    if form is Format.LINES:
        return "is no JSON object"
    if isinstance(record, list):
        return f"has {len(record)} cells, not as many as the header"
    return "has text after a quoted cell: it is no CSV"


def _sound(value: Any, name: str) -> Any:
    """The value with unpaired surrogates replaced, as broken UTF-8 is; a huge text is refused by its name."""
    if isinstance(value, dict):
        return {_sound(key, name): _sound(inner, f"{name}.{key}" if name else key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_sound(inner, name) for inner in value]
    if not isinstance(value, str):
        return value
    if len(value) > LARGEST_CELL:
        raise Unfit(f"{name[:100]}: is larger than {LARGEST_CELL >> 20} MB")
    return _SURROGATE.sub("\ufffd", value)
