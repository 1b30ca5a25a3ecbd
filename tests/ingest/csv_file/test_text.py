"""An upload as text: its byte order mark, and quotes that stand after a space."""

import pytest

from services.ingest.csv_file.file_kind import FileKind, NotCsv, file_kind
from services.ingest.csv_file.text import text_file
from tests.support.ingest.written_csv import written


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_no_part_of_the_header(mark, tmp_path):
    """Excel writes one, others do not."""
    with text_file(written(tmp_path, mark + b"name\r\nx\ry\n")).open() as text:
        assert text.read() == "name\r\nx\ry\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_utf_16_and_utf_32_are_read(encoding, size, tmp_path):
    """Excel's `Unicode text`, whole or in any pieces."""
    content = ("\ufeff" if encoding.endswith("e") else "") + "name,address\nKlinik Süd,1\n"
    with text_file(written(tmp_path, content.encode(encoding)), chunk_bytes=size).open() as text:
        assert text.read() == "name,address\nKlinik Süd,1\n"


@pytest.mark.parametrize(
    ("content", "spaced"),
    [
        ('a, "b, c"\n', {","}),
        ('a;  "b"\n', {";"}),
        ("a, b\n", set()),
        ('a,"b, ""c"""\n', set()),
        ('a," ""b"""\n', set()),
        ('a,"b\nc, ""d"" e"\n', set()),
        ("x\n" * 100 + 'a,\t "b"\n', {"\t"}),
        ("a,b\n" * 50 + 'a, "b"\n', {","}),
    ],
)
@pytest.mark.parametrize("size", [3, 1 << 20])
def test_a_quote_after_a_space_is_seen_where_it_opens_a_field(content, spaced, size, tmp_path):
    """Not where it is a part of a quoted one."""
    assert text_file(written(tmp_path, content), chunk_bytes=size).spaced == spaced


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"%PDF-1.7", "a PDF document"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"\x89PNG\r\n", "a picture"),
        (b"{\\rtf1", "a text document"),
        (b"PAR1", "a Parquet file"),
    ],
)
def test_a_file_of_another_kind_is_named(start, kind, tmp_path):
    """Whatever its name says."""
    with pytest.raises(NotCsv, match=kind):
        file_kind(written(tmp_path, start))


@pytest.mark.parametrize("start", [b"PK\x03\x04xl/workbook", b"\xd0\xcf\x11\xe0"])
def test_a_workbook_is_known_by_its_first_bytes(start, tmp_path):
    """Also one that is called .csv."""
    assert file_kind(written(tmp_path, start)) is FileKind.WORKBOOK
