"""What is read of Kafka, and when: which partitions are paused, and what becomes of records that do not fit."""

import pytest
from aiokafka import TopicPartition

from services.processor.assignment.lane_reader import LaneReader
from services.processor.memory.budget import MemoryBudget
from services.processor.memory.sizes import FETCHED_AT_ONCE, LARGEST_CHARGE, charge
from tests.support.processor.lane_doubles import Clock, accepted, beginning, finish, lane_settings, make_lane, record

EXPRESS, BULK, JOBS = "hospital.rows.express", "hospital.rows.bulk", "hospital.jobs"
PLENTY = 1000 * LARGEST_CHARGE


class Partitions:
    """A consumer: what lies in each partition, how far it was read, and what is paused."""

    def __init__(self, lanes):
        self.records = {TopicPartition(topic, lane): [] for topic in (EXPRESS, BULK, JOBS) for lane in range(lanes)}
        self.positions = dict.fromkeys(self.records, 0)
        self.pauses = set()

    def fill(self, topic, lane, rows, **fields):
        where = TopicPartition(topic, lane)
        self.records[where] = [record(accepted(row + 2, **fields), row, topic) for row in range(rows)]

    def assignment(self):
        return set(self.records)

    def paused(self):
        return set(self.pauses)

    def pause(self, *partitions):
        self.pauses |= set(partitions)

    def resume(self, *partitions):
        self.pauses -= set(partitions)

    def last_stable_offset(self, partition):
        return len(self.records[partition])

    def seek(self, partition, offset):
        self.positions[partition] = offset

    async def position(self, partition):
        return self.positions[partition]

    async def getmany(self, *partitions, timeout_ms, max_records):
        """All that is not paused, one partition after the other, as aiokafka does; bulk partitions came first."""
        batch = {}
        for where in sorted(partitions or self.records, key=lambda each: (each.topic == EXPRESS, each)):
            if where not in self.pauses and max_records:
                records = self.records[where][self.positions[where] :][:max_records]
                if records:
                    batch[where] = records
                    max_records -= len(records)
                    self.positions[where] += len(records)
        return batch


def reading(lanes, budget):
    """A reader with that many lanes, and the partitions that it reads."""
    memory = MemoryBudget(budget)
    owned = {index: make_lane(beginning(), memory=memory)[0] for index in range(lanes)}
    return LaneReader(lane_settings(), owned, memory, Clock()), Partitions(lanes)


def rows_of(reader, lane=0):
    return [row.event.row for row in reader._lanes[lane].unfinished_rows()]


async def poll(reader, consumer, times):
    for _ in range(times):
        await reader.poll(consumer)


async def test_what_does_not_fit_is_fetched_again_in_order():
    """Nothing is left out, and nothing comes twice."""
    size = charge(b"job:2", record(accepted(2), 0).value)
    reader, consumer = reading(1, 4 * 4 * 10 * size // 3)  # ten bulk rows a lane, or a few more
    reader._lanes[0]._memory.has_room = lambda *, express: True  # as if there were always room for the largest
    consumer.fill(BULK, 0, 50)
    seen, lane = [], reader._lanes[0]
    while len(seen) < 50:
        await poll(reader, consumer, 2)
        assert 1 <= len(rows_of(reader)) <= 11
        for row in list(lane.unfinished_rows()):
            seen.append(row.event.row)
            finish(lane, row, row.created(1))
        await lane.committer.commit()
    assert seen == list(range(2, 52))


async def test_bulk_partitions_are_paused_first_and_come_back():
    """Express rows and requests for activation are read on meanwhile."""
    reader, consumer = reading(6, 40 * LARGEST_CHARGE)
    wide = ("x" * 300_000,)
    for lane in range(6):
        consumer.fill(BULK, lane, 100, cells=wide)
    await poll(reader, consumer, 40)
    reader.pause_and_resume(consumer)
    assert {where.topic for where in consumer.assignment() - consumer.paused()} == {EXPRESS, JOBS}
    for lane in reader._lanes.values():
        for row in list(lane.unfinished_rows()):
            finish(lane, row, row.created(1))
        await lane.committer.commit()
    reader.pause_and_resume(consumer)
    assert BULK in {where.topic for where in consumer.assignment() - consumer.paused()}


async def test_express_rows_are_read_before_bulk_rows_that_were_fetched_earlier():
    """A million bulk rows may have been fetched before the small job came."""
    reader, consumer = reading(1, PLENTY)
    consumer.fill(BULK, 0, 5_000)
    consumer.fill(EXPRESS, 0, 3, job_id="small")
    await poll(reader, consumer, 2)
    assert {row.event.job_id for row in reader._lanes[0].unfinished_rows()} == {"job", "small"}


async def test_bulk_rows_are_read_beside_an_endless_stream_of_express_rows():
    """Every other poll is for all."""
    reader, consumer = reading(1, PLENTY)
    consumer.fill(BULK, 0, 5_000)
    consumer.fill(EXPRESS, 0, 5_000, job_id="small")
    await poll(reader, consumer, 6)
    jobs = [row.event.job_id for row in reader._lanes[0].unfinished_rows()]
    assert jobs.count("job") == jobs.count("small")


async def test_what_waits_in_many_partitions_is_fetched_in_turn():
    """Together they would leave no room for express rows in an answer, and fill the memory."""
    reader, consumer = reading(20, PLENTY)
    for lane in range(20):
        consumer.fill(BULK, lane, 300, cells=("x" * 50_000,))
    for _ in range(400):
        await reader.poll(consumer)
        read = {where.partition for where in consumer.assignment() - consumer.paused() if where.topic == BULK}
        behind = {lane for lane in read if consumer.positions[TopicPartition(BULK, lane)] < 300}
        assert len(behind) <= FETCHED_AT_ONCE
    assert all(rows_of(reader, lane) for lane in range(20))


@pytest.mark.parametrize("topic", [EXPRESS, BULK])
async def test_a_lane_without_rows_reads_one_when_the_others_hold_all_memory(topic):
    """Theirs may be in doubt for as long as nobody answers their look-ups."""
    reader, consumer = reading(3, 20 * LARGEST_CHARGE)
    reader._memory.lane().take(30 * LARGEST_CHARGE, express=True)
    consumer.fill(topic, 1, 10)
    await poll(reader, consumer, 10)
    assert rows_of(reader, 1) == [2]
