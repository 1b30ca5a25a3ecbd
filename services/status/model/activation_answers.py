"""The directory's answers to requests to activate batches, and what they say of a job. Pure: no database, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from services.status.model.job_facts import JobFacts
from services.status.model.timestamps import Micros, micros
from shared.contract.events import BatchActivated, BatchActivationFailed

#: How the ids of requests for activation begin that follow the last correction.
CORRECTED_REQUEST = "corrected:"
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
    """The facts with all answers about the job's batches counted.

    A batch is refused when an activation that nobody asked for failed, and none has succeeded since.
    """
    found = _settled(facts, answers)
    still = sorted(found.refused)
    return replace(
        facts,
        batches_activated=len(found.activated),
        batches_refused=len(still),
        answered_at=max(found.first_answers.values(), default=None),
        refusal=found.refused[still[0]] if still else None,
    )


def recounted(facts: JobFacts, before: Iterable[BatchAnswer], after: Iterable[BatchAnswer]) -> JobFacts | None:
    """The facts after answers about a few batches, without a look at all others. The refusal is not counted anew.

    `before`, `after`: every answer about these batches. None when only `counted` tells: an answer came that is earlier
    than the first one of its batch.
    """
    old, new = _settled(facts, before), _settled(facts, after)
    if any(new.first_answers[batch_id] < moment for batch_id, moment in old.first_answers.items()):
        return None
    return replace(
        facts,
        batches_activated=facts.batches_activated + len(new.activated) - len(old.activated),
        batches_refused=facts.batches_refused + len(new.refused) - len(old.refused),
        answered_at=max([*new.first_answers.values(), *_known(facts.answered_at)], default=None),
    )


def automatic_requests(facts: JobFacts) -> tuple[str, str]:
    """The ids of the requests that nobody makes: after the last JobFinished, and after the last correction."""
    return f"finished:{facts.finished_round}", corrected_request(facts.finished_round)


def corrected_request(finished_round: int) -> str:
    """The id of the request for activation when nothing of a chain of corrections is open any more."""
    return f"{CORRECTED_REQUEST}{finished_round}"


@dataclass(frozen=True, slots=True)
class _Settled:
    activated: frozenset[str]
    #: The directory's words, by batch.
    refused: dict[str, str]
    #: When each batch was answered first, by a success or by the refusal of the automatic request.
    first_answers: dict[str, Micros]


def _settled(facts: JobFacts, answers: Iterable[BatchAnswer]) -> _Settled:
    automatic = automatic_requests(facts)
    activated: set[str] = set()
    refused: dict[str, str] = {}
    first: dict[str, Micros] = {}
    for answer in answers:
        if answer.activated:
            activated.add(answer.batch_id)
        elif answer.request_id in automatic:
            refused[answer.batch_id] = answer.message
        else:
            continue
        first[answer.batch_id] = min(answer.answered_at, first.get(answer.batch_id, answer.answered_at))
    still = {batch_id: message for batch_id, message in refused.items() if batch_id not in activated}
    return _Settled(frozenset(activated), still, first)


def _known(moment: Micros | None) -> list[Micros]:
    return [] if moment is None else [moment]
