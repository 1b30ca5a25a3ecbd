"""What things are charged: at least what they take."""

import gc
import tracemalloc

import pytest

from services.processor.memory.budget import MemoryBudget
from services.processor.memory.sizes import COPIES, LEAST_WINDOW_BYTES, charge, window_bytes
from services.processor.settings import ProcessorSettings
from shared.contract.topics import MAX_MESSAGE_BYTES
from shared.runtime.settings import load
from tests.support.processor.lane_doubles import accepted, beginning, finish, make_lane, record

#: pydantic keeps short strings that it has read, some 16,000 of them, once for the process.
KEPT_STRINGS = 1_000_000
#: Rows, cells, and what is in them.
CELLS = {
    "narrow": (3000, 3, lambda row, cell: f"{row} Main Street {cell}"),
    "20 short ones": (3000, 20, lambda row, cell: f"{row % 90:02}"),
    "500 short ones": (500, 500, lambda row, cell: f"{row * 500 + cell:06}"),
    "100 long ones": (100, 100, lambda row, cell: f"{row}-{cell}" + "x" * 900),
    "four bytes a letter": (100, 100, lambda row, cell: f"{row}-{cell}" + "\U0001f3e5" * 90),
    "one letter of four bytes": (100, 100, lambda row, cell: f"{row}-{cell}\U0001f3e5" + "x" * 900),
}


@pytest.mark.parametrize("kind", CELLS)
async def test_a_row_takes_no_more_than_it_is_charged(kind):
    """From its delivery until its result is committed, whatever its cells are like."""
    lane, transactions = make_lane(beginning())
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        charged = deliver(lane, kind)
        assert taken_since(before) <= charged + KEPT_STRINGS
        for row in list(lane.unfinished_rows()):
            finish(lane, row, row.created(row.event.row))
        del row
        await lane.committer.commit()  # the fake keeps what it was given
        encoded = sum(size(result) for result in transactions.commits[-1][0])
        assert taken_since(before) + (COPIES - 1) * encoded <= charged + KEPT_STRINGS
    finally:
        tracemalloc.stop()


def deliver(lane, kind):
    """Delivers rows and keeps nothing else of them; returns what they are charged."""
    rows, count, text = CELLS[kind]
    charged = 0
    for offset in range(rows):
        cells = tuple(text(offset, cell) for cell in range(count))
        delivered = record(accepted(offset + 2, cells=cells), offset)
        charged += charge(delivered.key, delivered.value)
        lane.admit(delivered.topic, [delivered], offset + 1)
    return charged


def taken_since(before):
    """The bytes that Python has allocated more than before."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


def size(record):
    """The bytes that a record takes on Kafka."""
    _, key, value, headers = record
    return len(key) + len(value) + sum(len(name) + len(about) for name, about in headers)


def test_what_is_left_for_rows_is_named_by_the_settings():
    """The program and what is being fetched take their part."""
    assert 200_000_000 < ProcessorSettings().window_bytes < 384_000_000


@pytest.mark.parametrize("partitions", [1, 6, 60, 1000])
def test_the_least_memory_holds_the_largest_record_of_each_kind(partitions):
    """The message says how much that is."""
    with pytest.raises(ValueError, match="PROCESSOR_MEMORY_MB has to be at least") as refused:
        window_bytes(1, partitions)
    least = int(str(refused.value).split("at least ")[1].split()[0])
    with pytest.raises(ValueError, match="PROCESSOR_MEMORY_MB"):
        window_bytes(least - 1, partitions)
    budget = MemoryBudget(window_bytes(least, partitions))
    lane = budget.lane()
    lane.take(1, express=False)
    lane.take(1, express=True)
    assert budget.limit >= LEAST_WINDOW_BYTES
    for kind in (True, False):
        assert lane.fitting([charge(b"key", b"x" * MAX_MESSAGE_BYTES)], express=kind) == 1


@pytest.mark.parametrize("value", ["100", "0", "-1", "much", "1.5"])
def test_too_little_stops_the_start_with_one_line(value, monkeypatch, capsys):
    """Which names the variable."""
    monkeypatch.setenv("PROCESSOR_MEMORY_MB", value)
    with pytest.raises(SystemExit):
        load(ProcessorSettings)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "PROCESSOR_MEMORY_MB" in line
