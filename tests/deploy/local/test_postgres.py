"""The databases that tests get."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from deploy.local.postgres import ThrowawayPostgres


async def test_a_test_gets_an_empty_database_that_takes_work(postgres_url: str):
    """Real PostgreSQL, not a likeness."""
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("CREATE TABLE jobs (id int)")
        await connection.copy_records_to_table("jobs", records=[(1,), (2,)])
        assert await connection.fetchval("SELECT count(*) FROM jobs") == 2
    finally:
        await connection.close()


async def test_the_next_test_finds_nothing_of_it(postgres_url: str):
    """Each has a database of its own."""
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT to_regclass('jobs')") is None
    finally:
        await connection.close()


def test_a_throwaway_server_leaves_nothing_behind():
    """Neither a process nor a file."""
    with ThrowawayPostgres() as server:
        directory = asyncio.run(data_directory(server.url))
        assert directory.exists()
    assert not directory.parent.exists()
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(data_directory(server.url))


async def data_directory(url: str) -> Path:
    connection = await asyncpg.connect(url)
    try:
        return Path(await connection.fetchval("SHOW data_directory"))
    finally:
        await connection.close()
