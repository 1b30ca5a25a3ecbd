"""Multipart: read in any pieces, refused when it is not what it says."""

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.upload.multipart import FilePart, FileTooLarge, MalformedBody, safe_file_name, sent_file_name

BOUNDARY = b"----limit"


def part(content: bytes, name: str = "file", file_name: str = "a.csv") -> bytes:
    """One part of a body."""
    disposition = f'Content-Disposition: form-data; name="{name}"; filename="{file_name}"'
    return b"--" + BOUNDARY + b"\r\n" + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"


END = b"--" + BOUNDARY + b"--\r\n"


def received(body: bytes, *, cut: int = 1 << 20, max_bytes: int = 1 << 20) -> tuple[FilePart, bytes]:
    """What comes of a body that arrives in pieces of this size."""
    file = io.BytesIO()
    found = FilePart(BOUNDARY, file, max_bytes)
    for start in range(0, len(body), cut):
        found.feed(body[start : start + cut])
    found.finish()
    return found, file.getvalue()


@given(st.binary(max_size=200), st.integers(1, 60))
def test_the_file_is_written_as_it_was_sent(content, cut):
    """However the network cuts it, and whatever looks like a boundary in it."""
    found, written = received(part(b"7", "other") + part(content) + END, cut=cut)

    assert written == content
    assert (found.size, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert found.file_name == "a.csv"


def test_a_body_without_the_part_has_no_name():
    """Which the API turns into 400."""
    found, _ = received(part(b"x", "document") + END)

    assert found.file_name is None


@pytest.mark.parametrize("cut", [1, 2, 10, len(END), len(END) + 30])
def test_a_truncated_body_is_noticed(cut):
    """Half a file must not become a job."""
    body = part(b"name,address\na,b\n") + END

    with pytest.raises(MalformedBody):
        received(body[: -max(cut, 3)])


def test_a_file_over_the_limit_is_refused_while_it_comes_in():
    """Not after all of it was stored."""
    file = io.BytesIO()
    found = FilePart(BOUNDARY, file, 10)

    with pytest.raises(FileTooLarge):
        found.feed(part(b"x" * 11) + END)
    assert len(file.getvalue()) <= 10


def test_a_file_at_the_limit_is_taken():
    """The limit is the last that is allowed."""
    assert received(part(b"x" * 10) + END, max_bytes=10)[0].size == 10


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"no multipart at all", "not well-formed"),
        (part(b"x") + part(b"y") + END, "two parts called `file`"),
        (part(b"x", "other") * 21 + END, "more than 20 parts"),
        (b"--" + BOUNDARY + b"\r\nX-Long: " + b"x" * 100_000, "not well-formed"),
        (b"--" + BOUNDARY + b"\r\n" + b"X: y\r\n" * 1000, "not well-formed"),
    ],
)
def test_a_malformed_body_is_refused(body, words):
    """With what is wrong with it."""
    with pytest.raises(MalformedBody, match=words):
        received(body)


def test_a_boundary_that_is_too_long_is_refused():
    """RFC 2046 allows 70 characters."""
    with pytest.raises(MalformedBody):
        FilePart(b"x" * 5000, io.BytesIO(), 10)


@pytest.mark.parametrize(
    ("given_name", "plain"),
    [
        ("a.csv", "a.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\..\\a.csv", "a.csv"),
        ("/", "upload.csv"),
        ("", "upload.csv"),
        ("..", "upload.csv"),
        ("a\x00b\r\n.csv", "ab.csv"),
        ("krankenhäuser.csv", "krankenhäuser.csv"),
        ("x" * 1000, "x" * 255),
    ],
)
def test_a_file_name_is_only_a_name(given_name, plain):
    """No directory, no control character, no end of it."""
    assert safe_file_name(given_name) == plain


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ('filename="a.csv"', "a.csv"),
        ('filename="krankenhäuser.csv"', "krankenhäuser.csv"),
        ("filename=a.csv; filename*=utf-8''krankenh%C3%A4user.csv", "krankenhäuser.csv"),
        ("filename*=UTF-8'de'krankenh%C3%A4user%20neu.csv", "krankenhäuser neu.csv"),
        ("filename*=iso-8859-1''krankenh%E4user.csv", "krankenhäuser.csv"),
        ('filename="=?utf-8?B?a3JhbmtlbmjDpHVzZXIuY3N2?="', "krankenhäuser.csv"),
        ('filename="=?utf-8?Q?krankenh=C3=A4user.csv?="', "krankenhäuser.csv"),
        ('filename="a.csv"; filename*=utf-9%FF', "a.csv"),
        ('filename="a.csv"; filename*=utf-8%FF', "a.csv"),
        ('filename="=?nonsense?="', "=?nonsense?="),
        ("filename=", ""),
        ("", ""),
    ],
)
def test_a_file_name_is_read_in_each_of_the_three_ways(sent, name):
    """RFC 8187 goes first, then an encoded word, as .NET writes; then UTF-8."""
    assert sent_file_name(f'form-data; name="file"; {sent}'.encode()) == name


def test_bytes_that_are_no_utf_8_do_no_harm():
    """They are shown as such."""
    assert sent_file_name(b'form-data; name="file"; filename="\xff.csv"') == "\ufffd.csv"


def test_other_parts_are_fields():
    """In the order of the body, however it is cut; the file may come first or last."""
    body = part(b"utf-8", "encoding") + part(b"x") + part(b"A", "sheet") + part(b"B", "sheet") + END
    for cut in (1, 7, 1000):
        assert received(body, cut=cut)[0].fields == {"encoding": [b"utf-8"], "sheet": [b"A", b"B"]}


def test_fields_are_bounded():
    """Together, since they are kept in memory."""
    with pytest.raises(FileTooLarge):
        received(part(b"x" * 40_000, "a") + part(b"x" * 40_000, "b") + END)
