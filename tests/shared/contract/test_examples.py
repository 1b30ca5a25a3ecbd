"""What stands in shared/contract/examples is what is on the topics."""

import json
from pathlib import Path

import pytest

import shared.contract
from shared.contract.cloud_events import decode, encode
from shared.contract.events import EVENT_TYPES, Event
from shared.contract.schema_files import committed
from shared.contract.topics import Topics

EXAMPLES = Path(shared.contract.__file__).parent / "examples"
every_event = pytest.mark.parametrize("name", EVENT_TYPES)
OF_ROWS = ("RowAccepted", "RowCreated", "RowFailed", "RowUnprocessed")
SELDOM = {"RowAccepted": {"may_exist"}, "RowFailed": {"carried_over"}, "RowUnprocessed": {"carried_over"}}
every_row_event = pytest.mark.parametrize("name", OF_ROWS)


def example(name: str) -> dict:
    return json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))


def event(name: str) -> Event:
    return EVENT_TYPES[name].model_validate(example(name))


def test_every_event_has_an_example_and_no_example_lacks_its_event():
    """The folder holds one value for each event, and the one whole record."""
    names = {path.stem for path in EXAMPLES.glob("*.json")}
    assert names - {"RowAccepted.record"} == set(EVENT_TYPES)


@every_event
def test_an_example_survives_the_way_through_kafka(name):
    """Encoded and decoded again, it is the same event."""
    written = encode(event(name), "tests")
    assert decode(written.headers, written.value) == event(name)


@every_event
def test_an_example_shows_every_field_as_it_is_written(name):
    """What a service would write for this event is the example, field for field."""
    assert json.loads(event(name).model_dump_json()) == example(name)


@every_event
def test_an_example_has_the_fields_of_its_schema(name):
    """Readers who go by the schema file find all of its fields in the example that are always written, and no other."""
    seldom = {field for field, info in EVENT_TYPES[name].model_fields.items() if info.exclude_if is not None}
    assert seldom == ({"columns"} if name in OF_ROWS else set()) | SELDOM.get(name, set())
    assert set(example(name)) | seldom == set(committed()[name]["properties"])


def test_a_row_says_only_when_it_cannot_exist():
    """Most rows are of the first round, where nobody asks: the field would be in a million events for nothing."""
    first = EVENT_TYPES["RowAccepted"].model_validate(example("RowAccepted"))
    assert first.may_exist
    assert "may_exist" not in json.loads(encode(first, "ingest").value)
    refused = first.model_copy(update={"round": 2, "may_exist": False})
    written = encode(refused, "status")
    assert json.loads(written.value)["may_exist"] is False
    assert decode(written.headers, written.value) == refused


def written_by_0_1_0(name: str) -> dict:
    """The event as version 0.1.0 wrote it: the row's cells by their names, and its address and phone only at first."""
    old = example(name)
    cells = old.pop("cells")
    if name != "RowAccepted":
        del old["address"], old["phone"]
    columns = example("JobAccepted")["columns"]
    return old | {"columns": dict(zip(columns, [*cells, "", ""], strict=False))}


@every_row_event
def test_the_events_of_rows_of_version_0_1_0_are_read(name):
    """They stay on the topics for ever, and rows may be in flight while the services are updated."""
    old = written_by_0_1_0(name)
    read = decode(encode(event(name), "tests").headers, json.dumps(old).encode())
    assert isinstance(read, EVENT_TYPES[name])
    assert (read.cells, read.columns) == ((), old["columns"])
    assert json.loads(read.model_dump_json()).items() >= old.items(), "and what is written of it has the same fields"


@every_row_event
def test_cells_stand_in_the_order_of_the_job_s_columns(name):
    """None is more than there are columns; what is empty at the end is left out, so that short rows stay short."""
    columns, cells = example("JobAccepted")["columns"], example(name)["cells"]
    assert dict(zip(columns, cells, strict=False))["name"] == example(name)["name"]
    assert len(cells) <= len(columns)
    assert cells[-1] != ""


@every_event
def test_unknown_fields_are_tolerated(name):
    """A newer writer may say more: an older reader reads what it knows."""
    newer = {**example(name), "told_by_a_newer_version": {"anything": [1, 2]}}
    written = encode(event(name), "tests")
    assert decode(written.headers, json.dumps(newer).encode()) == event(name)


@every_event
def test_an_event_cannot_be_changed(name):
    """Facts are frozen."""
    with pytest.raises(ValueError, match="frozen"):
        event(name).version = 1


def test_the_examples_tell_one_story():
    """One job of three rows, one batch, and counts that agree."""
    told = [example(name) for name in EVENT_TYPES]
    assert len({event["job_id"] for event in told if "job_id" in event}) == 1
    assert {event["row"] for event in told if "row" in event} == {2, 3, 4}
    assert {event["batch_id"] for event in told if "batch_id" in event} == set(example("JobAccepted")["batch_ids"])
    finished = example("JobFinished")
    counts = ("created_hospitals", "failed_hospitals", "unprocessed_hospitals")
    assert sum(finished[count] for count in counts) == example("JobAccepted")["total_hospitals"] == 3


def test_no_two_examples_share_an_event_id():
    """Not even a row and its result: an id names one event, whatever topics a reader reads."""
    ids = [event(name).event_id for name in EVENT_TYPES]
    assert len(set(ids)) == len(ids)


def test_a_result_is_named_by_its_row_its_round_and_what_came_of_it():
    """The row itself keeps the name that the directory knows it by."""
    accepted, created = event("RowAccepted"), event("RowCreated")
    assert accepted.event_id == f"{accepted.job_id}:2:1"
    assert created.event_id == f"{accepted.event_id}:created"
    assert {event(name).event_id.rpartition(":")[2] for name in OF_ROWS[2:]} == {"failed", "unprocessed"}


@every_event
def test_a_record_names_its_schema_file_and_its_row(name):
    """So that a reader need not parse the id."""
    headers = dict(encode(event(name), "tests").headers)
    schema = headers["ce_dataschema"].decode().rpartition("/")[2]
    assert schema.removesuffix(".json") in committed()
    assert schema == f"{name}.json"
    row = example(name).get("row")
    assert headers.get("ce_subject") == (None if row is None else str(row).encode())


def test_the_example_record_is_what_a_producer_sends():
    """Topic, key and headers of a row, as a downstream consumer sees them."""
    record = json.loads((EXAMPLES / "RowAccepted.record.json").read_text("utf-8"))
    written = encode(event("RowAccepted"), "ingest", record["headers"]["traceparent"])
    assert record == {
        "topic": Topics().rows_express,
        "key": written.key.decode(),
        "headers": {name: value.decode() for name, value in written.headers},
        "value": "RowAccepted.json",
    }
