"""The service as its operator starts it."""

import gc
import os
import sqlite3
import subprocess
import sys

import pytest

from deploy.local.ports import free_port
from services.ingest import program as start
from services.ingest.job_events.job_validation import MAX_EVENT_BYTES
from services.ingest.keys.sqlite_lock import claim
from services.ingest.settings import MAX_BATCHES, IngestSettings


def run(directory, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `python -m services.ingest` with these arguments does until it ends."""
    surroundings = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "OTEL_"))},
        "INGEST_DATABASE_URL": f"sqlite:///{directory / 'ingest.db'}",
        "HTTP_PORT": str(free_port()),
        **environment,
    }
    command = [sys.executable, "-m", "services.ingest", *arguments]
    return subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=60, check=False)


def test_migrate_makes_the_tables(tmp_path):
    """And a second time changes nothing."""
    assert [run(tmp_path, "migrate").returncode for _ in range(2)] == [0, 0]

    with sqlite3.connect(tmp_path / "ingest.db") as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    made = {"reservations", "accepted_files", "created_chunks", "created_progress", "alembic_version"}
    assert tables == {f"ingest_{name}" for name in made}


def test_a_wrong_value_is_named_in_one_line(tmp_path):
    """With the variable's name."""
    ended = run(tmp_path, MAX_CSV_ROWS="many")

    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "MAX_CSV_ROWS" in ended.stderr


@pytest.mark.parametrize(
    ("rows", "batch_rows", "words"),
    [
        (1_000_000, 3, "set BATCH_ROWS to at least 40, or MAX_CSV_ROWS to at most 75000"),
        (30_000_000, 1_000, "set MAX_CSV_ROWS to at most 25000000"),
    ],
)
def test_jobs_whose_events_could_not_be_written_stop_the_start(tmp_path, rows, batch_rows, words):
    """Both variables are named, and what to do: no upload of that size could ever be published."""
    ended = run(tmp_path, MAX_CSV_ROWS=str(rows), BATCH_ROWS=str(batch_rows))

    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert f"MAX_CSV_ROWS={rows} with BATCH_ROWS={batch_rows}" in ended.stderr
    assert words in ended.stderr


@pytest.mark.parametrize(("rows", "batch_rows"), [(1_000_000, 40), (25_000, 1), (25_000_000, 1_000)])
def test_what_an_event_can_just_hold_is_taken(rows, batch_rows):
    """Ids of so many batches, and room for ordinary columns."""
    assert IngestSettings(max_csv_rows=rows, batch_rows=batch_rows).batch_rows == batch_rows
    assert MAX_EVENT_BYTES - 39 * MAX_BATCHES > 50_000


def test_an_unknown_command_says_what_there_is(tmp_path):
    """In one line."""
    ended = run(tmp_path, "nonsense")

    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "python -m services.ingest --help" in ended.stderr
    assert "serve" in ended.stderr
    assert "migrate" in ended.stderr


def test_collecting_garbage_stops_nothing_for_long(tmp_path, monkeypatch):
    """What was imported is never looked through again: that took a tenth of a second."""
    monkeypatch.setenv("INGEST_DATABASE_URL", f"sqlite:///{tmp_path / 'ingest.db'}")
    monkeypatch.setenv("HTTP_PORT", str(free_port()))
    monkeypatch.setattr(sys, "argv", ["ingest"])
    monkeypatch.setattr(start, "configure_logging", lambda *_: None)
    frozen = []

    async def serve(*_: object) -> None:
        frozen.append(gc.get_freeze_count())

    monkeypatch.setattr(start, "serve", serve)
    interval = sys.getswitchinterval()
    try:
        start.main()
    finally:
        gc.unfreeze()
        sys.setswitchinterval(interval)

    assert frozen[0] > 10_000


def test_a_second_service_on_one_sqlite_file_is_refused(tmp_path):
    """Two could both take the same key."""
    first = claim(IngestSettings(ingest_database_url=f"sqlite:///{tmp_path / 'ingest.db'}").database)

    ended = run(tmp_path)

    assert first is not None
    first.close()
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "several need PostgreSQL" in ended.stderr


def test_postgresql_takes_as_many_as_there_are():
    """Its own locks are enough."""
    assert claim(IngestSettings(ingest_database_url="postgresql://nobody@127.0.0.1/none").database) is None
