"""The files connector on real files of every format, whole, broken, half written and replaced while they are read."""

import hashlib
import json
import os
import time
import tracemalloc
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings import elements, files
from middleware import connectors
from middleware.connectors.files import Connector
from middleware.errors import Rejected, Transient, Unauthorized, Unreadable
from middleware.ports import Page, Record
from middleware.settings import Connection

PAYLOADS = Path(__file__).parent.parent / "payloads" / "files"
HEAD = b"sku,price\n"
MUG_1 = Record("MUG-1", b'{"sku":"MUG-1","price":"9.95"}')
MUG_2 = Record("MUG-2", b'{"sku":"MUG-2","price":"10"}')


def source(folder, pattern="products*.csv", id="sku", **options):
    which = {"products": options.pop("which")} if "which" in options else {}
    given = {"folder": str(folder), "pattern": {"products": pattern}, "id": {"products": id}, "which": which, **options}
    return Connector(Connection("shop-files", "files", options=given), None)


def put(folder, name, data, age=60.0):
    """A file that was last changed `age` seconds ago."""
    file = folder / name
    file.write_bytes(data)
    at = time.time() - age
    os.utime(file, (at, at))
    return file


def copied(folder, name):
    return put(folder, name, (PAYLOADS / name).read_bytes())


def pages(connector, since=None, kind="products"):
    found, cursor = [], ""
    while True:
        page = connector.list_records(kind, since, cursor)
        found.append(page)
        cursor = page.cursor
        if not cursor:
            return found


def everything(connector, since=None):
    return [record for page in pages(connector, since) for record in page.records]


def decoded(connector, since=None):
    return {record.source_id: connector.decode_record("products", record.raw) for record in everything(connector, since)}


def unreadable(connector, raw):
    with pytest.raises(Unreadable) as caught:
        connector.decode_record("products", raw)
    return str(caught.value)


def refused(connector, error=Rejected, cursor=""):
    with pytest.raises(error) as caught:
        connector.list_records("products", None, cursor)
    return caught.value.reason


def workbook(folder, rows, name="products.xlsx", sheet="Prices", age=60.0):
    book = openpyxl.Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    book.save(folder / name)
    at = time.time() - age
    os.utime(folder / name, (at, at))


def test_a_csv_file_gives_its_rows_as_objects_in_the_order_of_the_header(tmp_path):
    copied(tmp_path, "products.csv")
    connector = source(tmp_path)
    assert pages(connector) == [
        Page(
            (
                Record("MUG-1", b'{"sku":"MUG-1","title":"Mug, blue","price":"9.95","note":"two\\r\\nlines and a \\"quote\\""}'),
                Record("MUG-2", '{"sku":"MUG-2","title":"Tasse groß","price":"10","note":""}'.encode()),
                Record("MUG-3", b'{"sku":"MUG-3","title":"5\\" plate","price":"12.50","note":"x"}'),
            )
        )
    ]
    assert decoded(connector)["MUG-1"] == {"sku": "MUG-1", "title": "Mug, blue", "price": "9.95", "note": 'two\r\nlines and a "quote"'}


def test_json_lines_give_the_line_itself_and_fractions_exactly(tmp_path):
    copied(tmp_path, "stock.jsonl")
    connector = source(tmp_path, "stock.jsonl", "id")
    lines = [line for line in (PAYLOADS / "stock.jsonl").read_bytes().splitlines() if line]
    assert pages(connector) == [Page(tuple(Record(name, line) for name, line in zip("789", lines, strict=True)))]
    assert decoded(connector) == {
        "7": {"id": 7, "sku": "MUG-1", "quantity": Decimal("12.50"), "where": {"store": "Berlin"}},
        "8": {"id": "8", "sku": "MUG-2", "quantity": 0},
        "9": {"id": "9", "sku": "MUG-Ä", "quantity": 3, "tags": ["a", "b"]},
    }


