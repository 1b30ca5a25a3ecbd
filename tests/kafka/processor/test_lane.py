"""Lanes on a real broker, with the engine in this process: takeover, fences, hand-overs, and what a commit leaves."""

import asyncio
import io
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import IllegalGenerationError, NoOffsetForPartitionError

from services.processor.engine import Engine
from services.processor.lane.ownership import LaneEnd
from services.processor.lane.takeover import take_over
from services.processor.lane.transactions import LaneFenced, LaneTransactions
from services.processor.offsets.watermark import MAX_METADATA_BYTES, Watermark
from services.processor.operations.dead_letters import export_letters, list_letters
from services.processor.subscriptions import lane_topics
from shared.contract.cloud_events import encode
from shared.contract.events import (
    BatchActivated,
    BatchActivationRequested,
    JobCancelRequested,
    JobFinished,
    JobOutcome,
    RowCreated,
    RowFailed,
    RowUnprocessed,
)
from shared.runtime.kafka import kafka_options
from tests.support.former_member import of_the_generation_before
from tests.support.processor.installation import TIMEOUT_SECONDS, rows, running_installation
from tests.support.processor.lane_doubles import accepted
from tests.support.topic_reader import TopicReader
from tests.support.until import until


@pytest.fixture
async def installation(kafka_bootstrap, topic_prefix):
    """Two lanes on the run's broker."""
    async with running_installation(kafka_bootstrap, topic_prefix) as installation:
        yield installation


async def test_rows_become_hospitals_and_an_idle_lane_has_no_lag(installation):
    """The committed offset passes the transaction's marker; otherwise the lag would stay at 1."""
    async with installation.processing():
        await installation.write(*rows(30))
        await installation.write(
            *rows(30, job_id="other", batch_id="b2"), topic=installation.topics.rows_bulk, partition=1
        )
        found = await installation.results(60)
        assert {type(result) for result in found} == {RowCreated}

        async def no_lag() -> bool:
            commits = await installation.commits()
            return (
                commits.get(TopicPartition(installation.topics.rows_express, 0), (0, ""))[0] == 31
                and commits.get(TopicPartition(installation.topics.rows_bulk, 1), (0, ""))[0] == 31
            )

        await until("no lag", no_lag, TIMEOUT_SECONDS)
    assert installation.sandbox.request_log.creates == 60
    assert installation.sandbox.request_log.doubles_total == 0


async def test_a_clean_hand_over_has_no_lease_to_wait_for(installation):
    """`released` was committed: the next owner sends at once, and nothing is sent twice."""
    slow = {"lease_seconds": 60.0}
    async with installation.processing(**slow):
        await installation.write(*rows(10))
        await installation.results(10)
    assert all(":r:" in f":{metadata.split(':')[1]}:" for _, metadata in (await installation.commits()).values())
    async with installation.processing(**slow):
        await installation.write(*rows(10, start=12))
        await installation.results(20)
    assert installation.sandbox.request_log.creates == 20


async def test_a_lane_that_stays_through_a_rebalance_goes_on_where_it_was(installation):
    """A second processor joins and leaves; every row is created once, whoever had it."""
    installation.sandbox.inject(latency_ms=20)
    async with installation.processing(hospital_api_max_connections=4) as first:
        await installation.owns(first, 0, 1)
        await installation.write(*rows(300))
        await installation.write(*rows(300, job_id="other", batch_id="b2"), partition=1)
        async with installation.processing(hospital_api_max_connections=4) as second:
            await until("a lane each", lambda: len(second.lane_consumer.running_lanes()) == 1, TIMEOUT_SECONDS)
            await installation.results(100)
        await installation.results(600)
    assert installation.sandbox.request_log.creates == 600
    assert installation.sandbox.request_log.doubles_total == 0


