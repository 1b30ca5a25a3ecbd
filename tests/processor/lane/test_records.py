"""A delivered record becomes a row, or a dead letter with a failed result."""

import pytest

from services.processor.lane.records import DeadRecord, read_record
from services.processor.lane.row import DeliveredRow, Row
from services.processor.offsets.window import Place
from shared.contract.cloud_events import decode, encode, header
from shared.contract.events import JobCancelRequested, RowErrorCode, RowFailed
from shared.contract.topics import Topics
from tests.support.processor.lane_doubles import accepted, record

TYPE = ("ce_type", b"RowAccepted")

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def arrive(delivered):
    return read_record(delivered, Place(delivered.offset, 0))


def test_a_good_record_is_a_row():
    """With its trace."""
    row = arrive(record(accepted(5), 3, headers=(("traceparent", TRACEPARENT.encode()),)))
    assert isinstance(row, DeliveredRow)
    assert (row.event, row.place.offset, row.traceparent) == (
        accepted(5).model_copy(update={"occurred_at": row.event.occurred_at}),
        3,
        TRACEPARENT,
    )


CELLS = ("12", "St. Mary 5 ", "", "5 Main St")
BY_NAME = {"Beds": "12", " NAME": "St. Mary 5 ", "Note": "", "Address": "5 Main St"}


@pytest.mark.parametrize("uploaded", [{"cells": CELLS}, {"cells": (), "columns": BY_NAME}])
def test_a_result_tells_the_row_as_it_came_and_what_the_directory_was_told(uploaded):
    """With its cells by name when version 0.1.0 accepted it: so a status of that version reads the results too."""
    row = Row(arrive(record(accepted(5, **uploaded), 3)))
    for result in (row.created(7), row.failed(RowErrorCode.REJECTED, "No"), row.unprocessed("Cancelled")):
        written = encode(result, "processor")
        assert (result.name, result.address, result.phone) == ("St. Mary 5", "5 Main St", "555-0101")
        assert (result.cells, result.columns) == (uploaded["cells"], uploaded.get("columns"))
        assert decode(written.headers, written.value) == result
        assert (b"Beds" in written.value) is ("columns" in uploaded)


def test_an_undecodable_record_is_kept_as_received_and_its_row_fails():
    """By the key, with the round that ce_id names."""
    dead = arrive(record(None, 8, key=b"job:5", value=b"\xff{", headers=(TYPE, ("ce_id", b"job:5:3"))))
    assert isinstance(dead, DeadRecord)
    letter, result = dead.records(Topics())
    assert letter[:3] == ("hospital.dead-letters", b"job:5", b"\xff{")
    headers = {name: header(letter[3], name) for name in ("topic", "partition", "offset", "reason")}
    assert headers == {"topic": "hospital.rows.express", "partition": "0", "offset": "8", "reason": dead.reason}
    failed = decode(result[3], result[2])
    assert isinstance(failed, RowFailed)
    assert (failed.job_id, failed.row, failed.round, failed.code) == ("job", 5, 3, RowErrorCode.UNDECODABLE)
    assert dead.reason in failed.message
    assert (failed.cells, failed.columns, failed.address) == ((), {}, None), "nobody knows them"
    assert result[1] == b"job"


def test_a_record_with_a_reason_of_its_own_does_not_hide_ours():
    """Whether a reader takes the first or the last of two headers; the original ones are kept too."""
    original = [("reason", b"none of yours"), ("offset", b"1"), ("x", b"y")]
    dead = arrive(record(None, 8, key=b"job:5", value=b"{", headers=(TYPE, *original)))
    headers = dead.records(Topics())[0][3]
    assert header(headers, "reason") == dict(headers)["reason"].decode() == dead.reason
    assert header(headers, "offset") == dict(headers)["offset"].decode() == "8"
    kept = {("original-reason", b"none of yours"), ("original-offset", b"1"), ("x", b"y"), TYPE}
    assert kept < set(headers)


@pytest.mark.parametrize("ce_id", [b"job:5:none", b"", b"\xff"])
def test_a_round_that_nobody_names_is_the_first(ce_id):
    """The row fails all the same."""
    dead = arrive(record(None, 8, key=b"job:5", value=b"{}", headers=(TYPE, ("ce_id", ce_id))))
    assert decode(dead.records(Topics())[1][3], dead.records(Topics())[1][2]).round == 1


@pytest.mark.parametrize("key", [None, b"", b"job", b"job:one", b"job:1", b":5"])
def test_a_record_whose_key_names_no_row_is_only_a_dead_letter(key):
    """Nobody can say whose row it was."""
    dead = arrive(record(None, 8, key=key, value=b"{}", headers=(TYPE,)))
    assert len(dead.records(Topics())) == 1


def test_an_event_of_another_topic_is_dead_here():
    """It is no row."""
    dead = arrive(record(JobCancelRequested(tenant="t", job_id="job"), 1))
    assert isinstance(dead, DeadRecord)
    assert "JobCancelRequested" in dead.reason