def test_xml_gives_every_outermost_record_and_decodes_to_nested_data(tmp_path):
    copied(tmp_path, "catalog.xml")
    connector = source(tmp_path, "catalog.xml", "id", record_tag="item")
    assert pages(connector) == [
        Page(
            (
                Record(
                    "MUG-1",
                    b'<item state="on"><g:id>MUG-1</g:id><title>Mug &amp; saucer</title><g:price currency="EUR">9.95</g:price></item>',
                ),
                Record(
                    "MUG-2",
                    "<item><g:id>MUG-2</g:id><title>Tasse groß</title><image>a.jpg</image><image>b.jpg</image><empty /></item>".encode(),
                ),
                Record("PLATE-1", b"<item><g:id>PLATE-1</g:id><title>A <b>big</b> plate</title><part><item>inner</item></part></item>"),
            )
        )
    ]
    assert decoded(connector) == {
        "MUG-1": {"@state": "on", "id": "MUG-1", "title": "Mug & saucer", "price": {"@currency": "EUR", "#text": "9.95"}},
        "MUG-2": {"id": "MUG-2", "title": "Tasse groß", "image": ["a.jpg", "b.jpg"], "empty": ""},
        "PLATE-1": {"id": "PLATE-1", "title": {"b": "big", "#text": "A  plate"}, "part": {"item": "inner"}},
    }


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("<p sku='A'/>", "A"),
        ("<p><sku lang='de'>A</sku></p>", "A"),
        ("<p sku='A'><sku>B</sku></p>", "B"),
        ("<p><x:sku> A </x:sku></p>", "A"),
        ("<p/>", "row:1"),
        ("<p>text</p>", "row:1"),
    ],
)
def test_an_xml_id_is_a_child_or_an_attribute(tmp_path, record, expected):
    put(tmp_path, "products.xml", f"<all>{record}</all>".encode())
    assert [found.source_id for found in everything(source(tmp_path, "products.xml", record_tag="p"))] == [expected]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_xml_is_read_in_the_encoding_that_it_declares_at_any_page_size(tmp_path, encoding):
    declared = encoding.removesuffix("-sig")
    records = "".join(f"<p><sku>Ä{n}</sku></p>" for n in range(5))
    text = f'<?xml version="1.0" encoding="{declared}"?><größe><teil>{records}</teil></größe>'
    put(tmp_path, "products.xml", text.encode(encoding))
    raws = [Record(f"Ä{n}", f"<p><sku>Ä{n}</sku></p>".encode()) for n in range(5)]
    assert [everything(source(tmp_path, "products.xml", record_tag="p", page=size)) for size in (1, 2, 9)] == [raws] * 3


def test_a_sheet_gives_numbers_as_exact_decimal_text(tmp_path):
    rows = [
        ["sku", "price", "stock", "since", "on", "note", None],
        [1001, 19.9, 3, datetime(2026, 11, 1, 8, 30), True, None],
        [None] * 6,
        ["MUG-2", 1e-7, 1e21, None, False, "x"],
        ["MUG-3", "=1/0"],
        ["MUG-4", "#REF!"],
        ["MUG-5", 1, 2, None, None, None, None, "beyond"],
    ]
    workbook(tmp_path, rows)
    connector = source(tmp_path, "products.xlsx")
    records = everything(connector)
    assert [record.source_id for record in records] == ["1001", "MUG-2", "MUG-3", "MUG-4", "MUG-5"]
    assert [connector.decode_record("products", record.raw) for record in records[:3]] == [
        {"sku": "1001", "price": "19.9", "stock": "3", "since": "2026-11-01T08:30:00", "on": True, "note": None},
        {"sku": "MUG-2", "price": "0.0000001", "stock": "1000000000000000000000", "since": None, "on": False, "note": "x"},
        {"sku": "MUG-3", "price": None, "stock": None, "since": None, "on": None, "note": None},
    ]
    assert unreadable(connector, records[3].raw) == "price: the sheet shows an error"
    assert unreadable(connector, records[4].raw) == "has 8 cells, not as many as the header"


def test_a_sheet_is_chosen_by_its_name(tmp_path):
    book = openpyxl.Workbook()
    book.create_sheet("Prices").append(["sku"])
    book["Prices"].append(["MUG-1"])
    book.save(tmp_path / "products.xlsx")
    connector = source(tmp_path, "products.xlsx", sheet="Prices", settle=0)
    assert everything(connector) == [Record("MUG-1", b'{"sku":"MUG-1"}')]
    assert refused(source(tmp_path, "products.xlsx", sheet="Stock", settle=0)) == "products.xlsx has no sheet 'Stock'"
    assert refused(source(tmp_path, "products.xlsx", settle=0)) == "products.xlsx has no column 'sku'"


@pytest.mark.parametrize(
    ("delimiter", "text"), [(";", "sku;price\nMUG-1;9.95\n"), ("auto", 'sku\t"a,b,c"\nMUG-1\t9.95\n'), ("auto", "sku|a\nMUG-1|9,95\n")]
)
def test_the_delimiter_is_given_or_found_in_the_header(tmp_path, delimiter, text):
    put(tmp_path, "products.csv", text.encode())
    (record,) = everything(source(tmp_path, delimiter=delimiter))
    assert (record.source_id, len(json.loads(record.raw))) == ("MUG-1", 2)


