"""The time left of simulated jobs, asked for every second over real tables: steady, true, or null.

Ten rows a second are allowed, that is one every 0.105 s. An answer may be off by a factor of 1.5 at most from three
seconds after the first row on. What nobody can know yet is left out: for ten seconds after something has gone wrong.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from services.status.queries.job_summaries import job_answer
from shared.contract.events import Event, JobInDoubt, LaneReport, ProcessorReported, RowResult
from tests.support.status.job_histories import SETTLING_SECONDS, JobHistory, apply_events, at, report

INTERVAL, LATENCY, SEEN_AFTER = 0.105, 0.15, 0.3
BEGINS = 1.0
SETTLED = 40.0
LANES = tuple(LaneReport(partition=number) for number in range(4))


@dataclass
class Story:
    """When each row gets its result, what processors report when, and what else happens."""

    rows: int
    finished: dict[int, float]
    reports: list[ProcessorReported]
    events: list[Event] = field(default_factory=list)
    #: Between these moments nobody can know how long it takes.
    unknowable: list[tuple[float, float]] = field(default_factory=list)
    unsent: frozenset[int] = frozenset()
    ends: float | None = None
    #: When it happens. Before that the job would end as one to which nothing happens.
    happens: float = 0.0

    @property
    def end(self) -> float:
        return max(self.finished.values()) if self.ends is None else self.ends

    def left(self, now: float) -> float:
        """The truth, as far as anybody can know it."""
        return (max(flowing(self.rows).values()) if now < self.happens else self.end) - now


def flowing(rows: int, begins: float = BEGINS, first: int = 0) -> dict[int, float]:
    """Rows that are sent one after the other at the allowed rate."""
    return {first + number: begins + number * INTERVAL + LATENCY for number in range(rows)}


def reports(until: float, instance: str = "p-1", changed: Callable[[float], dict[str, object]] = lambda _: {}):
    """A report every five seconds. `changed`: what it says at a moment besides."""
    moments = [-5.0 + 5 * number for number in range(int(until // 5) + 3)]
    return [report(instance, each, **{"rate_limit": 10.0, "lanes": LANES} | changed(each)) for each in moments]


def plain(rows: int) -> Story:
    """Nothing happens."""
    finished = flowing(rows)
    return Story(rows, finished, reports(max(finished.values())))


def outage(rows: int = 300) -> Story:
    """The directory is away from the 15th to the 75th second; the breaker opens a second later."""
    finished = flowing(rows)
    finished = {row: moment if moment < 15 else moment + 60 for row, moment in finished.items()}
    said = reports(max(finished.values()), changed=lambda now: {"breaker": "open" if 16 <= now < 75 else "closed"})
    return Story(rows, finished, said, unknowable=[(15, 80)], happens=15)


def paused(rows: int = 300) -> Story:
    """Somebody pauses all sending for a while."""
    finished = {row: moment if moment < 12 else moment + 33 for row, moment in flowing(rows).items()}
    said = reports(max(finished.values()), changed=lambda now: {"paused": 12 <= now < 45})
    return Story(rows, finished, said, unknowable=[(12, 50)], happens=12)


def cancelled(rows: int, behind: bool = False) -> Story:
    """After ten seconds. Rows that were not sent are told so at once, or lie behind those of other jobs."""
    finished = flowing(rows)
    unsent = frozenset(row for row, moment in finished.items() if moment > 10.3)
    finished = {row: (900.0 if behind else 10.4) if row in unsent else moment for row, moment in finished.items()}
    ends = 10 + SETTLING_SECONDS if behind else None
    return Story(rows, finished, reports(70), [], [(10, 13)], unsent, ends, happens=10)


def taken_over(rows: int = 600) -> Story:
    """One of two processors is killed after ten seconds. Another owns its lanes 17 s later, and sends from then on."""
    finished = flowing(rows)
    last = max(finished.values())
    lost = {row for row, moment in finished.items() if row % 2 and 10 <= moment < 27}
    late = {row: max(last, 60.0) + number * INTERVAL for number, row in enumerate(sorted(lost))}

    def survivor(now: float) -> dict[str, object]:
        if now < 17:
            return {"lanes": LANES[:2]}
        doubt = {"jobs_in_doubt": (JobInDoubt(job_id="job-1", rows=len(lost), until=at(60)),)} if now < 60 else {}
        return {"lanes": tuple(replace_lane(lane, taking_over=now < 27) for lane in LANES)} | doubt

    said = reports(last + 20, changed=survivor)
    said += [each for each in reports(9, "p-2", lambda _: {"lanes": LANES[2:]}) if each.occurred_at < at(10)]
    return Story(rows, finished | late, said, unknowable=[(10, 32)], happens=10)


def replace_lane(lane: LaneReport, **changed: object) -> LaneReport:
    return lane.model_copy(update=changed)


def in_doubt(rows: int = 300) -> Story:
    """Twenty rows get no answer, and may be looked up forty seconds later."""
    finished = flowing(rows)
    doubtful = {row: 12 + SETTLED + number * INTERVAL for number, row in enumerate(range(100, 120))}
    doubt = JobInDoubt(job_id="job-1", rows=20, until=at(12 + SETTLED))
    said = reports(60, changed=lambda now: {"jobs_in_doubt": (doubt,) if 12 <= now < 12 + SETTLED else ()})
    return Story(rows, finished | doubtful, said, unknowable=[(10.5, 20.5)], happens=10.5)


def a_slow_directory(rows: int = 300) -> Story:
    """It takes two rows a second, whatever the limit allows."""
    finished = {row: BEGINS + LATENCY + row / 2 for row in range(rows)}
    return Story(rows, finished, reports(max(finished.values())), unknowable=[(0, 6)])


STORIES = {
    "30 rows": plain(30),
    "300 rows": plain(300),
    "5,000 rows": plain(5_000),
    "an outage": outage(),
    "a pause": paused(),
    "cancelled": cancelled(300),
    "cancelled behind others": cancelled(300, behind=True),
    "a takeover": taken_over(),
    "rows in doubt": in_doubt(),
    "a slow directory": a_slow_directory(),
}


def events_of(story: Story, job: JobHistory) -> Iterator[tuple[float, Event]]:
    """Every event, and when it has been projected."""
    yield 0.0, job.accepted()
    if story.unsent:
        yield 10.05, job.cancelled(seconds=10)
    for row, moment in story.finished.items():
        made = job.unprocessed if row in story.unsent else job.created
        yield moment + SEEN_AFTER, started(made(row + 2, seconds=moment))
    for said in story.reports:
        yield (said.occurred_at - at(0)).total_seconds() + 0.05, said


def started(result: RowResult) -> RowResult:
    """Each row was taken up when it was sent."""
    return result.model_copy(update={"started_at": result.occurred_at - (at(LATENCY) - at(0))})


@pytest.mark.parametrize("name", STORIES)
async def test_the_time_left_is_true_from_the_third_second_on_or_null(sqlite, name):
    """And the share that is done never goes back."""
    story = STORIES[name]
    job = JobHistory(total=story.rows)
    coming = sorted(events_of(story, job), key=lambda pair: pair[0])
    wrong, answered, done, share = [], 0, 0, 0.0
    now = 0.5
    while now < min(story.end, 600):
        ready = [event for moment, event in coming[done:] if moment <= now]
        if ready:
            await apply_events(sqlite, *ready)
        done += len(ready)
        async with sqlite.connect() as connection:
            answer = await connection.run_sync(job_answer, None, "job-1", at(now))
        assert answer.progress_percentage >= share
        share, left, truth = answer.progress_percentage, answer.eta_seconds, story.left(now)
        knowable = now >= BEGINS + 3 and not any(begin <= now < end for begin, end in story.unknowable)
        if left is not None and knowable and truth > 1:
            answered += 1
            if not truth / 1.5 <= left <= truth * 1.5:
                wrong.append((round(now, 1), round(truth, 1), left, answer.waiting_for))
        now += 1 if now < 120 else 20
    assert wrong == []
    assert answered >= min(story.end - BEGINS - 4, 10) or story.unsent, f"only {answered} answers"


def test_the_stories_end_as_they_say():
    """A story without its event would prove nothing."""
    assert STORIES["an outage"].end == pytest.approx(STORIES["300 rows"].end + 60)
    assert STORIES["rows in doubt"].end > STORIES["300 rows"].end + 10
    assert STORIES["cancelled"].end < STORIES["cancelled behind others"].end == 60