async def test_a_fenced_lane_is_discarded_and_comes_back_only_when_it_is_still_assigned(installation):
    """It must not fence its new owner. Without a rebalance within a session time-out it is still the owner."""
    async with installation.processing() as engine:
        await installation.owns(engine, 0, 1)
        fenced = engine.lane_consumer.lanes[0]
        other_owner = LaneTransactions(installation.settings, 0)
        await other_owner.open()
        await installation.write(*rows(5))
        await until("the lane is fenced", lambda: fenced.end is LaneEnd.FENCED, TIMEOUT_SECONDS)
        assert engine.lane_consumer.lanes[0] is fenced
        await asyncio.sleep(1)
        await other_owner.commit([], {topic: Watermark(0, 5) for topic in installation.topics.rows})
        await other_owner.close()
        assert engine.lane_consumer.lanes[0] is fenced, "it came back by itself"
        assert installation.sandbox.request_log.creates <= 5
        found = await installation.results(5)
        assert engine.lane_consumer.lanes[0] is not fenced
    assert len(found) == 5
    assert installation.sandbox.request_log.doubles_total == 0, "rows below the other horizon were looked up first"


class OnceUnanswered(LaneTransactions):
    """The first commit with records happens, and its producer is left in the middle of the next transaction."""

    happened = False

    async def commit(self, records, watermarks):
        await super().commit(records, watermarks)
        if records and not OnceUnanswered.happened:
            OnceUnanswered.happened = True
            self._transactions._producer._txn_manager.state = None
            await super().commit([], watermarks)


async def test_a_commit_that_nobody_answered_is_followed_by_a_takeover(installation):
    """The results are either there or made again; never twice."""
    async with installation.processing(OnceUnanswered) as engine:
        await installation.owns(engine, 0, 1)
        before = engine.lane_consumer.lanes[0]
        await installation.write(*rows(20))
        found = await installation.results(20)
        assert before.end is LaneEnd.INDEFINITE
    assert len(found) == 20
    assert installation.sandbox.request_log.creates == 20


async def test_results_and_offsets_are_of_one_transaction(installation):
    """A fenced owner leaves neither: no result without its offset, no offset without its result."""
    old = LaneTransactions(installation.settings, 0)
    await old.open()
    await old.commit([], {installation.topics.rows_express: Watermark(3, 3)})
    new = LaneTransactions(installation.settings, 0)
    await new.open()
    result = encode(RowFailed(**failure()), "t")
    records = [(installation.topics.results, result.key, result.value, result.headers)]
    with pytest.raises(LaneFenced):
        await old.commit(records, {installation.topics.rows_express: Watermark(9, 9)})
    await new.commit(records, {installation.topics.rows_express: Watermark(5, 5)})
    assert len(await installation.results(1)) == 1
    assert (await installation.commits())[TopicPartition(installation.topics.rows_express, 0)][0] == 5
    for transactions in (old, new):
        await transactions.close()


def failure() -> dict[str, object]:
    row = accepted(2)
    facts = row.model_dump(exclude={"address", "phone"})
    return {**facts, "attempts": 1, "started_at": row.occurred_at, "code": "rejected", "message": "no"}


async def test_a_takeover_reads_what_its_predecessor_wrote_last(installation):
    """Horizon and bitmap. For a lane without commits the horizon is the end of the topic."""
    await installation.write(*rows(8))
    express = installation.topics.rows_express
    async with member(installation) as consumer:
        fresh = await take_over(installation.settings, consumer, 0, LaneTransactions(installation.settings, 0))
        assert (fresh.unowned, fresh.clean) == (True, True)
        assert fresh.watermarks[express] == Watermark(0, 9), "all that there is is in doubt"
        mark = Watermark(2, 6, 3, 0b110)
        others = {topic: Watermark(0, 0) for topic in lane_topics(installation.topics) if topic != express}
        await fresh.transactions.commit([], {express: mark, **others})
        second = await take_over(installation.settings, consumer, 0, LaneTransactions(installation.settings, 0))
        assert second.watermarks[express] == mark
        assert (second.unowned, second.clean) == (False, False)
        with pytest.raises(LaneFenced):
            await fresh.transactions.commit([], {express: Watermark(0, 0)})
        await second.transactions.commit(
            [], {topic: Watermark(3, 3, released=True) for topic in lane_topics(installation.topics)}
        )
        third = await take_over(installation.settings, consumer, 0, LaneTransactions(installation.settings, 0))
        assert third.clean
    for each in (fresh, second, third):
        await each.transactions.close()


