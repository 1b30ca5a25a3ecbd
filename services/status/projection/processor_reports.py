"""Writes the processors' reports: the latest of each; those silent for an hour are forgotten."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.model.timestamps import micros
from services.status.tables.bulk_writes import replacing, write
from services.status.tables.definitions import processors
from shared.contract.events import ProcessorReported

FORGOTTEN_AFTER_SECONDS: Final = 3600


async def write_reports(connection: AsyncConnection, reports: Iterable[ProcessorReported]) -> None:
    """Writes those reports that are newer than what is known of their processor."""
    found = await connection.execute(select(processors.c.instance, processors.c.occurred_at))
    known: dict[str, int] = {report.instance: report.occurred_at for report in found}
    latest: dict[str, dict[str, object]] = {}
    for report in reports:
        occurred_at = micros(report.occurred_at)
        if occurred_at > known.get(report.instance, -1):
            known[report.instance] = occurred_at
            value = report.model_dump_json()
            latest[report.instance] = {"instance": report.instance, "occurred_at": occurred_at, "report": value}
    if latest:
        await write(connection, processors, list(latest.values()), replacing(processors))
        oldest = select(func.max(processors.c.occurred_at) - FORGOTTEN_AFTER_SECONDS * 1_000_000).scalar_subquery()
        await connection.execute(delete(processors).where(processors.c.occurred_at < oldest))
