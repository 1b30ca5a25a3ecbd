"""When the rounds of a job ran: what it took, without the time in which nothing was to be done. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.status.model.timestamps import Micros


@dataclass(frozen=True, slots=True)
class RoundTime:
    """When the first row of a round was taken up, and when its JobFinished was written; None while it was not."""

    job_id: str
    round: int
    started_at: Micros | None = None
    finished_at: Micros | None = None

    def merged(self, other: "RoundTime") -> "RoundTime":
        """Both together: the earliest of each, since events may come again and in any order."""
        return RoundTime(
            self.job_id,
            self.round,
            _earliest(self.started_at, other.started_at),
            _earliest(self.finished_at, other.finished_at),
        )


@dataclass(frozen=True, slots=True)
class JobTimes:
    """The last round in which a row ran, when that was, and how long those before it took, in microseconds.

    A round without rows, as when a person resolves the last one, took no time.
    """

    timed_round: int = 0
    round_started_at: Micros | None = None
    round_ended_at: Micros | None = None
    earlier_active: int = 0


NO_TIMES = JobTimes()


def job_times(rounds: Iterable[RoundTime]) -> JobTimes:
    """What follows from the rounds of a job."""
    ran = sorted((each for each in rounds if each.started_at is not None), key=lambda each: each.round)
    if not ran:
        return JobTimes()
    earlier = sum(max((each.finished_at or 0) - (each.started_at or 0), 0) for each in ran[:-1] if each.finished_at)
    return JobTimes(ran[-1].round, ran[-1].started_at, ran[-1].finished_at, earlier)


def _earliest(one: Micros | None, other: Micros | None) -> Micros | None:
    return min((each for each in (one, other) if each is not None), default=None)
