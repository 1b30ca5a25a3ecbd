"""What runs beside the API."""

import asyncio

from structlog.testing import capture_logs

from services.ingest.service import keep_running


async def test_work_in_the_background_goes_on_after_a_fault():
    """It is logged with its stack; the next turn does what the first left undone."""
    turns, done = [ValueError("a bug"), AssertionError("aiokafka's")], asyncio.Event()

    async def work() -> None:
        if turns:
            raise turns.pop()
        done.set()

    with capture_logs() as logs:
        running = asyncio.create_task(keep_running("sweep", work, 0.001))
        await asyncio.wait_for(done.wait(), 5)
        running.cancel()

    assert [(entry["event"], entry["work"]) for entry in logs] == [("background_fault", "sweep")] * 2
    assert [type(entry["exc_info"]) for entry in logs] == [AssertionError, ValueError]