def test_the_encoding_is_given(tmp_path):
    put(tmp_path, "products.csv", "sku,title\nMUG-1,Größe €\n".encode("cp1252"))
    assert everything(source(tmp_path, encoding="windows-1252")) == [Record("MUG-1", '{"sku":"MUG-1","title":"Größe €"}'.encode())]
    put(tmp_path, "stock.jsonl", '{"sku":"MUG-Ä"}\n'.encode("latin-1"))
    assert everything(source(tmp_path, "stock.jsonl", encoding="latin-1")) == [Record("MUG-Ä", '{"sku":"MUG-Ä"}'.encode())]


def test_an_unchanged_record_has_the_same_bytes_in_another_file(tmp_path):
    put(tmp_path, "products-1.csv", HEAD + b"MUG-1,9.95\nMUG-2,10\n")
    before = everything(source(tmp_path))
    put(tmp_path, "products-2.csv", b'\xef\xbb\xbf"sku","price"\r\nMUG-2,"10"\r\n"MUG-1",9.95', age=30)
    put(tmp_path, "products-2.csv.done", b"", age=20)
    assert everything(source(tmp_path, done=".done")) == before[::-1]


def test_the_newest_file_is_the_whole_feed(tmp_path):
    put(tmp_path, "products-2.csv", HEAD + b"MUG-1,9.95\n", age=50)
    put(tmp_path, "products-1.csv", HEAD + b"MUG-2,10\n", age=40)
    put(tmp_path, ".products-3.csv", HEAD, age=30)
    (tmp_path / "products-4.csv").mkdir()
    assert pages(source(tmp_path)) == [Page((MUG_2,))]


def test_all_files_are_read_in_the_order_of_their_names(tmp_path):
    put(tmp_path, "products-2.csv", HEAD + b"MUG-2,10\n", age=50)
    put(tmp_path, "products-1.csv", HEAD + b"MUG-1,9.95\n", age=40)
    put(tmp_path, "products-3.csv", HEAD, age=30)
    connector = source(tmp_path, which="all")
    assert [page.records for page in pages(connector)] == [(MUG_1,), (MUG_2,), ()]


def test_files_that_are_not_newer_are_skipped(tmp_path):
    put(tmp_path, "products-1.csv", HEAD + b"MUG-1,9.95\n", age=600)
    put(tmp_path, "products-2.csv", HEAD + b"MUG-2,10\n", age=300)
    now = datetime.now(UTC)
    every = source(tmp_path, which="all")
    assert everything(every, now - timedelta(seconds=900)) == [MUG_1, MUG_2]
    assert everything(every, now - timedelta(seconds=400)) == [MUG_2]
    assert pages(every, now - timedelta(seconds=100)) == [Page(())]
    assert pages(source(tmp_path), now - timedelta(seconds=100)) == [Page(())]
    assert pages(source(tmp_path, "other*.csv"), now) == [Page(())]


def test_a_file_that_was_not_ready_at_the_watermark_is_not_missed(tmp_path):
    put(tmp_path, "products.csv", HEAD + b"MUG-1,9.95\n", age=600)
    put(tmp_path, "products.csv.done", b"", age=100)
    since = datetime.now(UTC) - timedelta(seconds=200)
    assert everything(source(tmp_path, done=".done"), since) == [MUG_1]
    put(tmp_path, "products.csv", HEAD + b"MUG-1,9.95\n", age=203)
    assert everything(source(tmp_path), since) == [MUG_1]


def test_a_file_that_is_still_being_written_is_left_for_the_next_pull(tmp_path):
    put(tmp_path, "products-2.csv", HEAD + b"MUG-2,10\n", age=1)
    assert refused(source(tmp_path), Transient) == "products-2.csv is still being written, or waits for its checksum or marker"
    put(tmp_path, "products-1.csv", HEAD + b"MUG-1,9.95\n")
    assert [everything(source(tmp_path, settle=settle)) for settle in (5, 0)] == [[MUG_1], [MUG_2]]


def test_a_folder_without_a_file_or_without_itself_is_no_empty_feed(tmp_path):
    assert refused(source(tmp_path), Transient) == "no file is called products*.csv"
    assert refused(source(tmp_path / "gone"), Transient) == "gone cannot be read: No such file or directory"


