"""Rows that were found for a correction become part of the tables, with all that follows from them."""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.status.projection import chains, job_writes
from services.status.projection.chains import ChainFound
from services.status.projection.round_writes import write_rounds
from services.status.tables.definitions import corrections


async def name_rows(engine: AsyncEngine, job_id: str, named: str) -> bool:
    """The correction names these rows of the job that it corrects. False when it has named some already.

    `named`: as `shared.contract.row_set` writes them. Raises SQLAlchemyError or OSError: then nothing has changed.
    """
    members = {job_id}
    while True:
        try:
            async with engine.begin() as connection:
                return await _name(connection, job_id, named, members)
        except ChainFound as found:
            members |= set(found.members)


async def _name(connection: AsyncConnection, job_id: str, named: str, members: set[str]) -> bool:
    # First, since SQLite knows only one who writes.
    unmatched = corrections.c.job_id == job_id, corrections.c.unmatched
    written = await connection.execute(update(corrections).where(*unmatched).values(named_rows=named, unmatched=False))
    if written.rowcount != 1:
        return False
    known = await job_writes.lock(connection, (), members)
    locked = await chains.load(connection, members, known, ())
    for corrected, rows in locked.named.items():
        if job_id in locked.joined_before[corrected]:
            await chains.count_corrected(connection, corrected, rows)
    await job_writes.save(connection, known, locked.links, await write_rounds(connection, known, {}, ()))
    return True
