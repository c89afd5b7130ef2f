"""The files connector on a folder behind an SFTP server, which runs in this process and is spoken to over a real socket."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import paramiko
import pytest

from middleware import connectors
from middleware.connectors.files import Connector
from middleware.errors import Rejected, Transient, Unauthorized
from middleware.ports import Page, Record
from middleware.settings import Connection
from middleware.simulators.sftp import SftpSimulator
from middleware.testing import secret

PAYLOADS = Path(__file__).parent.parent / "payloads" / "files"
HEAD = b"sku,price\n"
MUG_1 = Record("MUG-1", b'{"sku":"MUG-1","price":"9.95"}')
MUG_2 = Record("MUG-2", b'{"sku":"MUG-2","price":"10"}')
TWO = HEAD + b"MUG-1,9.95\nMUG-2,10\n"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies are kept while a pull runs."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def server(tmp_path: Path, temporary: Path) -> Iterator[SftpSimulator]:
    (tmp_path / "served" / "feeds").mkdir(parents=True)
    with SftpSimulator(tmp_path / "served") as simulator:
        yield simulator


@pytest.fixture
def folder(server: SftpSimulator) -> Path:
    return server.folder / "feeds"


def put(folder: Path, name: str, data: bytes, age: float = 60.0) -> Path:
    file = folder / name
    file.write_bytes(data)
    at = time.time() - age
    os.utime(file, (at, at))
    return file


def configured(server: SftpSimulator, credentials: dict[str, str] | None = None, **options: Any) -> Connection:
    given: dict[str, Any] = {
        "folder": server.url("/feeds"),
        "host_keys": [server.host_key.fingerprint],
        "pattern": {"products": "products*"},
        "id": {"products": "sku"},
        **options,
    }
    given["pattern"] = {"products": options.get("pattern", "products*.csv")}
    secrets = {name: secret(value) for name, value in (credentials or {"password": server.password}).items()}
    return Connection("shop-files", "files", credentials=secrets, options=given, timeout=5.0)


def source(server: SftpSimulator, credentials: dict[str, str] | None = None, **options: Any) -> Connector:
    return Connector(configured(server, credentials, **options), None)


def pages(connector: Connector) -> list[Page]:
    found, cursor = [], ""
    while True:
        page = connector.list_records("products", None, cursor)
        found.append(page)
        cursor = page.cursor
        if not cursor:
            return found


def everything(connector: Connector) -> list[Record]:
    return [record for page in pages(connector) for record in page.records]


def refused(connector: Connector, error: type[Exception] = Rejected, cursor: str = "") -> str:
    with pytest.raises(error) as caught:
        connector.list_records("products", None, cursor)
    return str(caught.value)


@pytest.mark.parametrize("name", ["products.csv", "stock.jsonl", "catalog.xml"])
def test_a_file_gives_the_same_pages_as_in_a_folder_of_this_machine(server, folder, name):
    put(folder, name, (PAYLOADS / name).read_bytes())
    options = {"pattern": name, "record_tag": "item", "page": 1, "id": {"products": "sku" if name.endswith("csv") else "id"}}
    given = {"folder": str(folder), **options, "pattern": {"products": name}}
    here = Connector(Connection("shop-files", "files", options=given), None)
    assert everything(source(server, **options)) == everything(here)


def test_a_pull_is_one_connection_and_leaves_no_copy_behind(server, folder, temporary):
    put(folder, "products.csv", TWO)
    put(folder, "products.csv.sha256", hashlib.sha256(TWO).hexdigest().encode())
    connector = source(server, page=1, checksum=True)
    first = connector.list_records("products", None, "")
    assert len(list(temporary.iterdir())) == 1
    second = connector.list_records("products", None, first.cursor)
    assert (first.records, second) == ((MUG_1,), Page((MUG_2,)))
    assert (server.connections, list(temporary.iterdir())) == (1, [])


def test_a_workbook_is_read_on_where_it_was(server, folder):
    book = openpyxl.Workbook()
    for row in (["sku", "price"], ["MUG-1", "9.95"], ["MUG-2", "10"]):
        book.active.append(row)
    packed = io.BytesIO()
    book.save(packed)
    put(folder, "products.xlsx", packed.getvalue())
    assert everything(source(server, pattern="products.xlsx", page=1)) == [MUG_1, MUG_2]
    assert server.connections == 1


def test_a_pull_whose_connection_broke_goes_on_over_another(server, folder):
    put(folder, "products.csv", TWO)
    connector = source(server, page=1)
    first = connector.list_records("products", None, "")
    server.hang_up()
    try:
        second = connector.list_records("products", None, first.cursor)
    except Transient:  # the end was not noticed before the question
        second = connector.list_records("products", None, first.cursor)
    assert (first.records, second.records, server.connections) == ((MUG_1,), (MUG_2,), 2)


def test_an_unknown_host_key_is_refused_before_a_password_is_told(server, folder):
    other = paramiko.ECDSAKey.generate()
    told = f"the server shows an unknown host key: ecdsa-sha2-nistp256 {server.host_key.fingerprint}"
    assert refused(source(server, host_keys=[other.fingerprint]), Unauthorized) == told
    line = f"{other.get_name()} {other.get_base64()} root@elsewhere"
    assert refused(source(server, host_keys=[line]), Unauthorized) == told
    assert server.connections == 0


def test_a_host_key_may_be_given_whole_and_one_of_several_is_enough(server, folder):
    put(folder, "products.csv", TWO)
    line = f"{server.host_key.get_name()} {server.host_key.get_base64()} root@here"
    assert everything(source(server, host_keys=[paramiko.ECDSAKey.generate().fingerprint, line])) == [MUG_1, MUG_2]


def test_wrong_credentials_pause_the_connection(server, folder):
    assert refused(source(server, {"password": "wrong"}), Unauthorized) == "the server refuses the login"
    assert refused(source(server, {"private_key": "wrong"}), Unauthorized).startswith("the private key cannot be read")
    key = io.StringIO()
    paramiko.ECDSAKey.generate().write_private_key(key)
    assert refused(source(server, {"private_key": key.getvalue()}), Unauthorized) == "the server refuses the login"
    assert server.connections == 0


@pytest.mark.parametrize("passphrase", ["", "open sesame"])
@pytest.mark.parametrize("kind", [paramiko.ECDSAKey, paramiko.RSAKey])
def test_a_private_key_does_in_place_of_a_password(server, folder, kind, passphrase):
    put(folder, "products.csv", TWO)
    key = paramiko.RSAKey.generate(2048) if kind is paramiko.RSAKey else kind.generate()
    server.authorized.append(key)
    text = io.StringIO()
    key.write_private_key(text, passphrase or None)
    credentials = {"private_key": text.getvalue().strip()} | ({"passphrase": passphrase} if passphrase else {})
    assert everything(source(server, credentials)) == [MUG_1, MUG_2]


def test_a_file_that_is_still_being_written_is_left_for_the_next_pull(server, folder):
    put(folder, "products.csv", HEAD, age=1)
    assert refused(source(server, settle=30), Transient).startswith("products.csv is still being written")
    put(folder, "products.csv", TWO)
    assert refused(source(server, done=".done"), Transient).startswith("products.csv is still being written")
    put(folder, "products.csv.done", b"")
    assert everything(source(server, done=".done")) == [MUG_1, MUG_2]


def test_a_file_must_match_its_checksum(server, folder):
    put(folder, "products.csv", TWO)
    put(folder, "products.csv.sha256", hashlib.sha256(HEAD).hexdigest().encode())
    assert refused(source(server, checksum=True)) == "products.csv does not match products.csv.sha256"


def test_a_file_that_shrinks_or_changes_while_it_is_copied_is_noticed(server, folder, temporary):
    for other in (HEAD, TWO + b"MUG-3,1\n"):
        file = put(folder, "products.csv", TWO)
        server.on_open = lambda name, file=file, other=other: file.write_bytes(other)
        assert refused(source(server)) == "products.csv was changed while it was read"
    assert list(temporary.iterdir()) == []


def test_a_file_that_is_replaced_between_two_pages_is_noticed(server, folder):
    put(folder, "products.csv", TWO)
    connector = source(server, page=1)
    cursor = connector.list_records("products", None, "").cursor
    put(folder, "products.csv", TWO, age=30)
    assert refused(connector, cursor=cursor) == "products.csv was changed while it was read"


def test_links_that_leave_the_folder_are_refused(server, folder):
    put(server.folder, "outside.csv", TWO)
    put(folder, "current.csv", HEAD + b"MUG-1,9.95\n")
    (folder / "products.csv").symlink_to("current.csv")
    assert everything(source(server)) == [MUG_1]
    (folder / "products-2.csv").symlink_to(server.folder / "outside.csv")
    assert refused(source(server)) == "products-2.csv leads out of the folder"


def test_a_file_that_turns_into_a_link_is_not_followed(server, folder):
    put(server.folder, "outside.csv", TWO)
    file = put(folder, "products.csv", TWO)
    connector = source(server)
    (listed,) = connector._folder.matching("products.csv")
    file.unlink()
    file.symlink_to(server.folder / "outside.csv")
    with pytest.raises(OSError, match="Too many levels"), listed.opened():
        pass
    connector._folder.shelf.leave()


def test_what_may_not_be_read_and_what_is_not_there_say_so(server, folder):
    put(folder, "products.csv", TWO)
    server.refused.add("products.csv")
    assert refused(source(server), Unauthorized) == "products.csv may not be read"
    assert refused(source(server, folder=server.url("/nowhere")), Transient).startswith("nowhere cannot be read")
    assert refused(source(server, pattern="stock.csv"), Transient) == "no file is called stock.csv"


def test_a_server_that_says_nothing_is_left_within_the_time_out(tmp_path):
    with SftpSimulator(tmp_path, deaf=True) as server:
        connection = configured(server)
        quick = Connection("shop-files", "files", credentials=connection.credentials, options=connection.options, timeout=0.3)
        assert "SFTP server" in refused(Connector(quick, None), Transient)
    assert refused(source(server), Transient) == "the SFTP server cannot be reached, or refused without a reason"


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ({"folder": "sftp://127.0.0.1/feeds"}, "options.folder: expected sftp://user@host:port/path"),
        ({"folder": "sftp://u@host"}, "options.folder: expected sftp://user@host:port/path"),
        ({"folder": "sftp://u@host:x/feeds"}, "options.folder: expected sftp://user@host:port/path"),
        ({"folder": "sftp://u:secret@host/feeds"}, "options.folder: expected sftp://user@host:port/path, and the password among"),
        ({"host_keys": []}, "options.host_keys: missing; expected the server's host key or its fingerprint"),
        ({"host_keys": ["MD5:aa:bb"]}, "options.host_keys: expected lines like"),
        ({"host_keys": [7]}, "options.host_keys: expected lines like"),
    ],
)
def test_options_that_cannot_work_are_refused_at_once(server, options, mistake):
    (line,) = connectors.mistakes({"shop-files": configured(server, **options)})
    assert line.startswith(f"connections.shop-files.{mistake}")
    assert "secret@" not in line


def test_a_server_needs_a_credential_and_a_folder_of_this_machine_none(server):
    given = configured(server)
    (line,) = connectors.mistakes({"shop-files": Connection("shop-files", "files", options=given.options)})
    assert line == "connections.shop-files.options.folder: an SFTP server needs the credential password or private_key"
    assert connectors.mistakes({"shop-files": given}) == []