def test_a_file_waits_for_its_marker(tmp_path):
    put(tmp_path, "products.csv", HEAD + b"MUG-1,9.95\nMUG-2,10")
    connector = source(tmp_path, done=".done")
    assert refused(connector, Transient).startswith("products.csv is still being written, or waits")
    put(tmp_path, "products.csv.done", b"", age=10)
    assert everything(connector) == [MUG_1, MUG_2]  # the marker vouches for the last line
    put(tmp_path, "products.csv.done", b"", age=90)
    assert refused(connector) == "products.csv has a last line without an end: it may be cut off"


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_file_waits_for_its_checksum_and_must_match_it(tmp_path, kind):
    data = HEAD + b"MUG-1,9.95\nMUG-2,10"
    put(tmp_path, "products.csv", data)
    connector = source(tmp_path, checksum=True)
    put(tmp_path, f"products.csv.{kind}", b"")
    assert refused(connector, Transient).startswith("products.csv is still being written, or waits")
    digest = hashlib.new(kind, data).hexdigest()
    for line in (digest, f"{digest.upper()} *products.csv\n", f"{kind.upper()} (products.csv) = {digest}"):
        put(tmp_path, f"products.csv.{kind}", line.encode())
        assert everything(connector) == [MUG_1, MUG_2]
    for wrong in (hashlib.new(kind, b"").hexdigest(), digest[:-1], digest + "0", "nothing"):
        put(tmp_path, f"products.csv.{kind}", wrong.encode())
        assert refused(connector) == f"products.csv does not match products.csv.{kind}"


def test_the_better_checksum_counts_when_there_are_two(tmp_path):
    put(tmp_path, "products.csv", HEAD)
    put(tmp_path, "products.csv.md5", hashlib.md5(HEAD).hexdigest().encode())
    put(tmp_path, "products.csv.sha256", hashlib.sha256(b"").hexdigest().encode())
    assert refused(source(tmp_path, checksum=True)) == "products.csv does not match products.csv.sha256"


CELLS = st.text(st.sampled_from('ab"\n\r,;é '), max_size=6)
ROWS = st.lists(st.tuples(CELLS, CELLS), max_size=12)


