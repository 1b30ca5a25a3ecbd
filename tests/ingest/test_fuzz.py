"""Anything at all is sent to the real HTTP server: it always answers, never with a 5xx of its own making."""

import asyncio
import gc
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest import nasty_files
from tests.support.ingest import nasty_workbooks
from tests.support.ingest.compound_files import xls
from tests.support.ingest.ingest_server import VALIDATE, ingest
from tests.support.ingest.raw_upload import RawAnswer, raw_request
from tests.support.ingest.workbooks import damaged_workbook, ods, xlsx
from tests.support.ingest.written_csv import CELLS, DIALECTS, csv_bytes

#: FUZZ=1: also what takes long.
FULL = os.environ.get("FUZZ") == "1"
#: What can be said of any body: it was fine, it was wrong, or it was of the wrong kind.
ANSWERS = {200, 400, 408, 413, 415}

_GOOD_PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
_TABLES = st.builds(
    lambda rows, dialect: csv_bytes([["name", "address", "phone"], *rows], **dialect),
    st.lists(st.lists(CELLS, max_size=5), max_size=6),
    DIALECTS,
)
_FILES = st.one_of(st.binary(max_size=300), _TABLES, st.sampled_from([file.content for file in nasty_files.ALL]))


@st.composite
def damaged(draw: st.DrawFn, contents: st.SearchStrategy[bytes]) -> bytes:
    """A body of one file with a piece of it cut out, doubled or replaced; or left as it is."""
    body = _GOOD_PART + draw(contents) + b"\r\n--b--\r\n"
    begin, end = sorted(draw(st.tuples(st.integers(0, len(body)), st.integers(0, len(body)))))
    piece = draw(st.sampled_from([body[begin:end], b"", body[begin:end] * 2, b"\x00", b"\r\n--b\r\n", b"\r\n\r\n"]))
    return body[:begin] + piece + body[end:]


def posted(body: bytes, kind: bytes = b"multipart/form-data; boundary=b", length: int | None = None) -> bytes:
    """A request with this body and whatever it says about it."""
    head = f"POST {VALIDATE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
    size = len(body) if length is None else length
    return head + b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, size) + body


@pytest.fixture(scope="module")
def send(tmp_path_factory) -> Iterator:
    """Sends bytes to a running service from outside its event loop, as Hypothesis knows none."""
    with running(tmp_path_factory.mktemp("fuzz")) as send:
        yield send


@contextmanager
def running(directory) -> Iterator:
    """A service in an event loop that goes on between the requests."""
    with asyncio.Runner() as runner:
        service = ingest(directory, tenant_uploads_per_minute=0)
        client = runner.run(service.__aenter__())

        def send(data: bytes, seconds: float = 30) -> RawAnswer:
            return runner.run(asyncio.wait_for(raw_request(client.base_url.port, data), seconds))

        yield send
        runner.run(service.__aexit__(None, None, None))


@given(damaged(_FILES))
@settings(max_examples=80)
def test_any_body_gets_an_answer(send, body):
    """Files that are damaged, and multipart that is."""
    answer = send(posted(body))

    assert answer.status in ANSWERS
    assert answer.body


@given(
    st.one_of(
        st.binary(max_size=60).filter(lambda kind: not set(kind) & set(b"\r\n\0")),
        st.sampled_from(
            [
                b"multipart/form-data; boundary=",
                b'multipart/form-data; boundary="b',
                b"multipart/form-data; boundary=" + b"b" * 300,
                b"multipart/mixed; boundary=b",
                b"application/json",
                b"text/csv; charset=utf-16",
            ]
        ),
    )
)
@settings(max_examples=40)
def test_any_content_type_gets_an_answer(send, kind):
    """Wrong, lying or broken."""
    assert send(posted(_GOOD_PART + b"name,address\na,b\n\r\n--b--\r\n", kind)).status in ANSWERS


@given(st.binary(max_size=200), st.binary(max_size=40))
@settings(max_examples=40)
def test_any_part_header_gets_an_answer(send, disposition, name):
    """Names with paths, NULs, half characters."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%b"%b\r\n\r\n' % (name, disposition)

    assert send(posted(part + b"name,address\na,b\n\r\n--b--\r\n")).status in ANSWERS


def test_nasty_workbooks_get_the_answer_that_is_right_for_them(send):
    """Bombs, lies, entities, passwords, old kinds: none is an error of ours, and none stays in memory."""
    assert len(nasty_workbooks.ALL) >= 80
    before = psutil.Process(os.getpid()).memory_info().rss
    for book in nasty_workbooks.ALL:
        if book.is_slow and not FULL:
            continue
        answer = send(posted(_GOOD_PART + book.content + b"\r\n--b--\r\n"), 120)
        document = json.loads(answer.body)
        codes = [error["code"] for error in document.get("errors", [])]
        assert " ".join([str(answer.status), *codes[:1]]) == book.answer, (book.what, document)
        messages = [document.get("detail", ""), *(error["message"] for error in document.get("errors", []))]
        assert book.words in " ".join(messages), book.what
        assert "root:" not in answer.body.decode(), "a file of the server"
    assert psutil.Process(os.getpid()).memory_info().rss - before < 50_000_000


@pytest.mark.skipif(not FULL, reason="long: FUZZ=1")
@pytest.mark.parametrize("first", range(100, 1_100, 100))
def test_damaged_workbooks_get_an_answer(send, first):
    """A thousand of them, cut and changed somewhere."""
    good = xlsx({"List": [["name", "address"], *([f"a{row}", "b"] for row in range(50))]})
    kinds = [good, ods([["name", "address"], ["a", "b"]]), xls([["name", "address"], ["a", "b"]])]
    for number in range(first, first + 100):
        book = damaged_workbook(kinds[number % 3], number)
        assert send(posted(_GOOD_PART + book + b"\r\n--b--\r\n"), 120).status in ANSWERS


def test_the_same_nastiness_again_and_again_takes_no_more_memory(send):
    """What was refused is forgotten."""
    requests = [posted(_GOOD_PART + file.content + b"\r\n--b--\r\n") for file in nasty_files.ALL]
    requests = [each for each in requests if len(each) < 200_000]
    for each in requests:
        send(each)
    gc.collect()
    before = psutil.Process(os.getpid()).memory_info().rss
    for _ in range(2):
        for each in requests:
            assert send(each).status in ANSWERS
    gc.collect()

    assert len(nasty_files.ALL) >= 60
    assert psutil.Process(os.getpid()).memory_info().rss - before < 20_000_000
