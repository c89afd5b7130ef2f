"""Workbooks (XLSX): whether one is whole, and the rows of a sheet, one at a time."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, BinaryIO

import openpyxl

from mappings.elements import Broken

LARGEST_PART = 64 * 1024 * 1024
"""Unpacked bytes of a workbook's part that is read at once (its shared texts, its styles)."""
_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, LookupError, ValueError, TypeError, SyntaxError, RuntimeError)


def check(stream: BinaryIO) -> None:
    """Raises `Broken` unless every part of a workbook is there, unharmed, and of a size that can be read."""
    with _whole(), zipfile.ZipFile(stream) as parts:
        for part in parts.infolist():
            if part.file_size > LARGEST_PART and part.filename.endswith(".xml") and not part.filename.startswith("xl/worksheets/"):
                raise Broken(f"has a part of more than {LARGEST_PART >> 20} MB, {part.filename}: export it as CSV")
        if parts.testzip() is not None:
            raise Broken("is no whole workbook")


def rows(stream: BinaryIO, name: str) -> Iterator[tuple[Any, ...]]:
    """The values of a sheet's rows, of the first sheet when no name is given; of formulas what was last worked out. Raises
    `Broken`."""
    with _whole(), closing(openpyxl.load_workbook(stream, read_only=True, data_only=True)) as book:
        if name and name not in book.sheetnames:
            raise Broken(f"has no sheet {name!r}")
        sheet = book[name] if name else book.worksheets[0]
        sheet.reset_dimensions()  # what a workbook says of its own size is often wrong, and rows beyond it would be lost
        yield from sheet.iter_rows(values_only=True)


@contextmanager
def _whole() -> Iterator[None]:
    """What zipfile and openpyxl raise for a workbook that is none, as `Broken`."""
    try:
        yield
    except Broken:
        raise
    except _FAULTS:
        raise Broken("is no whole workbook") from None
