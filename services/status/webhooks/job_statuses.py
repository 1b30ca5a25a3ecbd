"""What is posted: the job's status as HTTP answers it, at that moment."""

import json
from typing import Final

from services.status.model.timestamps import Clock
from services.status.queries.job_summaries import job_answer
from services.status.queries.read_database import ReadDatabase
from shared.contract.events import JobFinished

_READ_SECONDS: Final = 5.0


class JobStatuses:
    """The answers about jobs, as the body of a message."""

    def __init__(self, database: ReadDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def body(self, event: JobFinished) -> bytes | None:
        """`{"type": "job.finished", "timestamp": …, "data": <status>}`; None when the job is not known any more.

        `timestamp` is the moment of the event. Raises a 503 problem when the database is away.
        """
        found = await self._database.read(
            lambda connection: job_answer(connection, event.tenant, event.job_id, self._clock()), _READ_SECONDS
        )
        if found is None:
            return None
        envelope = {"type": "job.finished", "timestamp": event.occurred_at.isoformat()}
        return f'{json.dumps(envelope)[:-1]}, "data": {found.model_dump_json()}}}'.encode()
