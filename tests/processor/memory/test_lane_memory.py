"""What the rows of a lane hold: from their delivery until the commit of their result returns."""

import asyncio
import gc
from contextlib import suppress

import pytest

from services.processor.job_commands import JobCommands
from services.processor.lane.ownership import LaneEnd
from services.processor.lane.row import Row
from services.processor.memory.budget import MemoryBudget
from services.processor.memory.sizes import LARGEST_CHARGE, charge
from shared.contract.events import JobCancelRequested, RowErrorCode
from tests.support.processor.lane_doubles import accepted, admit, beginning, finish, make_lane, record

BULK = "hospital.rows.bulk"
WIDE = tuple(f"cell {number}" for number in range(100))


@pytest.fixture
def budget():
    return MemoryBudget(100 * LARGEST_CHARGE)


def charged(*events):
    """What the events are charged."""
    records = [record(event, 0) for event in events]
    return sum(charge(each.key, each.value) for each in records)


async def test_a_row_is_charged_until_its_result_is_committed(budget):
    """A result that waits for the commit is in memory as the row was."""
    lane, _ = make_lane(beginning(), memory=budget)
    admit(lane, accepted(2), accepted(3))
    first, _ = lane.unfinished_rows()
    finish(lane, first, first.created(1))
    assert budget.held == charged(accepted(2), accepted(3))
    await lane.committer.commit()
    assert budget.held == charged(accepted(3))


async def test_what_is_done_while_a_commit_is_under_way_waits_for_the_next(budget):
    """Its result is not in this one."""
    lane, transactions = make_lane(beginning(), memory=budget)
    admit(lane, accepted(2), accepted(3))
    first, second = lane.unfinished_rows()
    finish(lane, first, first.created(1))
    transactions.broker_answer = asyncio.get_running_loop().create_future()
    commit = asyncio.create_task(lane.committer.commit())
    await asyncio.sleep(0)
    finish(lane, second, second.created(2))
    transactions.broker_answer.set_result(None)
    await commit
    assert budget.held == charged(accepted(3))


async def test_a_lane_that_ends_holds_nothing(budget):
    """Its next owner gets its rows delivered again."""
    lane, _ = make_lane(beginning(), memory=budget)
    admit(lane, *(accepted(row) for row in range(2, 12)))
    running = asyncio.create_task(lane.run())
    await asyncio.sleep(0)
    lane.close()
    assert await running is LaneEnd.CLOSED
    assert budget.held == 0
    assert not list(lane.unfinished_rows())


async def test_a_lane_whose_commit_fails_holds_nothing(budget):
    """Nobody knows what was committed: the next takeover reads it."""
    lane, transactions = make_lane(beginning(), memory=budget)
    admit(lane, accepted(2), accepted(3))
    first, _ = lane.unfinished_rows()
    finish(lane, first, first.created(1))
    transactions.broker_answer = asyncio.get_running_loop().create_future()
    transactions.broker_answer.set_exception(RuntimeError("away"))
    with suppress(RuntimeError):
        await lane.run()
    assert budget.held == 0


async def test_a_dead_letter_is_charged_with_its_headers(budget):
    """It is kept as it was received."""
    lane, _ = make_lane(beginning(), memory=budget)
    undecodable = record(None, 0, key=b"job:2", value=b"?", headers=(("big", b"x" * 500_000),))
    lane.admit("hospital.rows.express", [undecodable], 1)
    assert budget.held > 3 * 500_000
    await lane.committer.commit()
    assert budget.held == 0


async def test_a_row_that_came_twice_is_charged_once(budget):
    """The second has no result of its own."""
    lane, _ = make_lane(beginning(), memory=budget)
    admit(lane, accepted(2), accepted(2))
    assert budget.held == charged(accepted(2))


async def test_requests_for_activation_are_not_charged(budget):
    """They never wait for memory."""
    lane, _ = make_lane(beginning(), memory=budget)
    admit(lane, JobCancelRequested(tenant="t", job_id="job"), topic="hospital.jobs")
    assert budget.held == 0
    assert lane.has_room("hospital.jobs", 1)
    assert lane.fitting("hospital.jobs", [record(accepted(2), 0)] * 5) == 5


@pytest.mark.parametrize("topic", ["hospital.rows.express", BULK])
async def test_a_lane_takes_only_what_fits(topic):
    """The rest is fetched again."""
    lane, _ = make_lane(beginning(), memory=MemoryBudget(0))
    events = [accepted(2), accepted(3)]
    assert lane.has_room(topic, 1)
    assert lane.fitting(topic, [record(event, row) for row, event in enumerate(events)]) == 1
    admit(lane, accepted(2), topic=topic)
    assert not lane.has_room(topic, 1)
    assert lane.fitting(topic, [record(accepted(3), 1)]) == 0


async def test_cancelled_rows_are_in_no_queue_any_more():
    """They waited behind rows of another job, which may take hours."""
    commands = JobCommands(lambda _jobs: None, lambda: None)
    lane, _ = make_lane(beginning(), job_commands=commands)
    admit(lane, *(accepted(row, job_id="first") for row in range(2, 52)))
    admit(lane, *(accepted(row, job_id="second") for row in range(2, 1002)), start=50)
    commands.apply([record(JobCancelRequested(tenant="public", job_id="second"), 0, "hospital.jobs")])
    lane.cancel("second")
    gc.collect()
    assert sum(isinstance(each, Row) and each.event.job_id == "second" for each in gc.get_objects()) <= 50 / 7


@pytest.mark.parametrize(
    "fields", [{"cells": WIDE}, {"cells": (), "columns": {f"column {cell}": cell for cell in WIDE}}]
)
async def test_a_wide_rows_result_has_its_cells_as_they_came(fields):
    """Also those of version 0.1.0, which came by the names of their columns."""
    lane, transactions = make_lane(beginning())
    admit(lane, accepted(2, **fields))
    (row,) = lane.unfinished_rows()
    assert row.event.cells == ()
    finish(lane, row, row.failed(RowErrorCode.REJECTED, "no"))
    await lane.committer.commit()
    (result,) = transactions.events
    assert (result.cells, result.columns) == (fields["cells"], fields.get("columns"))
