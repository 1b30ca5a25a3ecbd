"""Trouble that stays for a while when all other trouble has ended. Who is not concerned must not wait for its end.

half cut         a processor has lost the coordinator of its group, and nothing else
sick batches     some batches can be neither looked up nor activated; of one of them the creations fail too
stubborn rows    some rows always get 500, and may be tried very often
"""

from collections.abc import Callable
from typing import Final

from tests.simulation.kafka.cluster import COORDINATOR
from tests.simulation.processors.clerks import Job
from tests.simulation.processors.directory import ACTIVATE, CREATE, LOOK_UP
from tests.simulation.processors.world import Processor, World
from tests.support.history import Violation

#: So long after all other trouble the healthy have to be done, in simulated seconds.
PATIENCE_SECONDS: Final = 20.0
STUBBORN_ROWS: Final = 8


class Lasting:
    """The lasting trouble of one simulation. Without any it does nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._checked_at = world.plan.trouble_seconds + PATIENCE_SECONDS
        self._cut_off: Processor | None = None
        self._sick_jobs: set[str] = set()
        self.lasts = bool(world.plan.lasting)

    def begin(self) -> None:
        """It begins some time after the others."""
        if self.lasts:
            begin: Callable[[], None] = {
                "half cut": self._cut_half,
                "sick batches": self._make_batches_sick,
                "stubborn rows": self._submit_stubborn_rows,
            }[self._world.plan.lasting]
            self._world.loop.call_at(2.5 + self._world.chance.random(), begin)

    def look(self) -> None:
        """When the time has come, sees who is still waiting, and ends it."""
        if self.lasts and self._cut_off is not None:
            self._cut()
        if self.lasts and self._world.loop.now >= self._checked_at:
            self.lasts = False
            if waiting := self._waiting():
                self._world.crashes.append(
                    Violation("healthy ones wait for others", f"for {PATIENCE_SECONDS:.0f} s", tuple(waiting))
                )
            self._world.directory.sick.clear()
            self._world.heal()

    def _waiting(self) -> list[str]:
        clerks = self._world.clerks
        rows = [
            f"{job.job_id}, row {number}"
            for job in clerks.jobs.values()
            if job.job_id not in self._sick_jobs
            for number in sorted(job.rows)
            if (number, 1) not in job.results and not job.rows[number].name.startswith("Breaks")
        ]
        asked = [batch for batch, _ in sorted(clerks.unanswered()) if batch not in self._world.directory.sick]
        return rows + [f"activation of {batch}" for batch in asked]

    # ---- half cut ----------------------------------------------------------------------------------------------------

    def _cut_half(self) -> None:
        alive = [processor for processor in self._world.alive if not processor.stopping]
        if alive:
            self._cut_off = max(alive, key=lambda each: len(each.lanes))
            self._cut()

    def _cut(self) -> None:
        if self._cut_off is not None and self._cut_off.alive:
            self._world.network.cut(self._cut_off.machine, (COORDINATOR.host, COORDINATOR.port), 2.0)

    # ---- sick batches ------------------------------------------------------------------------------------------------

    def _make_batches_sick(self) -> None:
        sick = self._world.directory.sick
        for kinds, rows, batches in (((LOOK_UP, ACTIVATE), 3, 3), ((CREATE, LOOK_UP, ACTIVATE), 6, 6)):
            job = self._submit({"Hospital": 1}, rows, batches)
            self._sick_jobs.add(job.job_id)
            sick.update(dict.fromkeys(job.batch_ids, kinds))
        self._world.loop.call_later(4.0, self._submit, {"Hospital": 1}, 10, 3)

    # ---- stubborn rows -----------------------------------------------------------------------------------------------

    def _submit_stubborn_rows(self) -> None:
        self._submit({"Breaks": 1}, STUBBORN_ROWS, 1)
        self._submit({"Hospital": 1}, 10, 1)

    def _submit(self, kinds: dict[str, int], rows: int, batches: int) -> Job:
        self._world.clerks.kinds = kinds
        job = self._world.clerks.submit(rows, express=True, batches=batches)
        self._world.note(f"*** {job.job_id} with {rows} rows of {', '.join(kinds)}")
        return job