async def test_a_former_member_fences_nobody(installation):
    """It lost the lane and has not heard of it; its owner goes on. Whoever joins knows of the new generation."""
    owner = LaneTransactions(installation.settings, 0)
    await owner.open()
    async with member(installation) as consumer:
        former = of_the_generation_before(consumer)
        with pytest.raises(IllegalGenerationError):
            await take_over(installation.settings, former, 0, LaneTransactions(installation.settings, 0))
        await owner.commit([], {installation.topics.rows_express: Watermark(0, 0)})
        after = await take_over(installation.settings, consumer, 0, LaneTransactions(installation.settings, 0))
        with pytest.raises(LaneFenced):
            await owner.commit([], {installation.topics.rows_express: Watermark(0, 0)})
    for each in (owner, after.transactions):
        await each.close()


@asynccontextmanager
async def member(installation):
    """The only member of the processors' group: all lanes are assigned to it."""
    async with kafka_consumer(installation, group_id=installation.topics.group("processor")) as consumer:
        consumer.subscribe(lane_topics(installation.topics))
        while not consumer.assignment():
            with suppress(NoOffsetForPartitionError):
                await consumer.getmany(timeout_ms=100)
        yield consumer


def kafka_consumer(installation, **options):
    return AIOKafkaConsumer(**kafka_options.consumer_options(installation.settings), **options)


@pytest.mark.no_cover  # 40,000 records, one like the other
async def test_aborted_records_inside_a_window_keep_the_commit_small(installation):
    """With a bit for each offset the metadata had 6,672 characters; the broker accepts 4,096."""
    installation.sandbox.inject(name_rules=[{"contains": "Slow", "latency_ms": 900}])
    await installation.write(accepted(2, name="Slow"), accepted(3))
    for start in range(0, 40_000, 10_000):
        await installation.write(*rows(10_000, start=10 + start, job_id="aborted"), abort=True)
    await installation.write(*rows(50, start=4))
    sizes = []
    async with installation.processing():

        async def seen() -> bool:
            offset, metadata = (await installation.commits()).get(
                TopicPartition(installation.topics.rows_express, 0), (-1, "")
            )
            sizes.append((offset, len(metadata)))
            return offset >= 40_000

        await until("the commit has passed them", seen, 40)
        found = await installation.results(52)
    assert len(found) == installation.sandbox.request_log.creates == 52
    assert max(size for _, size in sizes) <= MAX_METADATA_BYTES // 10


async def test_records_deleted_below_the_commit_stop_that_lane_and_no_other(installation):
    """Going on would hide that rows are lost. Readiness says which, and what to do."""
    async with installation.processing():
        await installation.write(*rows(3))
        await installation.results(3)
    await installation.write(*rows(20, start=5))
    admin = kafka_options.admin_client(installation.settings)
    await admin.start()
    await admin.delete_records({TopicPartition(installation.topics.rows_express, 0): RecordsToDelete(before_offset=15)})
    await admin.close()
    async with installation.processing() as engine:
        await until("the lane has stopped", lambda: ended(engine, 0) is LaneEnd.RECORDS_MISSING, TIMEOUT_SECONDS)
        await installation.write(*rows(5, job_id="other", batch_id="b2"), partition=1)
        await installation.results(8)
        assert [lane.partition for lane in engine.lane_consumer.running_lanes()] == [1]
        with pytest.raises(RuntimeError, match="rows were deleted before they were processed"):
            await engine.lane_consumer.check_lanes()
        await engine.liveness.check()


def ended(engine: Engine, partition: int) -> LaneEnd | None:
    lane = engine.lane_consumer.lanes.get(partition)
    return lane.end if lane else None


async def test_dead_letters_are_listed_and_exported(installation):
    """With the reason and the place; the row that the key names has failed; the others go on."""
    await installation.write(accepted(2))
    await installation.write_raw(b"job:3", b"{", [("ce_type", b"RowAccepted"), ("ce_id", b"job:3:2")])
    await installation.write_raw(None, b"\xff", [])
    await installation.write(accepted(4))
    async with installation.processing():
        found = await installation.results(3)
    assert sorted((result.row, result.round, type(result)) for result in found) == [
        (2, 1, RowCreated),
        (3, 2, RowFailed),
        (4, 1, RowCreated),
    ]
    out = io.StringIO()
    assert await list_letters(installation.settings, out) == 2
    assert "job:3" in out.getvalue()
    out = io.StringIO()
    assert await export_letters(installation.settings, out) == 2


