"""A folder on an SFTP server: one connection for each pull, each file copied here once and whole before it is read.

https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02 - the version that servers speak: times are whole seconds.
"""

from __future__ import annotations

import errno
import posixpath
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import paramiko

from middleware.errors import Rejected, Transient, Unauthorized
from middleware.secret import Secret
from middleware.wire.folder import Found
from middleware.wire.ssh import Address, connected

MOST_NAMES = 100_000
"""Entries of a folder beyond which it is refused."""
_AT_ONCE = 64
"""Requests under way while a file is copied, of 32 kB each."""
_PIECE = 32_768


class SftpShelf:
    """A folder there. Each thread has a connection of its own, from its first question until `leave`; each file is copied once in
    that time, and only whole."""

    def __init__(self, place: Address, credentials: Mapping[str, Secret], timeout: float) -> None:
        """`credentials` may hold password, private_key and passphrase; `timeout` is seconds for which the server may be silent."""
        self.name = posixpath.basename(place.path.rstrip("/")) or place.host
        self._place, self._credentials, self._timeout = place, credentials, timeout
        self._local = threading.local()

    def listing(self) -> _Listing:
        with self._visiting() as visit:
            root = visit.client.normalize(self._place.path)
            entries: dict[str, paramiko.SFTPAttributes] = {}
            for entry in visit.client.listdir_iter(root):
                if "/" not in entry.filename and "\0" not in entry.filename:
                    entries[entry.filename] = entry
                if len(entries) > MOST_NAMES:
                    raise Rejected(f"{self.name} holds more than {MOST_NAMES} files")
            return _Listing(self, root, entries)

    def found(self, path: str) -> Found | None:
        with self._visiting() as visit:
            try:
                return _regular(visit.client.stat(path))
            except FileNotFoundError:
                return None

    def real(self, path: str) -> str:
        """The path without links."""
        with self._visiting() as visit:
            return visit.client.normalize(path)

    @contextmanager
    def opened(self, path: str, found: Found) -> Iterator[BinaryIO]:
        with self._visiting() as visit:
            copy = visit.copies.get((path, found))
            if copy is None:
                copy = Path(visit.folder.name) / str(len(visit.copies))
                _copy(visit.client, path, found, copy)
                visit.copies[(path, found)] = copy
        with copy.open("rb") as stream:
            yield stream

    def leave(self) -> None:
        visit = getattr(self._local, "visit", None)
        self._local.visit = None
        if visit is not None:
            visit.close()

    @contextmanager
    def _visiting(self) -> Iterator[_Visit]:
        with _translated():
            visit: _Visit | None = getattr(self._local, "visit", None)
            if visit is None or not visit.transport.is_active():
                self.leave()
                visit = self._local.visit = self._connected()
            yield visit

    def _connected(self) -> _Visit:
        transport = connected(self._place, self._credentials, self._timeout)
        try:
            client = paramiko.SFTPClient.from_transport(transport)
            channel = client.get_channel() if client else None
            if client is None or channel is None:
                raise Transient("the SFTP server opens no channel")
            channel.settimeout(self._timeout)
        except BaseException:
            transport.close()
            raise
        return _Visit(transport, client)


@dataclass(slots=True)
class _Visit:
    """A connection, and the files that were copied over it."""

    transport: paramiko.Transport
    client: paramiko.SFTPClient
    folder: TemporaryDirectory[str] = field(default_factory=lambda: TemporaryDirectory(prefix="waybill-sftp-"))
    copies: dict[tuple[str, Found], Path] = field(default_factory=dict)

    def close(self) -> None:
        with suppress(Exception):  # a broken connection is closed already
            self.client.close()
        self.transport.close()
        self.folder.cleanup()


@dataclass(frozen=True, slots=True)
class _Listing:
    """Only links are asked about one by one."""

    shelf: SftpShelf
    root: str
    entries: Mapping[str, paramiko.SFTPAttributes]

    @property
    def names(self) -> Sequence[str]:
        return list(self.entries)

    def real(self, name: str) -> str | None:
        path = posixpath.join(self.root, name)
        if not self._is_link(name):
            return path
        path = self.shelf.real(path)
        return path if path.startswith(self.root.rstrip("/") + "/") else None

    def found(self, name: str) -> Found | None:
        if name not in self.entries:
            return None
        return self.shelf.found(posixpath.join(self.root, name)) if self._is_link(name) else _regular(self.entries[name])

    def _is_link(self, name: str) -> bool:
        entry = self.entries.get(name)
        return entry is not None and stat.S_ISLNK(entry.st_mode or 0)


def _regular(found: paramiko.SFTPAttributes) -> Found | None:
    if not stat.S_ISREG(found.st_mode or 0):
        return None
    if found.st_size is None or found.st_mtime is None:
        raise Rejected("the server tells no size or time of a file")
    return Found(found.st_size, found.st_mtime * 1_000_000_000)


def _copy(client: paramiko.SFTPClient, path: str, found: Found, target: Path) -> None:
    """Exactly as many bytes as were listed; raises `Rejected` when there are fewer, or other ones."""
    if stat.S_ISLNK(client.lstat(path).st_mode or 0):
        raise OSError(errno.ELOOP, "Too many levels of symbolic links")
    name, left = posixpath.basename(path), found.size
    with client.open(path, "rb") as source, target.open("wb") as copy:
        if left:
            source.prefetch(left, max_concurrent_requests=_AT_ONCE)
        while left:
            piece = source.read(min(left, _PIECE))
            if not piece:
                raise Rejected(f"{name} was changed while it was read")
            left -= copy.write(piece)
    if _regular(client.stat(path)) != found:
        raise Rejected(f"{name} was changed while it was read")


@contextmanager
def _translated() -> Iterator[None]:
    """Their exceptions as ours; what is an OSError of a file stays one."""
    try:
        yield
    except paramiko.AuthenticationException as error:
        raise Unauthorized("the server refuses the login", field="password") from error
    except TimeoutError as error:
        raise Transient("the SFTP server does not answer in time") from error
    except (paramiko.SSHException, EOFError) as error:
        raise Transient("the connection to the SFTP server broke") from error
    except UnicodeDecodeError as error:
        raise Rejected("the SFTP server tells a name that is not UTF-8") from error
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES, errno.ELOOP):
            raise
        raise Transient("the SFTP server cannot be reached, or refused without a reason") from error
