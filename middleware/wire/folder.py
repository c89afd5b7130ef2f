"""The files of a folder: which of a pattern may be read now, and whether one is what it was and what its checksum says."""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, Protocol

from middleware.errors import Rejected, Transient, Unauthorized

DIGESTS = {"sha256": 64, "md5": 32}
"""Checksums that may stand beside a file, the better one first, and their hexadecimal digits."""
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file as it is now. `changed` is nanoseconds since 1970."""

    size: int
    changed: int


class Listing(Protocol):
    """What lay in the folder at one moment."""

    @property
    def names(self) -> Sequence[str]:
        """The names of everything in the folder."""
        ...

    def real(self, name: str) -> str | None:
        """The path at which the file of a name really lies; None when that is outside of the folder."""
        ...

    def found(self, name: str) -> Found | None:
        """The regular file of that name, None when there is none."""
        ...


class Shelf(Protocol):
    """Where the files are: on this machine, or behind a protocol. Its methods raise OSError, or ours."""

    name: str

    def listing(self) -> Listing:
        """What lies there now."""
        ...

    def found(self, path: str) -> Found | None:
        """The regular file at a real path, as it is now."""
        ...

    def opened(self, path: str, found: Found) -> AbstractContextManager[BinaryIO]:
        """Its bytes, from where one may seek; a link that took its place is not followed."""
        ...

    def leave(self) -> None:
        """Nothing more is read for now: let go of what is held for this thread."""
        ...


@dataclass(frozen=True, slots=True)
class File:
    """One file. `changed` is nanoseconds since 1970; `ready` is the second from which it may be read: it has settled and its
    marks are beside it; `vouched` says that a mark tells its end, so that its last line needs none."""

    name: str
    path: str
    size: int
    changed: int
    ready: float
    vouched: bool
    shelf: Shelf

    def opened(self) -> AbstractContextManager[BinaryIO]:
        """The file's bytes; a link that took its place is not followed. Raises OSError."""
        return self.shelf.opened(self.path, Found(self.size, self.changed))

    def same(self) -> None:
        """Raises `Rejected` when the file is no longer the one that was listed."""
        if self.shelf.found(self.path) != Found(self.size, self.changed):
            raise Rejected(f"{self.name} was changed while it was read")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder and what makes a file in it readable: `settle` seconds of rest, a `checksum` beside it, a marker `done`."""

    shelf: Shelf
    settle: float = 5
    checksum: bool = False
    done: str = ""

    def matching(self, pattern: str) -> list[File]:
        """Every regular file of the pattern, by name; raises `Rejected` for one that leads out of the folder."""
        with told(self.shelf.name):
            listing = self.shelf.listing()
            names = sorted(name for name in listing.names if not name.startswith(".") and fnmatchcase(name, pattern))
            return [file for name in names if (file := self._file(listing, name)) is not None]

    def compare(self, file: File) -> None:
        """Raises `Rejected` when a file is not what its checksum says."""
        listing = self.shelf.listing()
        marks = ((kind, self._mark(listing, f"{file.name}.{kind}")) for kind in DIGESTS)
        kind, mark = next(((kind, mark) for kind, mark in marks if mark), ("", None))
        path = listing.real(beside := f"{file.name}.{kind}") if mark else None
        if not mark or not path:
            raise Rejected(f"{file.name} has lost its checksum")
        with self.shelf.opened(path, mark) as stream:
            stated = re.search(rf"(?<![0-9a-f])[0-9a-f]{{{DIGESTS[kind]}}}(?![0-9a-f])", stream.read(4096).decode("latin-1").lower())
        with file.opened() as stream:
            if stated is None or stated[0] != _digest(stream, kind):
                raise Rejected(f"{file.name} does not match {beside}")

    def _file(self, listing: Listing, name: str) -> File | None:
        path = listing.real(name)
        if path is None:
            raise Rejected(f"{name} leads out of the folder")
        found = listing.found(name)
        if found is None:
            return None
        done = self._mark(listing, f"{name}{self.done}") if self.done else found
        total = next(filter(None, (self._mark(listing, f"{name}.{kind}") for kind in DIGESTS)), None) if self.checksum else found
        ready = max(found.changed / 1e9 + self.settle, *(mark.changed / 1e9 if mark else math.inf for mark in (done, total)))
        vouched = self.checksum or (self.done != "" and done is not None and done.changed >= found.changed)
        return File(name, path, found.size, found.changed, ready, vouched, self.shelf)

    def _mark(self, listing: Listing, name: str) -> Found | None:
        """The file beside another that says something of it; an empty checksum is still being written."""
        found = listing.found(name) if listing.real(name) is not None else None
        return found if found and (found.size or name.endswith(self.done or "/")) else None


class LocalShelf:
    """A folder of this machine, which is also what it lists: every question is asked anew."""

    def __init__(self, path: Path) -> None:
        self._path, self.name = path, path.name

    def listing(self) -> Listing:
        return _LocalListing(self._path, os.listdir(self._path))

    def found(self, path: str) -> Found | None:
        return _found(path)

    @contextmanager
    def opened(self, path: str, found: Found) -> Iterator[BinaryIO]:
        with open(path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW)) as stream:
            yield stream

    def leave(self) -> None:
        """Nothing is held between two files."""


@dataclass(frozen=True, slots=True)
class _LocalListing:
    path: Path
    names: list[str]

    def real(self, name: str) -> str | None:
        real = Path(os.path.realpath(self.path / name))
        return str(real) if real.is_relative_to(os.path.realpath(self.path)) else None

    def found(self, name: str) -> Found | None:
        return _found(self.path / name)


def lines(stream: BinaryIO, longest: int) -> Iterator[bytes]:
    """The lines from where a file stands; one that is longer than `longest` bytes comes in pieces."""
    return iter(lambda: stream.readline(longest), b"")


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """The bytes from where a file stands, some at a time."""
    return iter(lambda: stream.read(_CHUNK), b"")


@contextmanager
def told(name: str) -> Iterator[None]:
    """The operating system's errors as ours: `Unauthorized` for what may not be read, `Transient` for the rest."""
    try:
        yield
    except PermissionError as error:
        raise Unauthorized(f"{name} may not be read") from error
    except OSError as error:
        raise Transient(f"{name} cannot be read: {error.strerror}") from error


def _digest(stream: BinaryIO, kind: str) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    for chunk in chunks(stream):
        digest.update(chunk)
    return digest.hexdigest()


def _found(path: str | Path) -> Found | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return Found(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None