def written(form, rows):
    """The rows as a file of a format."""
    if form == "csv":
        quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in (f"S{n}", *row)) for n, row in enumerate(rows)]
        return "".join(f"{line}\r\n" for line in ("sku,a,b", *quoted)).encode()
    if form == "jsonl":
        return b"".join(json.dumps({"sku": f"S{n}", "a": a, "b": b}).encode() + b"\n\n" for n, (a, b) in enumerate(rows))
    text = [(a.replace("\r", "&#13;"), b.replace("\r", "&#13;")) for a, b in rows]
    records = [f'<p sku="S{n}"><a>{a}</a>{b}</p>' for n, (a, b) in enumerate(text)]
    first, second = "".join(records[: len(records) // 2]), "".join(records[len(records) // 2 :])
    return f"<?xml version='1.0'?>\n<x:all xmlns:x='u'>é<g n='1'>{first}</g><!-- <p/> --><p2/><h>{second}</h></x:all>\n".encode()


@pytest.mark.parametrize("form", ["csv", "jsonl", "xml"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, size=st.integers(1, 14), chunk=st.integers(1, 40))
def test_paging_at_any_size_yields_exactly_the_records_of_one_read(tmp_path, form, rows, size, chunk):
    data = written(form, rows) or b"\n"
    put(tmp_path, f"products.{form}", data)
    whole = pages(source(tmp_path, f"products.{form}", record_tag="p"))
    assert len(whole) == 1
    assert [record.source_id for record in whole[0].records] == [f"S{n}" for n in range(len(rows))]
    paged = pages(source(tmp_path, f"products.{form}", record_tag="p", page=size))
    assert [record for page in paged for record in page.records] == list(whole[0].records)
    assert [len(page.records) for page in paged[:-1]] == [size] * (len(paged) - 1)
    if form == "csv":
        assert [tuple(json.loads(record.raw).values()) for record in whole[0].records] == [(f"S{n}", *row) for n, row in enumerate(rows)]
    if form == "xml":
        parts = [data[at : at + chunk] for at in range(0, len(data), chunk)]
        assert [found.raw for found in elements.found(parts, "p", "utf-8")] == [record.raw for record in whole[0].records]


@pytest.mark.parametrize("fresh", [True, False])
def test_a_sheet_is_read_on_by_the_same_connector_or_by_another(tmp_path, fresh):
    workbook(tmp_path, [["sku", "n"], *([f"S{n}", n] for n in range(7))])
    connector, found, cursor = source(tmp_path, "products.xlsx", page=3), [], ""
    while cursor or not found:
        page = connector.list_records("products", None, cursor)
        found.append(page.records)
        cursor = page.cursor
        connector = source(tmp_path, "products.xlsx", page=3) if fresh else connector
    records = [Record(f"S{n}", f'{{"sku":"S{n}","n":"{n}"}}'.encode()) for n in range(7)]
    assert found == [tuple(records[:3]), tuple(records[3:6]), tuple(records[6:])]


@pytest.mark.parametrize(("name", "data"), [("products.csv", HEAD + b"A,1\nB,2\nC,3\n"), ("products.jsonl", b'{"sku":"A"}\n{"sku":"B"}\n')])
def test_a_file_that_is_replaced_between_two_pages_is_noticed(tmp_path, name, data):
    put(tmp_path, name, data)
    connector = source(tmp_path, name, page=1)
    cursor = connector.list_records("products", None, "").cursor
    assert connector.list_records("products", None, cursor).records[0].source_id == "B"
    put(tmp_path, name, data, age=30)
    assert refused(connector, cursor=cursor) == f"{name} was changed while it was read"
    (tmp_path / name).unlink()
    assert refused(connector, cursor=cursor) == f"{name} was changed while it was read"


def test_a_file_that_grows_while_a_page_is_read_is_noticed(tmp_path, monkeypatch):
    file = put(tmp_path, "products.csv", HEAD + b"A,1\n")
    connector = source(tmp_path)
    check = connector._check

    def and_grow(feed, found):
        check(feed, found)
        file.write_bytes(HEAD + b"A,1\nB,2\n")

    monkeypatch.setattr(connector, "_check", and_grow)
    assert refused(connector) == "products.csv was changed while it was read"


def test_a_page_ends_where_its_records_are_too_many_bytes(tmp_path):
    put(tmp_path, "products.jsonl", b"".join(b'{"sku":"%d","text":"%s"}\n' % (n, b"x" * 1_000_000) for n in range(12)))
    assert [len(page.records) for page in pages(source(tmp_path, "products.jsonl"))] == [9, 3]


@pytest.mark.parametrize("cursor", ["nonsense", "[]", "7", "null", '["../../secret.csv",1,1,1,1]'])
def test_a_cursor_that_is_none_is_refused(tmp_path, cursor):
    put(tmp_path, "products.csv", HEAD)
    assert refused(source(tmp_path), cursor=cursor) in (
        "the cursor is none of this source",
        "../../secret.csv was changed while it was read",
    )


def test_a_large_file_is_read_in_bounded_memory(tmp_path):
    with (tmp_path / "products.csv").open("w", encoding="utf-8") as file:
        file.write("sku,title,price\n")
        file.writelines(f'SKU-{n},"Thing\n{n}",{n}.95\n' for n in range(200_000))
    connector, count, cursor, last = source(tmp_path, settle=0, page=5000), 0, "", None
    tracemalloc.start()
    try:
        while cursor or not count:
            page = connector.list_records("products", None, cursor)
            count, cursor, last = count + len(page.records), page.cursor, page.records[-1]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (count, last) == (200_000, Record("SKU-199999", b'{"sku":"SKU-199999","title":"Thing\\n199999","price":"199999.95"}'))
    assert peak < 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("products.csv", b"", "is empty"),
        ("products.jsonl", b"", "is empty"),
        ("products.xml", b"", "is empty"),
        ("products.xlsx", b"", "is empty"),
        ("products.csv", b"\n\n", "has no header that is CSV"),
        ("products.csv", b'"sku"x,price\n', "has no header that is CSV"),
        ("products.csv", b"sku,price\rMUG-1,9.95\r", "has no header that is CSV"),
        ("products.csv", b"name,price\nMUG-1,9.95\n", "has no column 'sku'"),
        ("products.csv", b"sku,price,price\n", "has the column 'price' twice"),
        ("products.csv", HEAD + b"MUG-1,9.95\nMUG-2,1", "has a last line without an end: it may be cut off"),
        ("products.csv", b"sku", "has a last line without an end: it may be cut off"),
        ("products.csv", HEAD + b'MUG-1,"two\n', "ends inside a quoted cell"),
        ("products.csv", HEAD + b'MUG-1,"two\nlines", and\nMUG-2,"x', "ends inside a quoted cell"),
        ("products.jsonl", b'{"sku":"A"}\n{"sku":"B"', "has a last line that is cut off"),
        ("products.jsonl", b'{"sku":"A"}\n12', "has a last line that is cut off"),
        ("products.jsonl", b'{"sku":"A"}\n' + b"[" * 100_000, "has a last line that is cut off"),
        ("products.xml", b"<all><p/>", "is no whole XML: no element found, line 1"),
        ("products.xml", b"<all>\n<p></q></all>", "is no whole XML: mismatched tag, line 2"),
        ("products.xml", b"<all><p>&nbsp;</p></all>", "is no whole XML: undefined entity, line 1"),
        ("products.xml", b'<?xml version="1.0" encoding="shift_jis"?><all/>', "is in an encoding that cannot be read"),
        ("products.xml", b'<?xml version="1.0" encoding="klingon"?><all/>', "is in an encoding that cannot be read"),
        ("products.xml", b'<!DOCTYPE all [<!ENTITY a "b">]><all><p>&a;</p></all>', "has a document type, which is refused"),
        ("products.xml", b'<!DOCTYPE all SYSTEM "file:///etc/passwd"><all/>', "has a document type, which is refused"),
        ("products.xml", b"<all>" + b"<p>" * 101 + b"</p>" * 101 + b"</all>", "has elements more than 100 deep"),
        ("products.xlsx", b"PK\x03\x04 and no more", "is no whole workbook"),
    ],
)
def test_a_broken_file_is_refused_by_its_name(tmp_path, name, data, reason):
    put(tmp_path, name, data)
    assert refused(source(tmp_path, name, record_tag="p")) == f"{name} {reason}"


def test_a_truncated_file_gives_not_one_record_at_any_length(tmp_path):
    for name in ("products.csv", "catalog.xml"):
        data = (PAYLOADS / name).read_bytes()
        whole_rows = {at + 1 for at, byte in enumerate(data) if byte == 10} if name.endswith(".csv") else {len(data.rstrip())}
        for length in range(1, len(data)):
            put(tmp_path, name, data[:length])
            connector = source(tmp_path, name, "sku" if name.endswith(".csv") else "id", record_tag="item", page=1)
            if length in whole_rows and not data[:length].endswith(b"two\r\n"):
                connector.list_records("products", None, "")
            else:
                assert refused(connector).startswith(f"{name} ")


def test_a_truncated_or_harmed_workbook_is_refused(tmp_path):
    workbook(tmp_path, [["sku"], *([f"S{n}"] for n in range(50))], name="whole.xlsx")
    data = (tmp_path / "whole.xlsx").read_bytes()
    harmed = data[:400] + bytes([data[400] ^ 0xFF]) + data[401:]
    for broken in (*(data[:length] for length in range(1, len(data), 211)), harmed):
        put(tmp_path, "products.xlsx", broken)
        assert refused(source(tmp_path, "products.xlsx")) == "products.xlsx is no whole workbook"


def test_a_workbook_with_entities_or_a_part_too_large_is_refused(tmp_path, monkeypatch):
    workbook(tmp_path, [["sku"], ["MUG-1"]], name="whole.xlsx")
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as whole, zipfile.ZipFile(tmp_path / "products.xlsx", "w") as copy:
        for part in whole.namelist():
            data = whole.read(part)
            copy.writestr(part, b'<!DOCTYPE a [<!ENTITY a "b">]>' + data if part == "xl/worksheets/sheet1.xml" else data)
    assert refused(source(tmp_path, "products.xlsx", settle=0)) == "products.xlsx is no whole workbook"
    monkeypatch.setattr("middleware.wire.workbook.LARGEST_PART", 1 << 10)
    assert refused(source(tmp_path, "whole.xlsx")).startswith("whole.xlsx has a part of more than 0 MB, xl/")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("products.csv", HEAD + b'MUG-1,"' + b"x\n" * 3000),
        ("products.jsonl", b'{"sku":"' + b"x" * 3000),
        ("products.xml", b"<all><p>" + b"x" * 300_000 + b"</p></all>"),
        ("products.xml", b"<all><p a='" + b"x" * 300_000 + b"'/></all>"),
        ("products.xml", b"<all><!--" + b"x" * 300_000 + b"--><p/></all>"),
    ],
)
def test_a_record_without_end_does_not_fill_the_memory(tmp_path, monkeypatch, name, data):
    monkeypatch.setattr(elements, "LARGEST_RECORD", 2000)
    put(tmp_path, name, data)
    assert refused(source(tmp_path, name, record_tag="p")).startswith(f"{name} has a record of more than 0 MB")


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    put(tmp_path, "products.csv", HEAD)

    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", forbidden)
    assert refused(source(tmp_path), Unauthorized) == "products.csv may not be read"


