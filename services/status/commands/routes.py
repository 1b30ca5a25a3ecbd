"""The HTTP API for commands: cancel, retry, resolve."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.json_schema import SkipJsonSchema

from services.status.commands.commands import CommandAccepted, Commands
from services.status.queries.route_dependencies import RouteDependencies
from services.status.tables.column_limits import LARGEST
from services.status.web.openapi import EVERYWHERE, TAKES_BODY, JobId, problems
from services.status.web.tenant import Tenant
from shared.runtime.http.answer_budget import AnswerBudget

RowNumber = Annotated[int, Path(description="The line that a spreadsheet shows.", ge=0, le=LARGEST)]
#: Text that every database and every log can keep.
HospitalId = (
    Annotated[int, Field(strict=True)]
    | Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
)

#: `undecodable` is not among them: nobody knows what to send.
RetryCode = Literal["rejected", "attempts_exhausted", "outcome_unknown", "unprocessed"]

_RESPONSES = EVERYWHERE | problems(
    _404="No such job or row.",
    _503="Kafka or the database is down, and the command was not taken. But `command_outcome_unknown` means that "
    "nobody knows yet, and `command_not_shown` that it was taken.",
)


class CommandAnswer(BaseModel):
    """The command was taken, and every later answer about the job knows of it."""

    job_id: str
    round: int
    message: str


class ResolutionAnswer(CommandAnswer):
    """The decision was taken, and the row shows it."""

    row: int


class RetryChoice(BaseModel):
    """Which rows run again."""

    model_config = ConfigDict(extra="forbid")

    codes: Annotated[
        list[RetryCode],
        Field(
            description="Only rows that failed with one of these codes, or were not sent (`unprocessed`); none: all",
            max_length=20,
        ),
    ] = []


class Resolution(BaseModel):
    """What a person found in the directory: the hospital, or that it is absent."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"minProperties": 1, "maxProperties": 1, "examples": [{"hospital_id": 17}, {"absent": True}]},
    )

    hospital_id: Annotated[HospitalId | SkipJsonSchema[None], Field(description="The hospital in the directory.")] = (
        None
    )
    absent: Annotated[Literal[True] | SkipJsonSchema[None], Field(description="It is not in the directory.")] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Resolution":
        if (self.hospital_id is None) == (self.absent is None):
            raise ValueError('give either {"hospital_id": …} or {"absent": true}')
        return self


def command_routes(commands: Commands, dependencies: RouteDependencies) -> APIRouter:
    """The routes under /api/v1/hospitals/jobs."""
    router = APIRouter(prefix="/api/v1/hospitals/jobs", tags=["commands"], responses=_RESPONSES)
    CallerTenant = Annotated[Tenant, Depends(dependencies.tenant)]  # noqa: N806 - a type
    Budget = Annotated[AnswerBudget, Depends(dependencies.budget)]  # noqa: N806 - a type

    @router.post(
        "/{job_id}/cancel",
        operation_id="cancel_job",
        summary="Cancel a job",
        status_code=202,
        response_model=CommandAnswer,
        responses=problems(_409="The job has ended."),
    )
    async def cancel(job_id: JobId, tenant: CallerTenant, budget: Budget) -> CommandAnswer:
        """Rows that have not been sent become `unprocessed`. What was created stays created: there is no undo."""
        return CommandAnswer(**_fields(await commands.cancel(tenant, job_id, budget)))

    @router.post(
        "/{job_id}/retry",
        operation_id="retry_job",
        summary="Retry a job",
        status_code=202,
        response_model=CommandAnswer,
        responses=problems(_400="There is no such code.", _409="The job runs, or there is nothing to retry."),
    )
    async def retry(
        job_id: JobId, tenant: CallerTenant, budget: Budget, choice: RetryChoice | None = None
    ) -> CommandAnswer:
        """Failed and unprocessed rows run again in the same job, as its next round. Twice at once is once.

        Rows that stand again in a correction of the job do not run.
        """
        codes = frozenset(choice.codes if choice else ())
        return CommandAnswer(**_fields(await commands.retry(tenant, job_id, budget, codes)))

    @router.post(
        "/{job_id}/rows/{row}/resolve",
        operation_id="resolve_row",
        summary="Resolve a row",
        status_code=202,
        response_model=ResolutionAnswer,
        responses=TAKES_BODY
        | problems(_400="Neither a hospital nor `absent`, or both.", _409="The outcome of the row is not unknown."),
    )
    async def resolve(
        job_id: JobId, row: RowNumber, resolution: Resolution, tenant: CallerTenant, budget: Budget
    ) -> ResolutionAnswer:
        """Resolves a row whose outcome stayed unknown, by the word of a person who looked. Who and when is kept."""
        accepted = await commands.resolve(tenant, job_id, row, resolution.hospital_id, budget)
        return ResolutionAnswer(**_fields(accepted), row=row)

    return router


def _fields(accepted: CommandAccepted) -> dict[str, Any]:
    return {"job_id": accepted.job_id, "round": accepted.round, "message": accepted.message}
