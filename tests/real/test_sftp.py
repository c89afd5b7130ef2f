"""The files connector against OpenSSH's own server, where Debian's openssh-server is installed."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from middleware.connectors.files import Connector
from middleware.errors import Rejected, Unauthorized
from middleware.settings import Connection
from middleware.testing import secret

from .programs import Unavailable, await_listener, free_port

pytestmark = [pytest.mark.real]

ROWS = [f"MUG-{number}" for number in range(2500)]


@dataclass(frozen=True)
class Sshd:
    """A running server, the folder that it serves and the keys of both sides."""

    folder: Path
    port: int
    host_key: str
    user_key: str

    def connector(self, host_key: str = "") -> Connector:
        options = {
            "folder": f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}{self.folder}",
            "host_keys": [host_key or self.host_key],
            "pattern": {"products": "products*.csv"},
            "id": {"products": "sku"},
            "page": 1000,
        }
        return Connector(Connection("shop-files", "files", credentials={"private_key": secret(self.user_key)}, options=options), None)


def key_pair(file: Path) -> str:
    """The public half of a new key; the private one is in the file."""
    key = Ed25519PrivateKey.generate()
    private = serialization.PrivateFormat.OpenSSH
    file.touch(mode=0o600)
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    program = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if program is None:
        pytest.skip("no sshd: Debian's openssh-server is not installed")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    host, port = key_pair(tmp_path / "host"), free_port()
    (tmp_path / "authorized").write_text(key_pair(tmp_path / "user"), "utf-8")
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {tmp_path}/host",
        f"AuthorizedKeysFile {tmp_path}/authorized",
        "PidFile none",
        "StrictModes no",
        "PermitRootLogin yes",
        "Subsystem sftp internal-sftp",
    ]
    (tmp_path / "config").write_text("\n".join(lines) + "\n", "utf-8")
    folder, log = tmp_path / "feeds", tmp_path / "log"
    folder.mkdir()
    with log.open("wb") as stream:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(tmp_path / "config")], stdout=stream, stderr=stream)
    try:
        await_listener(process, f"ssh://127.0.0.1:{port}", log)
        yield Sshd(folder, port, host, (tmp_path / "user").read_text("utf-8"))
    except Unavailable:
        pytest.skip(f"no sshd: {log.read_text('utf-8').strip().splitlines()[-1:]}")
    finally:
        process.terminate()
        process.wait(10)


def put(folder: Path, name: str) -> None:
    file = folder / name
    file.write_text("sku,price\n" + "".join(f"{sku},9.95\n" for sku in ROWS), "utf-8")
    os.utime(file, (time.time() - 60,) * 2)


def test_a_pull_reads_every_record_page_by_page(sshd):
    put(sshd.folder, "products.csv")
    connector, found, cursor = sshd.connector(), [], ""
    while cursor or not found:
        page = connector.list_records("products", None, cursor)
        found, cursor = found + [record.source_id for record in page.records], page.cursor
    assert found == ROWS


def test_another_host_key_is_refused(sshd):
    with pytest.raises(Unauthorized, match="unknown host key: ssh-ed25519 SHA256:"):
        sshd.connector(paramiko.ECDSAKey.generate().fingerprint).list_records("products", None, "")


def test_a_link_that_leaves_the_folder_is_refused(sshd):
    put(sshd.folder.parent, "outside.csv")
    (sshd.folder / "products.csv").symlink_to("../outside.csv")
    with pytest.raises(Rejected, match=r"products.csv leads out of the folder"):
        sshd.connector().list_records("products", None, "")
