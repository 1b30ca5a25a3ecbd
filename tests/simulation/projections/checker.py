"""Whether the tables are what the committed events say, each round ran once, and JobFinished is right."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from shared.contract.events import JobFinished, RowCreated, RowOutcome
from tests.simulation.projections.others import Others
from tests.support.history import History, Violation, violations

#: A job's counts in the tables: created, failed, unprocessed, and the finished round.
Counts = tuple[int, int, int, int]


def projection_violations(others: Others, tables: Mapping[str, Counts], *, complete: bool) -> list[Violation]:
    """The promises that the run broke. `tables`: what status answers at the end, by job."""
    found = violations(History(others.accepted, others.results, (), others.finished, complete=complete))
    # Nothing is created or activated in a directory here: only what the events say of each other counts.
    found = [each for each in found if not each.rule.startswith(("hospital ", "an activation was never answered"))]
    return [*found, *_rounds(others), *_same_finishes(others), *(_counts(others, tables) if complete else ())]


def _rounds(others: Others) -> Iterator[Violation]:
    written = Counter((row.job_id, row.row, row.round) for row in others.accepted)
    for row, times in written.items():
        if times > 1:
            yield Violation("a row was written twice in one round", str(row), (f"{times} times",))
    last: dict[tuple[str, int], dict[int, RowOutcome]] = defaultdict(dict)
    for result in others.results:
        last[result.job_id, result.row][result.round] = result
    asked = {(retry.job_id, retry.round) for retry in others.retries}
    for job_id, round_ in asked:
        failed = {
            number
            for (job, number), results in last.items()
            if job == job_id and round_ - 1 in results and not isinstance(results[round_ - 1], RowCreated)
        }
        again = {row for job, row, number in written if (job, number) == (job_id, round_)}
        if again and again != failed:
            yield Violation("a round has other rows than those that failed", f"job {job_id}, round {round_}", (
                f"rows {sorted(again)}", f"not {sorted(failed)}",
            ))  # fmt: skip
    for job_id, row, number in written:
        if number > 1 and (job_id, number) not in asked:
            yield Violation("a round that nobody asked for", f"job {job_id}, row {row}, round {number}", ())


def _same_finishes(others: Others) -> Iterator[Violation]:
    """One may be sent twice, and says the same then."""
    said: dict[tuple[str, int], set[tuple[object, ...]]] = defaultdict(set)
    for event in others.finished:
        said[event.job_id, event.round].add(_says(event))
    for about, different in said.items():
        if len(different) > 1:
            yield Violation("two JobFinished of one round differ", str(about), tuple(map(str, different)))


def _says(event: JobFinished) -> tuple[object, ...]:
    return event.outcome, event.created_hospitals, event.failed_hospitals, event.outcomes_sha256, event.event_id


def _counts(others: Others, tables: Mapping[str, Counts]) -> Iterator[Violation]:
    last: dict[tuple[str, int], RowOutcome] = {}
    for result in others.results:
        known = last.get((result.job_id, result.row))
        if known is None or known.round < result.round:
            last[result.job_id, result.row] = result
    rounds: dict[str, int] = defaultdict(int)
    for event in others.finished:
        rounds[event.job_id] = max(rounds[event.job_id], event.round)
    for job_id in others.jobs:
        results = [result for (job, _), result in last.items() if job == job_id]
        created = sum(isinstance(result, RowCreated) for result in results)
        expected = created, len(results) - created, 0, rounds[job_id]
        if tables.get(job_id) != expected:
            yield Violation("the tables count wrongly", f"job {job_id}", (f"{tables.get(job_id)}, not {expected}",))
