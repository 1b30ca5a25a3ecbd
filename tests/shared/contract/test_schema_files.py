"""The schemas in the repository are those of the events, and break nobody."""

from typing import Literal

import pytest
from pydantic import create_model

from shared.contract import schema_files
from shared.contract.events import EVENT_TYPES, RowCreated, RowEvent, SendingPaused, SendingResumed
from shared.contract.schema_files import (
    ANNOUNCED,
    DIRECTORY,
    IncompatibleEvents,
    breaking_changes,
    committed,
    schema,
    text,
    write,
)

EVENTS = {"SendingPaused": SendingPaused, "SendingResumed": SendingResumed}
NARROWER = {**EVENTS, "SendingPaused": create_model("SendingPaused", __base__=SendingPaused, why=(str, ...))}


@pytest.fixture
def directory(tmp_path):
    """Schema files as they were before a change."""
    write(tmp_path, EVENTS)
    return tmp_path


def test_every_event_has_a_schema_and_no_schema_lacks_its_event():
    """One file for each event."""
    assert set(committed()) == set(EVENT_TYPES)


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_the_committed_schema_is_the_generated_one(name):
    """Byte for byte, so that a change of an event is seen in review."""
    advice = f"shared/contract/schemas/{name}.json is not up to date: run {schema_files.COMMAND}"
    assert (DIRECTORY / f"{name}.json").read_text("utf-8") == text(schema(EVENT_TYPES[name])), advice


def test_the_events_are_compatible_with_the_committed_schemas():
    """Records stay on the topics for ever, and other teams read them."""
    broken = breaking_changes(committed())
    assert not broken, "\n".join([*broken, schema_files.ADVICE])


def test_only_what_changed_is_written(directory):
    """A second run changes nothing."""
    longer = create_model("SendingPaused", __base__=SendingPaused, until=(str | None, None))
    assert write(directory, {**EVENTS, "SendingPaused": longer}) == ["SendingPaused"]
    assert write(directory, {**EVENTS, "SendingPaused": longer}) == []
    assert "until" in committed(directory)["SendingPaused"]["properties"]


def test_a_change_that_breaks_somebody_writes_nothing(directory):
    """The refusal names event and field, and says what to do."""
    before = committed(directory)
    with pytest.raises(IncompatibleEvents, match=r"SendingPaused\.why: the field is now required") as refusal:
        write(directory, NARROWER)
    assert "add an optional field" in str(refusal.value)
    assert committed(directory) == before


def test_a_higher_version_announces_a_change(directory):
    """Whoever raises the version has thought about the readers."""
    announced = create_model("SendingPaused", __base__=NARROWER["SendingPaused"], version=(Literal[2], 2))
    assert write(directory, {**EVENTS, "SendingPaused": announced}) == ["SendingPaused"]
    assert "why" in committed(directory)["SendingPaused"]["required"]


def changed_since_0_1_0(**others):
    """What the comparison says of RowCreated as 0.1.0 wrote it, when `columns` or others were in every record."""
    known = {"columns": (dict[str, str], ...), **others}
    old = create_model("RowCreated", __base__=RowCreated, **known)
    return breaking_changes({"RowCreated": schema(old)}, {"RowCreated": RowCreated})


def test_a_break_that_is_announced_by_name_is_let_through_and_no_other():
    """`cells` took the place of `columns`: the changelog says so. Whatever else breaks in the same event is refused."""
    assert changed_since_0_1_0() == []
    assert changed_since_0_1_0(found=(bool, ...)) == [
        "RowCreated.found: the field may be missing now, readers count on it"
    ]


def test_what_is_announced_is_no_more_than_that_rows_have_cells():
    """A line more here is a line more in the changelog."""
    rows = {name for name, kind in EVENT_TYPES.items() if issubclass(kind, RowEvent)}
    words = "the field may be missing now, readers count on it"
    assert {f"{name}.columns: {words}" for name in rows} == ANNOUNCED


def test_a_removed_event_is_refused(directory):
    """Its records stay on the topics."""
    with pytest.raises(IncompatibleEvents, match="SendingResumed: the event was removed"):
        write(directory, {"SendingPaused": SendingPaused})


def test_the_command_says_what_it_wrote(monkeypatch, capsys):
    """Nothing, when everything is up to date."""
    monkeypatch.setattr(schema_files, "write", lambda: ["RowAccepted"])
    schema_files.main()
    assert capsys.readouterr().out == "Written: RowAccepted\n"


def test_the_command_stops_with_the_reasons(monkeypatch):
    """A script notices, and a person reads why."""

    def refuse():
        raise IncompatibleEvents("RowAccepted.name: the field was removed")

    monkeypatch.setattr(schema_files, "write", refuse)
    with pytest.raises(SystemExit, match=r"Nothing was written.\nRowAccepted.name"):
        schema_files.main()
