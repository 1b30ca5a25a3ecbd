"""Those who upload: each with a key, until it is answered, or until it gives up."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.ingest.publication.job_transaction import NotPublished, OutcomeUnknown
from services.ingest.publication.jobs_topic import EndsUnknown
from services.ingest.submission import Answer
from services.ingest.upload.body import UploadedFile
from shared.runtime.databases import DatabaseDown
from shared.runtime.http.problems import Problem

if TYPE_CHECKING:
    from tests.simulation.uploads.world import UploadWorld

#: A client hears nothing for so long: it tries again.
ANSWER_SECONDS = 5.0
#: What a client that wants an answer gets for good.
FINAL = frozenset({"key_reused"})
#: What the API answers with 409 or 503.
EXPECTED = (Problem, DatabaseDown, NotPublished, OutcomeUnknown, EndsUnknown)


@dataclass
class Client:
    """One client. `patient`: it goes on until it is answered. `jobs` and `bodies`: of all its answers."""

    key: str
    file: UploadedFile
    patient: bool
    answers: list[Answer] = field(default_factory=list)
    refused: str = ""
    #: Errors that the API would answer with 500.
    broke: list[str] = field(default_factory=list)
    asked: int = 0

    async def upload(self, world: "UploadWorld") -> None:
        """Sends its file again and again, to any replica."""
        while True:
            if (replica := world.any_replica()) is not None:
                self.asked += 1
                request = replica.submit(self.file, self.key)
                done, _ = await asyncio.wait({request}, timeout=ANSWER_SECONDS * (0.2 + world.chance.random()))
                if not done:
                    replica.hang_up(request)
                elif self._heard(request):
                    if world.chance.random() < 0.5:
                        return
                    self.patient = False  # it asks once more: its first answer may not have come through
            if not self.patient and world.chance.random() < 0.6:
                return
            await asyncio.sleep(world.chance.choice((0.05, 0.5, 2.0)) * world.chance.random())

    def _heard(self, request: "asyncio.Task[Answer]") -> bool:
        if request.cancelled():
            return False
        error = request.exception()
        if error is None:
            self.answers.append(request.result())
            return True
        if isinstance(error, Problem) and error.error_type in FINAL:
            self.refused = error.error_type
            return True
        if not isinstance(error, EXPECTED):
            self.broke.append(repr(error))
        return False