def test_only_a_header_is_an_empty_feed(tmp_path):
    put(tmp_path, "products.csv", HEAD)
    put(tmp_path, "products.xml", b"<all><meta/></all>")
    workbook(tmp_path, [["sku", "price"]])
    assert [pages(source(tmp_path, f"products.{form}", record_tag="p")) for form in ("csv", "xml", "xlsx")] == [[Page(())]] * 3


def test_two_records_with_one_id_are_both_given(tmp_path):
    put(tmp_path, "products.csv", HEAD + b"MUG-1,9.95\nMUG-1,10\n")
    assert everything(source(tmp_path, page=1)) == [MUG_1, Record("MUG-1", b'{"sku":"MUG-1","price":"10"}')]


def test_a_record_without_a_usable_id_is_called_by_its_number(tmp_path):
    put(tmp_path, "products.csv", HEAD + b"MUG-1,9.95\n,1\n\n  ,2\nA\x00B,3\n" + b"x" * 256 + b",4\n\xff,5\n")
    assert [record.source_id for record in everything(source(tmp_path, page=2))] == ["MUG-1", "row:2", "row:3", "row:4", "row:5", "row:6"]
    lines = [b'{"sku":true}', b'{"sku":1.5}', b'{"sku":null}', b'{"sku":["A"]}', b'{"sku":"\\ud800"}', b'["A"]', b"{broken", b"[" * 99_999]
    put(tmp_path, "products.jsonl", b"\n".join(lines) + b"\n")
    records = everything(source(tmp_path, "products.jsonl"))
    assert records == [Record(f"row:{n}", line) for n, line in enumerate(lines, 1)]


