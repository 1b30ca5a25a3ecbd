"""The HTTP API for activating a batch by hand."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from services.status.commands.activation import Activated, Activation, Refused, Unanswered
from services.status.queries.route_dependencies import RouteDependencies
from services.status.web.openapi import EVERYWHERE, problems
from services.status.web.tenant import Tenant
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.http.openapi import Documented
from shared.runtime.http.problems import Problem


class ActivationAnswer(BaseModel):
    """What became of the activation of a batch."""

    batch_id: str
    activated: bool
    message: str
    error_message: str | None = None


_UNANSWERED: Documented = {202: {"model": ActivationAnswer, "description": "It takes over 20 s. The status will tell."}}


def activation_routes(activation: Activation, dependencies: RouteDependencies) -> APIRouter:
    """The route under /api/v1/hospitals/bulk."""
    router = APIRouter(prefix="/api/v1/hospitals/bulk", tags=["commands"], responses=EVERYWHERE)
    CallerTenant = Annotated[Tenant, Depends(dependencies.tenant)]  # noqa: N806 - a type
    Budget = Annotated[AnswerBudget, Depends(dependencies.budget)]  # noqa: N806 - a type

    @router.patch(
        "/batch/{batch_id}/activate",
        operation_id="activate_batch",
        summary="Activate a batch",
        response_model=ActivationAnswer,
        responses=_UNANSWERED
        | problems(
            _404="No such batch.", _409="Its job still runs.", _502="The directory refused: its words are in `detail`."
        ),
    )
    async def activate(
        batch_id: Annotated[str, Path(description="From the answer to the upload.")],
        tenant: CallerTenant,
        budget: Budget,
    ) -> JSONResponse:
        """Activates by hand what was not activated automatically."""
        match await activation.activate(tenant, batch_id, budget):
            case Activated(message):
                detail = message or "The hospitals of this batch are activated."
                return _answer(200, ActivationAnswer(batch_id=batch_id, activated=True, message=detail))
            case Refused(message):
                raise Problem(502, "activation_failed", f"The directory did not activate the batch: {message}")
            case Unanswered():
                detail = "Activation takes longer than 20 s. It goes on: ask for the job's status."
                return _answer(202, ActivationAnswer(batch_id=batch_id, activated=False, message=detail))

    return router


def _answer(status: int, answer: ActivationAnswer) -> JSONResponse:
    return JSONResponse(answer.model_dump(), status)
