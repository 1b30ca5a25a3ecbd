"""Writes the processors' reports: the last of each; those silent for an hour are forgotten."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.model.known_reports import KnownReport, known_report
from services.status.model.timestamps import micros
from services.status.tables.bulk_writes import replacing, write
from services.status.tables.definitions import processors
from shared.contract.events import ProcessorReported

FORGOTTEN_AFTER_SECONDS: Final = 3600


async def write_reports(connection: AsyncConnection, reports: Sequence[ProcessorReported]) -> None:
    """Writes the last report of each processor. The order of the topic counts: clocks may be wrong, or be put back.

    The times of the reports are those of `as_received`.
    """
    statement = select(processors.c.report).where(processors.c.instance.in_({report.instance for report in reports}))
    found = map(KnownReport.model_validate_json, (await connection.execute(statement)).scalars())
    last = {report.instance: report for report in found}
    for report in reports:
        last[report.instance] = known_report(report, last.get(report.instance))
    values: list[dict[str, object]] = [
        {"instance": instance, "occurred_at": micros(report.occurred_at), "report": report.model_dump_json()}
        for instance, report in last.items()
    ]
    await write(connection, processors, values, replacing(processors))
    oldest = max(micros(report.occurred_at) for report in reports) - FORGOTTEN_AFTER_SECONDS * 1_000_000
    await connection.execute(delete(processors).where(processors.c.occurred_at < oldest))
