"""`python -m services.status rebuild`: makes the tables again from the topics, beside those that are in use.

The old tables answer until the new ones are complete; these then take their place in one transaction. Killed before
that, nothing has changed. Nothing is sent: no JobFinished, so nothing is activated. Jobs older than JOB_RETENTION_DAYS
are left out, also when the topics still hold them. Status services may run meanwhile.
"""

import time
from collections.abc import Callable

from aiokafka import ConsumerRecord, TopicPartition
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.lifecycle.retention import delete_expired, oldest
from services.status.projection.decoding import DeadLetterTopic
from services.status.rebuild.replay import Replay
from services.status.rebuild.shadow_tables import Offsets, ShadowTables, offsets_of, shadow_tables
from services.status.settings import RebuildSettings
from services.status.tables.definitions import jobs, rows
from services.status.tables.schema_version import migrate
from shared.runtime.databases import create_engine
from shared.runtime.kafka.publisher import Publisher
from shared.runtime.kafka.topic_admin import check_topics

_TELL_AFTER_SECONDS = 2.0

Report = Callable[[str], None]


class NewDeadLetters:
    """Writes only the dead letters of records that the old tables had not projected: the others are written already."""

    def __init__(self, writer: DeadLetterTopic, known: Offsets) -> None:
        self._writer = writer
        self._known = known

    async def put(self, record: ConsumerRecord, reason: str) -> None:
        """Writes the dead letter unless there is one."""
        if record.offset >= self._known.get(TopicPartition(record.topic, record.partition), 0):
            await self._writer.put(record, reason)


async def rebuild(settings: RebuildSettings, report: Report) -> None:
    """Makes the tables again; `report` gets the lines for the operator.

    Raises AlreadyRebuilding, TopicsUnusable, KafkaError, KafkaUnavailable, SQLAlchemyError or OSError: nothing has
    changed then.
    """
    began = time.monotonic()
    await check_topics(settings)
    async with Publisher(settings, "status") as publisher, shadow_tables(settings.url) as shadow:
        await migrate(shadow.engine)
        writer = NewDeadLetters(DeadLetterTopic(publisher, settings.topics.dead_letters), await _known(settings))
        async with Replay(settings, shadow.engine, writer) as replay:
            await _fill(replay, shadow, settings, report)
        seconds = time.monotonic() - began
        report(f"Done in {seconds:.0f} s. The new tables are in use; nothing was sent.")


async def _fill(replay: Replay, shadow: ShadowTables, settings: RebuildSettings, report: Report) -> None:
    report("Making the tables again from the topics. The old ones answer until the new ones are complete.")
    shown = _ProgressReport(report)
    await replay.to_the_end(shown)
    left_out = await delete_expired(shadow.engine, oldest(settings.job_retention_days), lambda _: True)
    report(f"Read: {replay.records:,} records. Made: {await _contents(shadow.engine)}.")
    if left_out:
        report(f"Jobs left out, since they finished more than {settings.job_retention_days:g} days ago: {left_out:,}.")
    await shadow.replace(lambda known: replay.up_to(known, shown))


async def _known(settings: RebuildSettings) -> Offsets:
    engine = create_engine(settings.url)
    try:
        return await offsets_of(engine)
    finally:
        await engine.dispose()


async def _contents(engine: AsyncEngine) -> str:
    async with engine.connect() as connection:
        visible = select(func.count()).select_from(jobs).where(jobs.c.created_at.is_not(None))
        made = [
            (await connection.execute(each)).scalar_one() for each in (visible, select(func.count()).select_from(rows))
        ]
    return f"{made[0]:,} jobs and {made[1]:,} rows"


class _ProgressReport:
    """Says every few seconds how far it is."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._next = time.monotonic() + _TELL_AFTER_SECONDS

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _TELL_AFTER_SECONDS
            self._report(f"{done:,} of {total:,} offsets read ({100 * done // max(total, 1)} %)")
