"""Files in a folder, here or on an SFTP server: CSV, JSON Lines, XML and XLSX, read a page at a time, only when they are whole."""

from __future__ import annotations

import codecs
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from mappings import elements, rows
from mappings import files as words
from mappings.elements import LARGEST_RECORD, Broken
from mappings.files import Format, Found, Place
from middleware.connectors._http import Http
from middleware.errors import Rejected, Transient, Unreadable
from middleware.ports import Page, Record
from middleware.settings import Connection
from middleware.wire import workbook
from middleware.wire.folder import File, Folder, LocalShelf, Shelf, chunks, lines, told
from middleware.wire.sftp import SftpShelf
from middleware.wire.ssh import SCHEME, address

PAGE_BYTES = 8 * 1024 * 1024
"""Bytes of records beyond which a page is full, however few they are."""
_LONGEST = LARGEST_RECORD + 1


Start = tuple[File, int, Place]
"""Where a page begins: its file, how many records came before, and the place of the next one."""


@dataclass(frozen=True, slots=True)
class _Feed:
    pattern: str
    id: str
    form: Format
    all: bool


class Connector:
    """One folder, here or on an SFTP server. A file is read when nobody has touched it for `settle` seconds (by the clock of where it
    lies), and its checksum and its marker, where they are demanded, are there. It is checked to its end before its first record is
    given. Of two records with one id both are given: staging keeps the last. A record without a usable id is called "row:<its number
    in the file>"."""

    SYSTEM = "files"
    LANE = "catalog"
    PROOF = "real system"
    API_VERSION = "CSV (RFC 4180), JSON Lines, XML 1.0, XLSX"
    HAS_ADDRESS = False
    CREDENTIALS: Mapping[str, str] = {
        "password": "password at the SFTP server",
        "private_key": "private key for the SFTP server, in place of a password",
        "passphrase": "passphrase of the private key, when it has one",
    }
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "folder": (str, "", "path of the folder, or sftp://user@host:port/path"),
        "host_keys": (list, [], "host keys of the SFTP server or their fingerprints, SHA256:…; one must match, any other is refused"),
        "pattern": (dict, {}, 'per kind the name of its files, like "products-*.csv" (.csv, .tsv, .txt, .jsonl, .ndjson, .xml, .xlsx)'),
        "id": (dict, {}, "per kind the column, JSON member, XML attribute or child that is a record's stable id"),
        "which": (dict, {}, 'per kind "latest" (the newest file is the whole feed) or "all" (every file, by name)'),
        "encoding": (str, "utf-8", "of CSV and JSON Lines, one in which ASCII is ASCII; XML declares its own"),
        "delimiter": (str, ",", 'of CSV; "auto" takes what parts the header into most columns'),
        "record_tag": (str, "", "the XML element that is a record"),
        "sheet": (str, "", "the sheet of a workbook; empty is the first"),
        "checksum": (bool, False, "whether NAME.sha256 or NAME.md5 must be beside a file and match"),
        "settle": (int, 5, "seconds for which a file must have been left alone"),
        "done": (str, "", 'suffix of a marker that must be beside a file, like ".done"'),
        "page": (int, 500, "records per page"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """Raises ValueError for options that cannot work together or lead out of the folder."""
        self.connection = connection
        option = connection.chosen(self.OPTIONS)
        if mistake := _mistake(option):
            raise ValueError(mistake)
        self._folder = Folder(_shelf(connection, option), option["settle"], option["checksum"], option["done"])
        self._encoding = _encoding(option["encoding"])
        self._delimiter, self._tag, self._sheet = option["delimiter"], option["record_tag"], option["sheet"]
        self._size = option["page"]
        self._feeds = {kind: _feed(kind, option) for kind in option["pattern"]}
        self._held: dict[str, Iterator[Found]] = {}

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        """A page of the newest file, or of every file by name; files that were ready before `since` are skipped. Raises `Transient`
        while there is nothing that can be read yet, `Rejected` for a file that is broken or was changed between two pages, and
        `Unauthorized` for one that may not be read."""
        feed = self._feeds.get(kind)
        if feed is None:
            raise Rejected(f"no pattern is configured for {kind}", field="pattern")
        if not cursor:
            self._folder.shelf.leave()
        page = Page(())
        try:
            page = self._page_of(feed, since, cursor)
        finally:
            if not page.cursor:
                self._folder.shelf.leave()
        return page

    def decode_record(self, kind: str, raw: bytes) -> Any:
        """Pure: JSON with fractions as `Decimal`, or an XML element as a dict (`mappings.files.decode`)."""
        if kind not in self._feeds:
            raise Unreadable(f"no pattern is configured for {kind}")
        try:
            return words.decode(self._feeds[kind].form, raw)
        except words.Unfit as error:
            raise Unreadable(str(error)) from None

    def _page_of(self, feed: _Feed, since: datetime | None, cursor: str) -> Page:
        start = self._resumed(feed, cursor) if cursor else self._first(feed, since)
        if start is None:
            return Page(())
        file = start[0]
        records, following = self._read(feed, *start, cursor)
        after = next((other for other in self._newer(feed, since) if other.name > file.name), None) if feed.all else None
        return Page(records, following or (_cursor(after, 0, ()) if after else ""))

    def _newer(self, feed: _Feed, since: datetime | None) -> list[File]:
        """The files that may be read now and could not be at `since`, by name."""
        files, now = self._folder.matching(feed.pattern), time.time()
        return [file for file in files if file.ready <= now and (since is None or file.ready > since.timestamp())]

    def _first(self, feed: _Feed, since: datetime | None) -> Start | None:
        """Where a feed begins, None when nothing is newer; raises `Transient` when nothing could be read at any time."""
        ready = self._newer(feed, None)
        if not ready and (unready := self._folder.matching(feed.pattern)):
            raise Transient(f"{unready[-1].name} is still being written, or waits for its checksum or marker")
        if not ready and since is None:
            raise Transient(f"no file is called {feed.pattern}")
        if not feed.all:
            ready = sorted(ready, key=lambda file: (file.changed, file.name))[-1:]
        return next(((file, 0, ()) for file in ready if since is None or file.ready > since.timestamp()), None)

    def _resumed(self, feed: _Feed, cursor: str) -> Start:
        try:
            name, size, changed, number, *place = json.loads(cursor)
        except (ValueError, TypeError):
            raise Rejected("the cursor is none of this source") from None
        file = next((file for file in self._folder.matching(feed.pattern) if file.name == name), None)
        if file is None or (file.size, file.changed) != (size, changed):
            raise Rejected(f"{name} was changed while it was read")
        return file, number, tuple(place)

    def _read(self, feed: _Feed, file: File, number: int, place: Place, cursor: str) -> tuple[tuple[Record, ...], str]:
        """A page of one file and where its next one begins ("" after the last)."""
        with _told(file.name):
            if not number:
                self._check(feed, file)
            reader = self._held.pop(cursor, None) or self._found(feed, file, number, place)
            records, following = _taken(reader, number, self._size)
            file.same()
        if following is None:
            return records, ""
        cursor = _cursor(file, number + len(records), following.place)
        if feed.form is Format.SHEET:  # a packed sheet cannot be entered in its middle: whoever goes on at once goes on here
            self._held = {cursor: chain((following,), reader)}
        return records, cursor

    def _check(self, feed: _Feed, file: File) -> None:
        """Raises `Rejected` or `Broken` unless the whole file is there."""
        if not file.size:
            raise Broken("is empty")
        if self._folder.checksum:
            self._folder.compare(file)
        with file.opened() as stream:
            if feed.form is Format.SHEET:
                workbook.check(stream)
            elif feed.form is Format.XML:
                elements.check(chunks(stream), _encoding_of(stream))
            elif feed.form is Format.CSV:
                rows.check(lines(stream, _LONGEST), feed.id, encoding=self._encoding, delimiter=self._delimiter, vouched=file.vouched)
            else:
                words.check_json_lines(lines(stream, _LONGEST))

    def _found(self, feed: _Feed, file: File, number: int, place: Place) -> Iterator[Found]:
        with file.opened() as stream:
            if feed.form is Format.SHEET:
                yield from islice(words.sheet_records(workbook.rows(stream, self._sheet), feed.id), number, None)
            elif feed.form is Format.XML:
                encoding = _encoding_of(stream)
                stream.seek(int(place[0]) if place else 0)
                yield from words.xml_records(chunks(stream), self._tag, feed.id, encoding=encoding, place=place)
            elif feed.form is Format.CSV:
                head = rows.header(lines(stream, _LONGEST), feed.id, encoding=self._encoding, delimiter=self._delimiter)
                start = stream.seek(int(place[0]) if place else head.end)
                yield from words.csv_records(lines(stream, _LONGEST), head, feed.id, encoding=self._encoding, start=start)
            else:
                start = stream.seek(int(place[0]) if place else 0)
                yield from words.json_records(lines(stream, _LONGEST), feed.id, encoding=self._encoding, start=start)


def _shelf(connection: Connection, option: Mapping[str, Any]) -> Shelf:
    if not option["folder"].startswith(SCHEME):
        return LocalShelf(Path(option["folder"]))
    place = address(option["folder"], option["host_keys"])
    if not connection.credentials.keys() & {"password", "private_key"}:
        raise ValueError("folder: an SFTP server needs the credential password or private_key")
    return SftpShelf(place, connection.credentials, connection.timeout)


def _feed(kind: str, option: Mapping[str, Any]) -> _Feed:
    pattern, name, which = option["pattern"][kind], option["id"].get(kind, ""), option["which"].get(kind, "latest")
    form = words.SUFFIXES.get(os.path.splitext(str(pattern))[1])
    if form is None or not isinstance(pattern, str) or re.search(r"[/\\\0]", pattern):
        raise ValueError(f"pattern.{kind}: expected the name of files in the folder that ends in {', '.join(words.SUFFIXES)}")
    if not isinstance(name, str) or not name:
        raise ValueError(f"id.{kind}: missing; expected the column, member, attribute or child that is a record's id")
    if which not in ("latest", "all"):
        raise ValueError(f"which.{kind}: expected latest or all")
    if form is Format.XML and not option["record_tag"]:
        raise ValueError("record_tag: missing; expected the XML element that is a record")
    return _Feed(pattern, name, form, which == "all")


def _encoding(name: str) -> str:
    """The encoding's proper name; line ends and quotes must be the bytes that they are in ASCII."""
    ascii_bytes = bytes(range(128))
    try:
        found = codecs.lookup(name).name.removesuffix("-sig")
        fits = ascii_bytes.decode(found) == ascii_bytes.decode("ascii")
    except (LookupError, UnicodeError):
        fits = False
    if not fits:
        raise ValueError("encoding: expected one in which ASCII is ASCII, like utf-8, cp1252 or iso-8859-15")
    return found


def _mistake(option: Mapping[str, Any]) -> str:
    if not option["folder"]:
        return "folder: missing; expected the path of a folder"
    if re.search(r"[/\\\0]", option["done"]):
        return "done: expected the end of a name, like .done"
    if option["delimiter"] != "auto" and not re.fullmatch(r'[^"\r\n]', option["delimiter"]):
        return "delimiter: expected one character, or auto"
    return "" if option["page"] > 0 else "page: expected at least 1"


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        with told(name):
            yield
    except Broken as error:
        raise Rejected(f"{name} {error}") from None


def _taken(reader: Iterator[Found], number: int, most: int) -> tuple[tuple[Record, ...], Found | None]:
    """Up to `most` records, numbered on from `number`, and the one that follows them."""
    records: list[Record] = []
    size = 0
    for found in reader:
        if len(records) == most or size > PAGE_BYTES:
            return tuple(records), found
        number, size = number + 1, size + len(found.raw)
        records.append(Record(found.source_id or f"row:{number}", found.raw))
    return tuple(records), None


def _cursor(file: File, number: int, place: Place) -> str:
    return json.dumps((file.name, file.size, file.changed, number, *place))


def _encoding_of(stream: BinaryIO) -> str:
    encoding = elements.encoding_of(stream.read(1024))
    stream.seek(0)
    return encoding
