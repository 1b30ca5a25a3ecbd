"""Rows that version 0.1.0 accepted, in flight while the services are updated: they become what they would have become.

Beside them the same file as ingest publishes it now, through the same processor and status.
"""

import csv
import io
from uuid import uuid4

import httpx
import pytest

from shared.contract.events import JobAccepted, RowAccepted, RowOutcome
from tests.support.ingest.ingest_process import IngestProcess
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.status.status_service import API, StatusService
from tests.support.until import until

COLUMNS = ("Beds", " NAME", "Note", "Address ", "Phone")
#: The second and third row are short, the last is refused at first.
ROWS = (
    ("12", "St. Mary", 'a "b", c', "1 Long Street", "+1 555-1"),
    ("", " Clínica São José", "", "Rua 45"),
    ("7", "Sunrise ", "", " 88 Hill Street ", ""),
    ("", "St. Refused", "\n", "2 Long Street", "555-2"),
)
WHOLE = [[*row, *[""] * (len(COLUMNS) - len(row))] for row in ROWS]


@pytest.fixture
async def system(kafka_bootstrap, topic_prefix, tmp_path):
    """A directory that refuses one row."""
    async with ProcessorSystem(kafka_bootstrap, topic_prefix, tmp_path) as system:
        await system.inject(name_rules=[{"contains": "Refused", "status": 422}])
        yield system


@pytest.fixture
async def status(system, tmp_path, free_port):
    async with StatusService(
        system.settings, f"sqlite:///{tmp_path}/status.db", free_port, tmp_path / "status.log"
    ) as service:
        await service.ready()
        yield service


def older_job() -> tuple[JobAccepted, list[RowAccepted]]:
    """The file as ingest of 0.1.0 wrote it: each cell by the name of its column, empty ones at the end as well."""
    about = {"tenant": "default", "job_id": str(uuid4())}
    batch_id = str(uuid4())
    rows = [
        RowAccepted(
            **about,
            batch_id=batch_id,
            row=number,
            name=cells[1].strip(),
            address=cells[3].strip(),
            phone=cells[4] or None,
            columns=dict(zip(COLUMNS, cells, strict=True)),
        )
        for number, cells in enumerate(WHOLE, 2)
    ]
    job = JobAccepted(
        **about,
        file_name="older.csv",
        file_sha256="0" * 64,
        total_hospitals=len(rows),
        batch_ids=(batch_id,),
        columns=COLUMNS,
    )
    return job, rows


def csv_file() -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([COLUMNS, *ROWS])
    return text.getvalue().encode()


async def uploaded(system: ProcessorSystem, folder) -> str:
    """The job that the file becomes now."""
    kafka = {name: value for name, value in system.environment.items() if name.startswith("KAFKA_")}
    ingest = IngestProcess(folder, kafka)
    await ingest.start()
    try:
        async with httpx.AsyncClient(base_url=ingest.url) as client:
            files = {"file": ("newer.csv", csv_file(), "text/csv")}
            answer = await client.post(f"{API}/bulk", files=files, headers={"Idempotency-Key": "newer"})
    finally:
        ingest.kill()
    assert answer.status_code == 202, answer.text
    return answer.json()["job_id"]


async def own_cells(status: StatusService, job_id: str, name: str) -> list[list[str]]:
    """The rows of a result file without the columns that status adds."""
    text = (await status.http.get(f"{API}/jobs/{job_id}/{name}.csv")).text
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header[: len(COLUMNS)] == list(COLUMNS)
    return [row[: len(COLUMNS)] for row in rows]


async def test_rows_in_flight_during_an_update_become_what_their_file_says(system, status, tmp_path):
    """In result files, in retries and in the directory; and their results keep the form that other readers know."""
    accepted, rows = older_job()
    await system.write([*((system.topics.rows_express, row) for row in rows), (system.topics.jobs, accepted)])
    jobs = {"older": accepted.job_id, "newer": await uploaded(system, tmp_path)}
    await system.start_processors(1)
    for job_id in jobs.values():
        await status.shows(job_id, status="completed", created_hospitals=3, failed_hospitals=1)
        assert await own_cells(status, job_id, "successful") == WHOLE[:3]
        assert await own_cells(status, job_id, "failed") == WHOLE[3:]

    await system.inject(name_rules=[])
    for job_id in jobs.values():
        assert (await status.http.post(f"{API}/jobs/{job_id}/retry")).status_code == 202
        await status.shows(job_id, status="completed", created_hospitals=4, activated=True)
        assert await own_cells(status, job_id, "successful") == WHOLE

    results = await system.results()
    older, newer = ([each for each in results if each.job_id == job_id] for job_id in jobs.values())
    assert len(older) == len(newer) == 5
    assert all(each.columns == dict(zip(COLUMNS, WHOLE[each.row - 2], strict=True)) for each in older)
    assert all((each.cells, each.columns) == (cells_left(each), None) for each in newer)
    assert [told(each) for each in sorted(older, key=by_row)] == [told(each) for each in sorted(newer, key=by_row)]
    assert (await system.admin("stats"))["creates"] == 8
    await until("every processor is well", lambda: all(each.alive for each in system.processors), 5)


def by_row(result: RowOutcome) -> tuple[int, int]:
    return result.row, result.round


def told(result: RowOutcome) -> tuple[object, ...]:
    """What is the same, whichever version accepted the row."""
    return result.row, result.round, type(result), result.name, result.address, result.phone


def cells_left(result: RowOutcome) -> tuple[str, ...]:
    """The row's cells to the last one that is not empty."""
    row = ROWS[result.row - 2]
    return row[:-1] if row[-1] == "" else row
