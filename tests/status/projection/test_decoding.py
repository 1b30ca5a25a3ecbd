"""Records become events; what cannot be decoded becomes a dead letter, and a row that failed."""

import json

import pytest
from aiokafka import ConsumerRecord

from services.status.projection.decoding import DeadLetterTopic, Decoder
from shared.contract.cloud_events import encode
from shared.contract.events import RowErrorCode
from shared.contract.topics import Topics
from tests.support.status.job_histories import JobHistory, report

TOPICS = Topics()
HISTORY = JobHistory()


class RecordingDeadLetters:
    """Keeps the dead letters that it is given."""

    def __init__(self):
        self.dead_letters = []

    async def put(self, record, reason):
        self.dead_letters.append((record.offset, reason))


class RecordingPublisher:
    """A publisher that keeps what it is given."""

    def __init__(self):
        self.sent = []

    async def send_raw(self, *record, timeout):
        self.sent.append(record)


def record(topic, event=None, offset=0, partition=3, **changed):
    """The event as it is read back, with changes."""
    encoded = encode(event or HISTORY.created(2), "test")
    fields = {"key": encoded.key, "value": encoded.value, "headers": tuple(encoded.headers)} | changed
    return ConsumerRecord(
        topic, partition, offset, 1_700_000_000_000, 0, fields["key"], fields["value"], 0, 0, 0, fields["headers"]
    )


async def decoded(*records):
    recorder = RecordingDeadLetters()
    return await Decoder(TOPICS, recorder).decode(records), recorder.dead_letters


async def test_every_kind_finds_its_place():
    """Results, events of jobs with their partition, reports."""
    result, accepted, said = HISTORY.created(2), HISTORY.accepted(), report()
    batch, dead_letters = await decoded(
        record(TOPICS.results, result), record(TOPICS.jobs, accepted), record(TOPICS.processors, said)
    )
    assert (batch.results, batch.job_events, batch.reports) == ([result], [(3, 0, accepted)], [said])
    assert dead_letters == []


async def test_an_event_of_a_newer_version_is_skipped():
    """It is nobody's fault, and no dead letter."""
    batch, dead_letters = await decoded(record(TOPICS.jobs, headers=(("ce_type", b"JobAdmired"),)))
    assert (batch.job_events, dead_letters) == ([], [])


async def test_an_event_on_a_topic_where_it_does_not_belong_changes_nothing():
    """Nobody writes a row's result to hospital.jobs."""
    batch, _ = await decoded(record(TOPICS.jobs, HISTORY.created(2)), record(TOPICS.results, HISTORY.accepted()))
    assert (batch.job_events, batch.results) == ([], [])


async def test_a_bad_record_spoils_no_other():
    """It is decoded alone."""
    batch, dead_letters = await decoded(
        record(TOPICS.results, value=b"{", offset=7), record(TOPICS.results, HISTORY.created(3), offset=8)
    )
    assert [offset for offset, _ in dead_letters] == [7]
    assert [result.row for result in batch.results] == [2, 3]


async def test_a_result_that_cannot_be_read_fails_its_row_by_key_and_id():
    """So the job can still end; the message sends a person to the directory."""
    bad = record(TOPICS.results, HISTORY.created(2, round_=2), value=b"\xff")
    batch, _ = await decoded(bad)
    [failed] = batch.results
    assert (failed.job_id, failed.row, failed.round, failed.code) == ("job-1", 2, 2, RowErrorCode.UNDECODABLE)
    assert (await decoded(bad))[0].results == [failed], "read twice it is the same"


@pytest.mark.parametrize(
    "ce_id", [b"", b"job-1", b"job-1:x:1", b"job-1:1:1", b"job-1:99999999999:1", b"job-1:2:99999999999"]
)
async def test_a_result_that_names_no_row_is_only_a_dead_letter(ce_id):
    """Nothing is made up."""
    bad = record(TOPICS.results, value=b"{", headers=(("ce_type", b"RowCreated"), ("ce_id", ce_id)))
    batch, dead_letters = await decoded(bad)
    assert batch.results == []
    assert len(dead_letters) == 1


@pytest.mark.parametrize("changed", [{"name": "St.\0Mary"}, {"attempts": 2**31}, {"round": 2**40}])
async def test_what_no_database_can_keep_is_a_dead_letter(changed):
    """PostgreSQL would refuse the transaction of all others, again and again."""
    value = json.dumps(HISTORY.created(2).model_dump(mode="json") | changed).encode()
    batch, dead_letters = await decoded(record(TOPICS.results, value=value))
    assert len(dead_letters) == 1
    assert [result.code for result in batch.results] == [RowErrorCode.UNDECODABLE]


async def test_a_text_that_only_looks_like_a_nul_is_kept():
    r"""Somebody may have written a backslash and u0000 into a name."""
    batch, dead_letters = await decoded(
        record(TOPICS.results, HISTORY.created(2).model_copy(update={"name": r"\u0000"}))
    )
    assert (batch.results[0].name, dead_letters) == (r"\u0000", [])


async def test_a_dead_letter_is_the_record_as_received_and_says_where_it_was_and_why():
    """Operators find everything in the headers."""
    publisher = RecordingPublisher()
    bad = record(TOPICS.results, value=b"{", offset=7)
    await DeadLetterTopic(publisher, TOPICS.dead_letters).put(bad, "not JSON")
    [(topic, key, value, headers)] = publisher.sent
    assert (topic, key, value) == (TOPICS.dead_letters, bad.key, b"{")
    assert headers == [
        *bad.headers,
        ("reason", b"not JSON"),
        ("topic", TOPICS.results.encode()),
        ("partition", b"3"),
        ("offset", b"7"),
    ]
