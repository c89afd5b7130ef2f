"""An SFTP server of this process over one folder, which paramiko speaks: for tests of what reads from one."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import paramiko
from paramiko import common
from paramiko.sftp import SFTP_PERMISSION_DENIED


class SftpSimulator:
    """Serves `folder` as `/` to one user, by password and by public key, with a host key of its own. Use it as a context
    manager. `connections` counts the logins; `refused` are names that may not
    be read, `on_open` is called with the name of a file before it is opened, `deaf` makes it accept and never speak."""

    def __init__(self, folder: Path, *, user: str = "feeds", password: str = "sftp-password", deaf: bool = False) -> None:
        self.folder, self.user, self.password, self.deaf = folder, user, password, deaf
        self.host_key = paramiko.ECDSAKey.generate()
        self.authorized: list[paramiko.PKey] = []
        self.connections = 0
        self.refused: set[str] = set()
        self.on_open: Callable[[str], None] = lambda name: None
        self._transports: list[paramiko.Transport] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def url(self, path: str = "/") -> str:
        """The address of a folder below `folder`."""
        return f"sftp://{self.user}@127.0.0.1:{self.port}{path}"

    def hang_up(self) -> None:
        """Break every connection."""
        for transport in self._transports:
            transport.close()

    def __enter__(self) -> SftpSimulator:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        self.hang_up()
        for sock in self._sockets:
            sock.close()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            if self.deaf:
                continue
            transport = paramiko.Transport(sock)
            transport.add_server_key(self.host_key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, simulator=self)
            with suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(server=_Doorkeeper(self), event=threading.Event())
            self._transports.append(transport)


class _Doorkeeper(paramiko.ServerInterface):
    def __init__(self, simulator: SftpSimulator) -> None:
        self._simulator = simulator

    def get_allowed_auths(self, username: str) -> str:
        return "password,publickey"

    def check_auth_password(self, username: str, password: str) -> int:
        return self._verdict((username, password) == (self._simulator.user, self._simulator.password))

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._verdict(username == self._simulator.user and key in self._simulator.authorized)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return common.OPEN_SUCCEEDED if kind == "session" else common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def _verdict(self, is_known: bool) -> int:
        self._simulator.connections += is_known
        return common.AUTH_SUCCESSFUL if is_known else common.AUTH_FAILED


class _Files(paramiko.SFTPServerInterface):
    """Reads only. Paths are below the folder; links lead where they lead on this machine."""

    def __init__(self, server: paramiko.ServerInterface, *, simulator: SftpSimulator) -> None:
        super().__init__(server)
        self._root, self._simulator = simulator.folder, simulator

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        try:
            return [paramiko.SFTPAttributes.from_stat(os.lstat(file), file.name) for file in self._at(path).iterdir()]
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        return self._attributes(path, follow=True)

    def lstat(self, path: str) -> paramiko.SFTPAttributes | int:
        return self._attributes(path, follow=False)

    def canonicalize(self, path: str) -> str:
        real, root = self._at(path).resolve(), self._root.resolve()
        return "/" + str(real.relative_to(root)).removeprefix(".") if real.is_relative_to(root) else str(real)

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        if Path(path).name in self._simulator.refused:
            return int(SFTP_PERMISSION_DENIED)
        self._simulator.on_open(Path(path).name)
        handle = paramiko.SFTPHandle(flags)
        try:
            handle.readfile = self._at(path).open("rb")  # type: ignore[attr-defined]
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return handle

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def _attributes(self, path: str, *, follow: bool) -> paramiko.SFTPAttributes | int:
        try:
            return paramiko.SFTPAttributes.from_stat(os.stat(self._at(path), follow_symlinks=follow))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
