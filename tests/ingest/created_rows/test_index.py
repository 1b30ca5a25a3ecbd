"""Created rows in memory and in a file: what is found, and how much memory a row takes."""

import pickle
import sys
import tracemalloc
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.created_rows.chunks import CHUNK_ROWS, HashedRow, add_rows
from services.ingest.created_rows.index import CreatedIndex
from services.ingest.row_matching.created_before import CreatedRow
from services.ingest.row_matching.duplicates import HashRange

DAY = datetime(2026, 11, 1, tzinfo=UTC)
JOBS = [str(uuid4()) for _ in range(4)]
HASHES = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**64 - 1, 0x0101010101010101])


def index_of(rows, key=b"key"):
    """An index of these (job, row, hash), each chunk added twice: as it grows, and whole."""
    index = CreatedIndex(key)
    half = len(rows) // 2
    chunks = {}
    for some in (rows[:half], rows[half:]):
        hashed = [HashedRow("north", job_id, row, number, DAY) for job_id, row, number in some]
        for chunk in add_rows(hashed, list(chunks.values())):
            index.add(chunk)
            chunks[chunk.job_id] = chunk
    return index


@given(
    created=st.lists(st.tuples(st.sampled_from(JOBS), st.integers(2, 2**32 - 1), HASHES), max_size=300),
    others=st.lists(HASHES, max_size=20),
    bits=st.integers(0, 3),
)
def test_a_hash_is_found_when_a_row_with_it_was_created(tmp_path_factory, created, others, bits):
    """In memory and in the file alike, and it is a row that has it."""
    index = index_of(created)
    file = pickle.loads(pickle.dumps(index.save(tmp_path_factory.mktemp("rows") / "created")))
    known = {
        number: [CreatedRow(job_id, row) for job_id, row, each in created if each == number] for *_, number in created
    }
    wanted = sorted({*known, *others})

    for rows in (index, file):
        assert rows.key == b"key"
        assert all(rows.find(number) in known.get(number, [None]) for number in wanted)
        for part in range(1 << bits):
            some = [number for number in wanted if number >> 64 - bits == part]
            within = rows.within(HashRange(part, bits), some)
            assert {number for number in some if number in within} == set(some) & set(known)


def test_a_row_takes_sixteen_bytes_of_memory_and_little_more(tmp_path):
    """With however many buckets."""
    step = 0x9E3779B97F4A7C15
    rows = [(JOBS[row // 50_000], row, row * step % 2**64) for row in range(2, 200_000)]
    index = index_of(rows)

    buckets, _ = index._buckets
    assert sum(map(sys.getsizeof, buckets)) < 20 * len(rows)
    assert len(index) == len(rows)
    file = index.save(tmp_path / "created")
    assert file.path.stat().st_size < 16.1 * len(rows)
    assert all(index.find(number) == CreatedRow(job_id, row) for job_id, row, number in rows[::997])
    assert all(file.find(number) == CreatedRow(job_id, row) for job_id, row, number in rows[::9973])


def test_comparing_a_few_rows_takes_little_memory(tmp_path):
    """However many rows were created."""
    step = 0x9E3779B97F4A7C15
    rows = [(JOBS[0], row, row * step % 2**64) for row in range(2, 400_000)]
    file = index_of(rows).save(tmp_path / "created")
    wanted = sorted(number for *_, number in rows[::1000])
    tracemalloc.start()
    try:
        known = file.within(HashRange(0, 0), wanted)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert all(number in known for number in wanted)
    assert peak < 16 * 2**20


def test_a_chunk_is_of_one_tenant():
    """Whatever job a result names: another tenant's hashes have another key."""
    rows = [HashedRow(tenant, JOBS[0], 2, 7, DAY) for tenant in ("north", "south", "north")]
    assert [chunk.tenant for chunk in add_rows(rows, [])] == ["north", "south", "north"]


@pytest.mark.parametrize("rows", [1, CHUNK_ROWS, CHUNK_ROWS + 1, 3 * CHUNK_ROWS])
def test_chunks_hold_so_many_rows_and_twelve_bytes_of_each(rows):
    """What is kept of a row is its hash and its number."""
    chunks = add_rows([HashedRow("north", JOBS[0], row, row, DAY) for row in range(rows)], [])

    assert [chunk.part for chunk in chunks] == list(range(-(-rows // CHUNK_ROWS)))
    assert sum(chunk.size for chunk in chunks) == rows
    assert sum(len(chunk.hashes) + len(chunk.rows) for chunk in chunks) == 12 * rows