async def test_the_largest_undecodable_record_becomes_a_dead_letter(installation):
    """It is as large as the topic accepts; with the reason in its headers it would be too large."""
    await installation.write_raw(b"job:3", b"x" * (1_048_588 - 120), [("ce_type", b"RowAccepted")])
    await installation.write_raw(b"job:4", b"{}", [("ce_type", b"x" * (1_048_588 - 120))])
    await installation.write_raw(b"x" * (1_048_588 - 120) + b":5", b"{}", [("ce_type", b"RowAccepted")])
    await installation.write(accepted(6))
    async with installation.processing():
        found = await installation.results(3)
    assert sorted((result.row, type(result)) for result in found) == [(3, RowFailed), (4, RowFailed), (6, RowCreated)]


async def test_cancelled_rows_are_unprocessed_and_the_rest_goes_on(installation):
    """Rows in a window at once. A processor that starts later knows of the cancellation too."""
    installation.sandbox.inject(latency_ms=200)
    async with installation.processing(hospital_api_max_connections=1):
        await installation.write(*rows(50))
        await until("a call", lambda: installation.sandbox.request_log.creates > 1, TIMEOUT_SECONDS)
        await installation.write(JobCancelRequested(tenant="t", job_id="job"), topic=installation.topics.jobs)
        found = await installation.results(50)
    created = sum(isinstance(result, RowCreated) for result in found)
    assert sum(isinstance(result, RowUnprocessed) for result in found) == 50 - created
    assert installation.sandbox.request_log.creates == created
    installation.sandbox.inject(latency_ms=0)
    async with installation.processing():
        await installation.write(*rows(5, start=100))
        assert len(await installation.results(55)) == 55
    assert installation.sandbox.request_log.creates == created


async def test_rows_whose_answers_are_lost_are_found_by_look_up(installation):
    """And those that the directory failed to create are tried again."""
    installation.sandbox.inject(lose_answer=0.3, error_before=0.3, seed=4)
    async with installation.processing():
        await installation.write(*rows(40))
        found = await installation.results(40)
    created = [result for result in found if isinstance(result, RowCreated)]
    assert installation.sandbox.request_log.creates == len(created)
    assert installation.sandbox.request_log.doubles_total == 0
    assert any(result.found for result in created)


async def test_batches_are_activated_when_a_job_has_finished_or_somebody_asks(installation):
    """Each answer once a request, also for a processor that starts later."""
    await installation.write(*rows(2))
    finished = JobFinished(
        tenant="t",
        job_id="job",
        outcome=JobOutcome.ALL_CREATED,
        total_hospitals=2,
        created_hospitals=2,
        failed_hospitals=0,
        unprocessed_hospitals=0,
        batch_ids=("batch",),
    )
    asked = BatchActivationRequested(tenant="t", job_id="job", batch_id="batch", request_id="by hand")
    async with installation.processing():
        await installation.results(2)
        await installation.write(finished, asked, topic=installation.topics.jobs)
        await installation.job_events(BatchActivated, 2)
    assert all(hospital.active for hospital in installation.sandbox.hospitals)
    async with installation.processing() as engine:
        await installation.owns(engine, 0, 1)
        await asyncio.sleep(0.5)
    answers = await installation.job_events(BatchActivated, 2)
    assert sorted(answer.request_id for answer in answers) == ["by hand", "finished:1"]


async def test_a_processor_reports_itself(installation):
    """Every few seconds."""
    async with installation.processing() as engine:
        await installation.owns(engine, 0, 1)
        async with TopicReader(installation.settings, installation.topics.processors) as reader:

            async def lanes() -> bool:
                return any(len(report.lanes) == 2 for report in await reader.events())

            await until("a report with lanes", lanes, TIMEOUT_SECONDS)