def test_a_broken_line_is_one_bad_record_and_the_rest_goes_on(tmp_path):
    put(tmp_path, "products.jsonl", b'{"sku":"A","price":NaN}\n{"sku":"B"\n["C"]\n' + b"[" * 99_999 + b'\n{"sku":"D"}\n')
    connector = source(tmp_path, "products.jsonl")
    records = everything(connector)
    assert [record.source_id for record in records] == ["row:1", "row:2", "row:3", "row:4", "D"]
    reasons = [unreadable(connector, record.raw) for record in records[:4]]
    assert reasons == ["is not JSON", "is not JSON", "is no JSON object", "is nested too deeply"]


def test_a_ragged_row_is_kept_and_refused_with_its_reason(tmp_path):
    put(tmp_path, "products.csv", HEAD + b'MUG-1\nMUG-2,9,95\n"MUG"-3,1\nMUG-1,9.95\n')
    connector = source(tmp_path)
    records = everything(connector)
    assert records == [
        Record("MUG-1", b'["MUG-1"]'),
        Record("MUG-2", b'["MUG-2","9","95"]'),
        Record("row:3", b'"\\"MUG\\"-3,1\\n"'),
        MUG_1,
    ]
    assert [unreadable(connector, record.raw) for record in records[:3]] == [
        "has 1 cells, not as many as the header",
        "has 3 cells, not as many as the header",
        "has text after a quoted cell: it is no CSV",
    ]


def test_broken_utf_8_becomes_replacement_characters_and_the_rest_goes_on(tmp_path):
    put(tmp_path, "products.csv", b"sku,title\nA,Gr\xf6\xdfe\nB,ok\n")
    put(tmp_path, "products.jsonl", b'{"sku":"A","title":"Gr\xf6\xdfe"}\n{"sku":"B","title":"ok"}\n')
    put(tmp_path, "products.xml", b"<all><p sku='A'><title>Gr\xf6\xdfe</title></p><p sku='B'><title>ok</title></p></all>")
    for form, key in (("csv", "sku"), ("jsonl", "sku"), ("xml", "@sku")):
        found = decoded(source(tmp_path, f"products.{form}", record_tag="p", page=1))
        assert found == {"A": {key: "A", "title": "Gr\ufffd\ufffde"}, "B": {key: "B", "title": "ok"}}, form


def test_half_a_character_pair_becomes_a_replacement_character(tmp_path):
    found = source(tmp_path, "products.jsonl").decode_record("products", b'{"a":"x\\ud800","b":["\\u00e9"],"c":{"\\udfff":1.50}}')
    assert found == {"a": "x\ufffd", "b": ["é"], "c": {"\ufffd": Decimal("1.50")}}


