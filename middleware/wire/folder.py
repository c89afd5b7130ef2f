"""The files of a folder: which of a pattern may be read now, and whether one is what it was and what its checksum says."""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from middleware.errors import Rejected, Transient, Unauthorized

DIGESTS = {"sha256": 64, "md5": 32}
"""Checksums that may stand beside a file, the better one first, and their hexadecimal digits."""
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class File:
    """One file. `changed` is nanoseconds since 1970; `ready` is the second from which it may be read: it has settled and its
    marks are beside it; `vouched` says that a mark tells its end, so that its last line needs none."""

    name: str
    path: Path
    size: int
    changed: int
    ready: float
    vouched: bool

    @contextmanager
    def opened(self) -> Iterator[BufferedReader]:
        """The file's bytes; a link that took its place is not followed. Raises OSError."""
        with open(self.path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW)) as stream:
            yield stream

    def same(self) -> None:
        """Raises `Rejected` when the file is no longer the one that was listed."""
        now = _stat(self.path)
        if now is None or (now.st_size, now.st_mtime_ns) != (self.size, self.changed):
            raise Rejected(f"{self.name} was changed while it was read")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder and what makes a file in it readable: `settle` seconds of rest, a `checksum` beside it, a marker `done`."""

    path: Path
    settle: float = 5
    checksum: bool = False
    done: str = ""

    def matching(self, pattern: str) -> list[File]:
        """Every regular file of the pattern, by name; raises `Rejected` for one that leads out of the folder."""
        with told(self.path.name):
            names = sorted(name for name in os.listdir(self.path) if not name.startswith(".") and fnmatchcase(name, pattern))
            return [file for name in names if (file := self._file(name)) is not None]

    def compare(self, file: File) -> None:
        """Raises `Rejected` when a file is not what its checksum says."""
        kind = next((kind for kind in DIGESTS if self._mark(f"{file.name}.{kind}")), "")
        if not kind:
            raise Rejected(f"{file.name} has lost its checksum")
        beside = self.path / f"{file.name}.{kind}"
        with beside.open("rb") as stream:
            stated = re.search(rf"(?<![0-9a-f])[0-9a-f]{{{DIGESTS[kind]}}}(?![0-9a-f])", stream.read(4096).decode("latin-1").lower())
        with file.opened() as stream:
            if stated is None or stated[0] != hashlib.file_digest(stream, kind).hexdigest():
                raise Rejected(f"{file.name} does not match {beside.name}")

    def _file(self, name: str) -> File | None:
        if not self._holds(name):
            raise Rejected(f"{name} leads out of the folder")
        found = _stat(self.path / name)
        if found is None:
            return None
        done = self._mark(f"{name}{self.done}") if self.done else found
        total = next(filter(None, (self._mark(f"{name}.{kind}") for kind in DIGESTS)), None) if self.checksum else found
        ready = max(found.st_mtime + self.settle, *(mark.st_mtime if mark else math.inf for mark in (done, total)))
        vouched = self.checksum or (self.done != "" and done is not None and done.st_mtime_ns >= found.st_mtime_ns)
        return File(name, Path(os.path.realpath(self.path / name)), found.st_size, found.st_mtime_ns, ready, vouched)

    def _holds(self, name: str) -> bool:
        return Path(os.path.realpath(self.path / name)).is_relative_to(os.path.realpath(self.path))

    def _mark(self, name: str) -> os.stat_result | None:
        """The file beside another that says something of it; an empty checksum is still being written."""
        found = _stat(self.path / name) if self._holds(name) else None
        return found if found and (found.st_size or name.endswith(self.done or "/")) else None


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


def _stat(path: Path) -> os.stat_result | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None
