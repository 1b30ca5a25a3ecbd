"""Records become events; what cannot be decoded becomes a dead letter, and a row that failed."""

import json

import pytest
from aiokafka import ConsumerRecord
from structlog.testing import capture_logs

from services.status.metrics import UNKNOWN_EVENTS
from services.status.projection.decoding import DeadLetterTopic, Decoder
from services.status.projection.event_batch import EventBatch
from services.status.tables.column_limits import check_column_limits
from shared.contract.cloud_events import encode
from shared.contract.events import RowErrorCode, SendingPaused
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
    when = fields.get("when", 1_700_000_000_000)
    return ConsumerRecord(topic, partition, offset, when, 0, fields["key"], fields["value"], 0, 0, 0, fields["headers"])


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


def unknown_events(topic):
    """How many have been counted so far."""
    return UNKNOWN_EVENTS.labels(topic)._value.get()


@pytest.mark.parametrize("topic", [TOPICS.jobs, TOPICS.results, TOPICS.processors])
async def test_an_event_of_a_newer_version_is_counted_and_named_in_one_log_line_a_type(topic):
    """It is nobody's fault, and no dead letter."""
    before = unknown_events(topic)
    admired = [record(topic, headers=(("ce_type", b"JobAdmired"),), offset=offset) for offset in range(3)]
    with capture_logs() as lines:
        batch, dead_letters = await decoded(*admired, record(topic, headers=(("ce_type", b"JobSold"),)))
    assert (batch, dead_letters) == (EventBatch(), [])
    assert unknown_events(topic) - before == 4
    assert [line["type"] for line in lines if line["event"] == "event_type_unknown"] == ["JobAdmired", "JobSold"]


@pytest.mark.parametrize("headers", [(), (("ce_type", b""),), (("ce_type", b"\xff"),), (("ce_type", None),)])
@pytest.mark.parametrize("topic", [TOPICS.jobs, TOPICS.results, TOPICS.processors])
async def test_a_record_that_does_not_say_which_event_it_is_is_a_dead_letter(topic, headers):
    """On each topic, with a log line; nothing is skipped in silence."""
    with capture_logs() as lines:
        batch, dead_letters = await decoded(record(topic, headers=headers, offset=7))
    assert (batch, dead_letters) == (EventBatch(), [(7, "no ce_type says which event it is")])
    assert [(line["event"], line["offset"]) for line in lines] == [("record_undecodable", 7)]


async def test_a_result_that_does_not_say_its_type_fails_its_row():
    """Key and id say which: the job can end."""
    headers = tuple(header for header in record(TOPICS.results).headers if header[0] != "ce_type")
    batch, _ = await decoded(record(TOPICS.results, headers=headers))
    assert [(result.row, result.code) for result in batch.results] == [(2, RowErrorCode.UNDECODABLE)]


async def test_an_event_on_a_topic_where_it_does_not_belong_is_a_dead_letter():
    """Nobody writes a row's result to hospital.jobs."""
    strangers = [
        record(TOPICS.jobs, HISTORY.created(2), offset=1),
        record(TOPICS.results, HISTORY.accepted(), offset=2),
        record(TOPICS.processors, HISTORY.accepted(), offset=3),
        record(TOPICS.jobs, report(), offset=4),
    ]
    batch, dead_letters = await decoded(*strangers)
    assert batch == EventBatch()
    assert [offset for offset, _ in dead_letters] == [1, 2, 3, 4]


async def test_a_pause_of_all_sending_stands_on_the_topic_of_jobs_and_changes_no_job():
    """It is for the processors."""
    assert await decoded(record(TOPICS.jobs, SendingPaused(request_id="r"))) == (EventBatch(), [])


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


@pytest.mark.parametrize(
    ("key", "timestamp"), [(b"j" * 4_000, 0), (b"job-1", -1), (b"job-1", 2**62), (b"job-1", -(2**62))]
)
async def test_the_result_of_a_row_that_could_not_be_read_can_be_kept_itself(key, timestamp):
    """The key and the time of a record may be anything."""
    headers = (("ce_type", b"RowCreated"), ("ce_id", key + b":2:1"))
    batch, dead_letters = await decoded(record(TOPICS.results, key=key, headers=headers, value=b"{", when=timestamp))
    for failed in batch.results:
        check_column_limits(failed, failed.model_dump_json().encode())
    assert (len(dead_letters), len(batch.results)) == (1, len(key) < 10)


async def test_a_reason_quotes_no_more_of_the_record_than_can_be_read():
    """Names of columns stand in it: they may hold anything, and be as long as the record."""
    value = json.dumps(HISTORY.created(2).model_dump(mode="json") | {"columns": {"a\0" + "b" * 10_000: 7}}).encode()
    batch, [(_, reason)] = await decoded(record(TOPICS.results, value=value))
    assert reason.isprintable()
    assert len(reason) <= 500
    assert "\0" not in batch.results[0].message


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


async def test_a_record_without_key_and_value_has_a_dead_letter_too():
    """Kafka's client refuses to write one that has neither."""
    publisher = RecordingPublisher()
    await DeadLetterTopic(publisher, TOPICS.dead_letters).put(record(TOPICS.jobs, key=None, value=None), "no value")
    [(_, key, value, _)] = publisher.sent
    assert (key, value) == (None, b"")
