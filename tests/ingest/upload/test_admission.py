"""Who is let in, who waits for a moment, and what those are told who cannot be served."""

import asyncio

import pytest

from services.ingest.upload import admission_queue as lines
from services.ingest.upload.admission import Admission
from shared.runtime.problems import Problem


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """Patience of a twentieth of a second."""
    monkeypatch.setattr(lines, "PATIENCE_SECONDS", 0.05)


def test_uploads_are_let_in_up_to_the_limit():
    """And again when one has left."""
    admission = Admission(uploads=1)
    with admission.upload(), pytest.raises(Problem), admission.upload():
        pytest.fail("there was no room")

    with admission.upload():
        pass


@pytest.mark.parametrize("kind", ["small", "large"])
async def test_turns_are_for_so_many_at_a_time(kind):
    """A place that gets free is taken."""
    turn = getattr(Admission(small=1, large=1), kind)
    async with turn():
        with pytest.raises(Problem) as refusal:
            async with turn():
                pytest.fail("there was no room")

    assert refusal.value.status == 503
    assert refusal.value.retry_after
    async with turn():
        pass


async def test_small_and_large_ones_do_not_wait_for_each_other():
    """A small one takes a moment, a large one half a minute."""
    admission = Admission(small=1, large=1)
    async with admission.large(), admission.small():
        pass


async def test_a_line_that_is_too_long_is_closed(monkeypatch):
    """Those at its end would only wait for a refusal."""
    monkeypatch.setattr(lines, "SHORTEST_LINE", 1)
    monkeypatch.setattr(lines, "LONGEST_LINE", 1)
    admission = Admission(small=1)
    async with admission.small():
        waiting = asyncio.create_task(taken(admission))
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refusal, admission.upload():
            pytest.fail("there was no room")
        with pytest.raises(Problem):
            await waiting

    assert refusal.value.error_type == "busy"
    with admission.upload():
        pass


async def taken(admission: Admission) -> None:
    """A small turn, taken and given back."""
    async with admission.small():
        pass
