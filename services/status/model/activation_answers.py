"""The directory's answers to requests to activate batches, and what they say of a job. Pure: no database, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from services.status.model.job_facts import JobFacts
from services.status.model.timestamps import Micros, micros
from shared.contract.events import BatchActivated, BatchActivationFailed

#: batch_id and request_id.
AnswerKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """A row of `status_activations`."""

    batch_id: str
    request_id: str
    job_id: str
    activated: bool
    message: str
    http_status: int | None
    answered_at: Micros

    @property
    def key(self) -> AnswerKey:
        """Which request it answers."""
        return self.batch_id, self.request_id


def answer_of(event: BatchActivated | BatchActivationFailed) -> BatchAnswer:
    """The event as a row of the table."""
    return BatchAnswer(
        batch_id=event.batch_id,
        request_id=event.request_id,
        job_id=event.job_id,
        activated=isinstance(event, BatchActivated),
        message=event.message,
        http_status=event.http_status if isinstance(event, BatchActivationFailed) else None,
        answered_at=micros(event.occurred_at),
    )


def collected(answers: Iterable[BatchAnswer]) -> dict[AnswerKey, BatchAnswer]:
    """One answer for each request: an activation rather than a refusal, else the earliest."""
    best: dict[AnswerKey, BatchAnswer] = {}
    for answer in answers:
        other = best.get(answer.key)
        if other is None or _rank(answer) < _rank(other):
            best[answer.key] = answer
    return best


def _rank(answer: BatchAnswer) -> tuple[bool, Micros]:
    return not answer.activated, answer.answered_at


def counted(facts: JobFacts, answers: Iterable[BatchAnswer]) -> JobFacts:
    """The facts with the answers about the job's batches counted.

    A batch is refused when the activation after JobFinished failed, and none has succeeded since.
    """
    automatic = f"finished:{facts.finished_round}"
    activated: dict[str, Micros] = {}
    refused: dict[str, BatchAnswer] = {}
    for answer in answers:
        if answer.activated:
            activated[answer.batch_id] = min(answer.answered_at, activated.get(answer.batch_id, answer.answered_at))
        elif answer.request_id == automatic:
            refused[answer.batch_id] = answer
    still = sorted(refused.keys() - activated.keys())
    return replace(
        facts,
        batches_activated=len(activated),
        batches_refused=len(still),
        answered_at=max(_first_answers(activated, refused), default=None),
        refusal=refused[still[0]].message if still else None,
    )


def _first_answers(activated: dict[str, Micros], refused: dict[str, BatchAnswer]) -> list[Micros]:
    first = {batch_id: answer.answered_at for batch_id, answer in refused.items()}
    for batch_id, moment in activated.items():
        first[batch_id] = min(moment, first.get(batch_id, moment))
    return list(first.values())