@pytest.mark.parametrize("form", ["csv", "jsonl", "xml"])
def test_a_huge_cell_is_kept_and_refused_by_its_name(tmp_path, form):
    huge = "x" * (files.LARGEST_CELL + 1)
    text = {
        "csv": f"sku,title\nA,{huge}\nB,ok\n",
        "jsonl": f'{{"sku":"A","title":"{huge}"}}\n{{"sku":"B","title":"ok"}}\n',
        "xml": f"<all><p><sku>A</sku><title>{huge}</title></p><p><sku>B</sku><title>ok</title></p></all>",
    }[form]
    put(tmp_path, f"products.{form}", text.encode())
    connector = source(tmp_path, f"products.{form}", record_tag="p")
    large, small = everything(connector)
    assert (large.source_id, huge.encode() in large.raw) == ("A", True)
    assert unreadable(connector, large.raw) == "title: is larger than 1 MB"
    assert connector.decode_record("products", small.raw) == {"sku": "B", "title": "ok"}


@pytest.mark.parametrize("raw", [b"", b"<p>", b"<p>\x00</p>", b"\xff", b"<!DOCTYPE p><p/>"])
def test_what_is_no_element_is_refused_without_a_value(tmp_path, raw):
    assert unreadable(source(tmp_path, "products.xml", record_tag="p"), raw) == "is not XML"


def test_links_that_leave_the_folder_are_refused(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside.csv"
    inside.mkdir()
    put(tmp_path, "outside.csv", HEAD + b"MUG-2,10\n")
    put(inside, "current.csv", HEAD + b"MUG-1,9.95\n")
    (inside / "products.csv").symlink_to("current.csv")
    assert everything(source(inside)) == [MUG_1]
    (inside / "products-2.csv").symlink_to(outside)
    assert refused(source(inside)) == "products-2.csv leads out of the folder"
    (inside / "products-2.csv").unlink()
    (inside / "products-3.csv").symlink_to("products-3.csv")
    assert refused(source(inside), Transient) == "inside cannot be read: Too many levels of symbolic links"
    (inside / "products-3.csv").unlink()
    (inside / "products.csv.done").symlink_to(outside)
    assert refused(source(inside, done=".done"), Transient).startswith("products.csv is still being written, or waits")


def test_a_file_that_turns_into_a_link_is_not_followed(tmp_path, monkeypatch):
    put(tmp_path, "secret.txt", HEAD + b"MUG-2,10\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    put(inside, "products.csv", HEAD + b"MUG-1,9.95\n")
    connector = source(inside)
    (file,) = connector._folder.matching("products.csv")
    (inside / "products.csv").unlink()
    (inside / "products.csv").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(OSError, match="Too many levels"), file.opened():
        pass


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ({"folder": ""}, "folder: missing; expected the path of a folder"),
        *(
            ({"pattern": {"products": pattern}}, "pattern.products: expected the name of files in the folder that ends in .csv, ")
            for pattern in ("../x.csv", "/etc/x.csv", "a/b.csv", "..\\x.csv", "x\0.csv", "products.*", "products", 7)
        ),
        ({"id": {}}, "id.products: missing; expected the column, member, attribute or child that is a record's id"),
        ({"id": {"products": 1}}, "id.products: missing; expected the column, member, attribute or child that is a record's id"),
        ({"which": {"products": "first"}}, "which.products: expected latest or all"),
        ({"pattern": {"products": "x.xml"}}, "record_tag: missing; expected the XML element that is a record"),
        ({"encoding": "utf-16"}, "encoding: expected one in which ASCII is ASCII"),
        ({"encoding": "klingon"}, "encoding: expected one in which ASCII is ASCII"),
        ({"encoding": "cp037"}, "encoding: expected one in which ASCII is ASCII"),
        ({"delimiter": ""}, "delimiter: expected one character, or auto"),
        ({"delimiter": '"'}, "delimiter: expected one character, or auto"),
        ({"delimiter": "||"}, "delimiter: expected one character, or auto"),
        ({"done": "/../done"}, "done: expected the end of a name, like .done"),
        ({"page": 0}, "page: expected at least 1"),
    ],
)
def test_options_that_cannot_work_are_refused_at_once(tmp_path, options, mistake):
    given = {"folder": str(tmp_path), "pattern": {"products": "products.csv"}, "id": {"products": "sku"}, **options}
    with pytest.raises(ValueError, match="expected") as caught:
        Connector(Connection("shop-files", "files", options=given), None)
    assert str(caught.value).startswith(mistake)
    (line,) = connectors.mistakes({"shop-files": Connection("shop-files", "files", options=given)})
    assert mistake in line


def test_a_kind_without_a_pattern_is_refused(tmp_path):
    connector = source(tmp_path)
    with pytest.raises(Rejected) as caught:
        connector.list_records("stock", None, "")
    assert (caught.value.reason, caught.value.field) == ("no pattern is configured for stock", "pattern")
    with pytest.raises(Unreadable, match="no pattern is configured for stock"):
        connector.decode_record("stock", b"{}")
