"""Nothing that others write, on a topic or in an HTTP response, stops a processor."""

import json
from datetime import UTC, datetime

import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st

from deploy.local.sandbox import Sandbox
from services.processor.directory.client import DirectoryClient
from services.processor.directory.outcomes import Created, Listed, Rejected, Unanswered
from services.processor.directory.retry_after import LONGEST, parse_retry_after
from services.processor.lane.records import DeadRecord, read_record
from services.processor.lane.row import DeliveredRow
from services.processor.offsets.window import Place
from services.processor.settings import DirectorySettings
from shared.contract.events import RowErrorCode
from shared.contract.topics import Topics
from tests.support.processor.lane_doubles import accepted, make_row, record


def read(**facts: object) -> DeliveredRow | DeadRecord:
    return read_record(record(facts.pop("event", None), 3, **facts), Place(3, 0))


@given(key=st.binary(), value=st.binary() | st.none(), ce_id=st.binary())
@example(key=b"job:" + b"9" * 5000, value=b"{}", ce_id=b"job:2:" + b"9" * 5000)
@example(key=b"job:2", value=b"{}", ce_id=b"job:2:" + b"9" * 5000)
def test_any_bytes_make_a_dead_letter(key, value, ce_id):
    """Also with numbers too long for Python to parse, or too large for a database."""
    dead = read(key=key, value=value, headers=(("ce_type", b"RowAccepted"), ("ce_id", ce_id)))
    assert isinstance(dead, DeadRecord)
    letter, *results = dead.records(Topics())
    assert letter[1:3] == (key, value)
    for _, _, result, _ in results:
        result_fields = json.loads(result)
        assert 2 <= result_fields["row"] < 2**31
        assert 1 <= result_fields["round"] < 2**31


@pytest.mark.parametrize("traceparent", [b"x\r\nHost: evil", "zürich".encode(), b"", b"00-12-34-01", b"\xff"])
async def test_a_row_with_an_odd_traceparent_is_created_without_it(traceparent):
    """A header that cannot be sent would make every call of the row fail, and open the breaker."""
    row = read(event=accepted(), headers=(("traceparent", traceparent),))
    assert row.traceparent is None
    good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert read(event=accepted(), headers=(("traceparent", good.encode()),)).traceparent == good


@pytest.mark.parametrize("odd", ["zürich", "a\r\nb", "../../x", "a/b?c#d", "%2e%2e", "\x00", " "])
async def test_a_row_with_odd_ids_is_created_and_found(odd):
    """Its job's id becomes a header, its batch's id a part of a URL."""
    event = accepted(job_id=odd, batch_id=odd)
    async with (
        Sandbox() as sandbox,
        DirectoryClient(DirectorySettings(hospital_api_base_url=sandbox.base_url)) as directory,
    ):
        assert isinstance(await directory.create(event, lambda: True), Created)
        listed = await directory.look_up(odd)
        assert isinstance(listed, Listed)
        assert [hospital.name for hospital in listed.hospitals] == [event.name]


async def answering(body: bytes, status: int) -> web.AppRunner:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


@pytest.mark.parametrize(
    "body", [b'{"detail": "\\ud800 half a character"}', b'{"detail": "a\\u0000b"}', b"\xff\xfe", b"a\x00b\x1b[31m"]
)
async def test_the_directorys_message_can_be_stored(body):
    """No lone surrogates, which JSON cannot carry, and no NUL, which PostgreSQL refuses."""
    runner = await answering(body, 422)
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with DirectoryClient(DirectorySettings(hospital_api_base_url=url)) as directory:
            outcome = await directory.create(accepted(), lambda: True)
    finally:
        await runner.cleanup()
    assert isinstance(outcome, Rejected)
    assert outcome.message.isprintable()
    make_row().failed(RowErrorCode.REJECTED, outcome.message, 422).model_dump_json()


@pytest.mark.parametrize("body", [b'{"id": "\\ud800"}', b'{"id": "a\\u0000"}', b'{"id": ""}', b'{"id": true}'])
async def test_an_id_that_cannot_be_stored_is_none(body):
    """The row is looked up; it must not break the call."""
    runner = await answering(body, 201)
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with DirectoryClient(DirectorySettings(hospital_api_base_url=url)) as directory:
            outcome = await directory.create(accepted(), lambda: True)
    finally:
        await runner.cleanup()
    assert outcome == Unanswered("the directory's answer has no id", 201)


dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(("Mon", "Wed")),
    st.integers(0, 99),
    st.sampled_from(("Jan", "Feb", "Foo")),
    st.integers(0, 99_999),
    *[st.integers(0, 99)] * 3,
    st.sampled_from(("GMT", "+0100", "-0000", "+99999999999999999999", "")),
)


@given(value=st.text() | dates | st.integers().map(str))
@example(value="Wed, 21 Oct 2015 07:28:00 +99999999999999999999")
@example(value="9" * 5000)
def test_any_retry_after_is_a_time_or_nothing(value):
    """Never an exception, never more than an hour."""
    seconds = parse_retry_after(value, datetime(2026, 1, 1, tzinfo=UTC))
    assert seconds is None or 0 <= seconds <= LONGEST
