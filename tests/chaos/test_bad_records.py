"""Records and rows that cannot be processed: the others go on, each bad one ends with its reason."""

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import RecordsToDelete

from shared.contract.cloud_events import encode, header
from shared.contract.events import JobAccepted, RowErrorCode, RowFailed
from shared.runtime.kafka import kafka_options
from tests.chaos.conftest import Kept
from tests.chaos.size import sized
from tests.support.audit import finish_and_audit
from tests.support.processor.jobs import Job, make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

GOOD = sized(200, 1000)
REFUSED = 20
#: More than a bitmap over offsets could hold in a commit's 4,096 bytes.
ABORTED = sized(25_000, 40_000)


async def test_undecodable_records_and_rows_that_always_get_422(system: ProcessorSystem, kept: Kept):
    """Dead letters with reason and place, failed results for rows that a key names, the directory's words for 422."""
    await system.inject(name_rules=[{"contains": "Refused", "status": 422}])
    await system.start_processors(2)
    job = make_job(GOOD + REFUSED, names=[f"Refused {index}" for index in range(REFUSED)])
    undecodable = await write_undecodable(system, job)
    await system.publish(job)
    audit = await finish_and_audit(system, job, undecodable, seconds=120)
    failed = [result for result in audit.results if isinstance(result, RowFailed)]
    refused = [result for result in failed if result.code is RowErrorCode.REJECTED]
    unreadable = [result for result in failed if result.code is RowErrorCode.UNDECODABLE]
    assert audit.kinds["RowCreated"] == GOOD
    assert {result.name for result in refused} == {f"Refused {index}" for index in range(REFUSED)}
    assert all(result.http_status == 422 and "Refused" in result.message for result in refused)
    assert {result.row for result in unreadable} == {row.row for row in undecodable.rows}
    letters = await dead_letters(system)
    assert len(letters) == len(unreadable) + 2, "a letter for every undecodable record, with a row or without"
    assert all(header(letter.headers, "reason") for letter in letters)
    kept(
        f"{len(letters)} undecodable records, {REFUSED} rows always 422: {audit.summary()}, {len(letters)} dead letters"
    )


async def test_a_window_over_tens_of_thousands_of_aborted_records(system: ProcessorSystem, kept: Kept):
    """What an upload wrote and aborted lies inside the window: the commit stays small, and nothing of it is created."""
    await system.inject(latency_ms=20, name_rules=[{"contains": "Slow", "latency_ms": 1500}])
    before, aborted, after = make_job(30, names=["Slow 1", "Slow 2", "Slow 3"]), make_job(ABORTED), make_job(GOOD)
    await system.publish(before)
    await system.write([(system.topics.rows_express, row) for row in aborted.rows], abort=True)
    await system.publish(after)
    # The slow rows keep the window open over all of it, while rows behind it finish and are committed.
    first = await system.start_processor()
    await until("rows behind the aborted ones have results", lambda: has_results(system, 27 + GOOD // 2), 120)
    await first.die()
    await system.start_processors(1)
    audit = await finish_and_audit(system, before, after, seconds=60)
    assert audit.kinds == {"RowCreated": 30 + GOOD}
    assert not any(each.logged("lane_indefinite") for each in system.processors), "a commit was refused"
    kept(f"{ABORTED} aborted records inside a window, kill -9: {audit.summary()}")


async def test_records_deleted_below_the_commit_stop_their_lane_loudly(system: ProcessorSystem, kept: Kept):
    """Rows that were deleted before they were processed are missed, not skipped: that lane stops, the others go on."""
    await system.start_processors(1)
    begun = make_job(60)
    await system.publish(begun)
    await system.wait_for_results(60, 30)
    await system.stop_processors()
    lost = make_job(120)
    await system.publish(lost)
    gone = await delete_all_records(system, partition=0)
    assert gone, "no row was deleted: the partition had none"
    processor = await system.start_processor()
    await until("the lane has stopped", lambda: bool(processor.logged("lane_stopped")), 30)
    results = await system.wait_for_results(60 + 120 - gone, 30)
    stopped = processor.logged("lane_stopped")
    assert {line["partition"] for line in stopped} == {0}
    assert "rows were deleted before they were processed" in stopped[0]["reason"]
    await system.stop_processors()
    assert len(await system.results()) == len(results) == 180 - gone
    kept(
        f"{gone} records deleted below the commit: lane 0 stopped and says why, {len(results) - 60} rows of others done"
    )


async def write_undecodable(system: ProcessorSystem, job: Job) -> Job:
    """Writes records that nobody can read; returns the rows that their keys name, as a job of their own."""
    undecodable = make_job(4)
    types = [("ce_type", b"RowAccepted")]
    unknown = [("ce_type", b"RowFromTheFuture")]
    named = [(b"{", types), (None, types), (b"\xff\xfe", types), (b"{}", unknown)]
    for row, (value, headers) in zip(undecodable.rows, named, strict=True):
        await system.write_raw(system.topics.rows_express, row.key.encode(), value, headers)
    await system.write_raw(system.topics.rows_express, None, b"no key, no headers", [])
    stray = JobAccepted(
        tenant="public",
        job_id=job.job_id,
        file_name="hospitals.csv",
        file_sha256="0" * 64,
        total_hospitals=1,
        batch_ids=("b",),
        columns=("name",),
    )
    record = encode(stray, "test")
    await system.write_raw(system.topics.rows_bulk, record.key, record.value, record.headers)
    return undecodable


async def dead_letters(system: ProcessorSystem) -> list[ConsumerRecord]:
    """The records on the topic of dead letters."""
    return await (await system.reader(system.topics.dead_letters)).read()


async def has_results(system: ProcessorSystem, count: int) -> bool:
    """Whether so many results are visible."""
    return len(await system.results()) >= count


async def delete_all_records(system: ProcessorSystem, partition: int) -> int:
    """Deletes what one partition of express rows holds; returns how many rows of it nobody had processed."""
    where = TopicPartition(system.topics.rows_express, partition)
    admin = kafka_options.admin_client(system.settings)
    await admin.start()
    try:
        records = await (await system.reader(where.topic)).read()
        await admin.delete_records({where: RecordsToDelete(before_offset=-1)})
        done = {(result.job_id, result.row) for result in await system.results()}
    finally:
        await admin.close()
    keys = [record.key.decode().rpartition(":") for record in records if record.partition == partition]
    return sum((job, int(row)) not in done for job, _, row in keys)
