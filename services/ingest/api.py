"""The HTTP interface of the ingest service: `POST /bulk` and its dry run `POST /validate`."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse
from opentelemetry import trace

from services.ingest.answers import file_checked
from services.ingest.file_workers import WorkerLost
from services.ingest.metrics import UPLOADS
from services.ingest.openapi import (
    DESCRIPTION,
    SCHEMAS,
    TAGS,
    UPLOAD_ANSWERS,
    UPLOAD_REQUEST,
    VALIDATE_ANSWERS,
    VALIDATE_REQUEST,
)
from services.ingest.problem_lists import problem_list, wants_problem_list
from services.ingest.problems import interrupted
from services.ingest.publication.job_transaction import NotPublished, OutcomeUnknown
from services.ingest.publication.jobs_topic import EndsUnknown
from services.ingest.publication.upload_budgets import KafkaSilent
from services.ingest.schemas import FileChecked, UploadAccepted
from services.ingest.settings import IngestSettings
from services.ingest.submission import Answer, Submission
from services.ingest.upload.admission import AdmittedUpload
from services.ingest.upload.authentication import Authentication
from services.ingest.upload.body import BODY_TIMEOUTS, BodyTimeouts, UploadedFile, receive_file
from services.ingest.upload.parameters import UploadParameters, upload_parameters
from services.ingest.upload.spool import Spool
from services.ingest.upload.tenant_rate_limit import TenantRateLimit
from shared.runtime.databases import DatabaseDown
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.http.head import HeadAnswers
from shared.runtime.http.health import Check, health_routes
from shared.runtime.http.openapi import describe
from shared.runtime.http.problems import Problem, answer_with_problems, database_down, kafka_down

#: The answer to each kind of outage.
_OUTAGES: dict[type[Exception], Callable[[], Problem]] = {
    DatabaseDown: database_down,
    NotPublished: kafka_down,
    OutcomeUnknown: kafka_down,
    EndsUnknown: kafka_down,
    KafkaSilent: kafka_down,
    WorkerLost: interrupted,
}


def create_app(
    settings: IngestSettings,
    submission: Submission,
    spool: Spool,
    checks: Mapping[str, Check],
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    timeouts: BodyTimeouts = BODY_TIMEOUTS,
    tracer: trace.Tracer | None = None,
) -> FastAPI:
    """The app: uploads under /api/v1, health and metrics at the root, its documentation at /docs."""
    app = FastAPI(
        title="Hospital bulk ingest",
        description=DESCRIPTION,
        version="1",
        openapi_tags=TAGS,
        lifespan=lifespan,
    )
    answer_with_problems(app)
    app.add_middleware(HeadAnswers)
    router = upload_routes(settings, submission, spool, timeouts, tracer or trace.get_tracer(__name__))
    app.include_router(router, prefix="/api/v1/hospitals")
    app.include_router(health_routes(checks))
    describe(app, keys_in_use=bool(settings.tenants), schemas=SCHEMAS)
    return app


def upload_routes(
    settings: IngestSettings, submission: Submission, spool: Spool, timeouts: BodyTimeouts, tracer: trace.Tracer
) -> APIRouter:
    """`POST /bulk` and its dry run `POST /validate`."""
    router = APIRouter(tags=["uploads"])
    rate_limit = TenantRateLimit(settings.tenant_uploads_per_minute)
    authentication = Authentication(settings.tenants, rate_limit, timeouts)

    def parameters(request: Request, file: UploadedFile) -> UploadParameters:
        query = request.query_params
        return upload_parameters({name: query.getlist(name) for name in query}, file.fields)

    async def received(request: Request, directory: Path, upload: AdmittedUpload) -> UploadedFile:
        return await receive_file(request, directory, settings.max_upload_bytes, upload, timeouts)

    @router.post(
        "/bulk",
        operation_id="upload_hospitals",
        summary="Upload a file",
        status_code=202,
        response_model=UploadAccepted,
        responses=UPLOAD_ANSWERS,
        openapi_extra=UPLOAD_REQUEST,
    )
    async def upload(
        request: Request,
        idempotency_key_: Annotated[list[str] | None, Header(alias="Idempotency-Key", include_in_schema=False)] = None,
    ) -> Response:
        """Turns a file into a job: all of its rows or none. The same request with the same key is the same job."""

        async def work() -> Response:
            key, tenant = await authentication.keyed_tenant(request, idempotency_key_ or [])
            with submission.admission.upload() as admitted, spool.upload_directory() as directory:
                file = await received(request, directory, admitted)
                return _accepted(await submission.submit(file, key, tenant, parameters(request, file)))

        return await _counted(work, tracer)

    @router.post(
        "/validate",
        operation_id="validate_hospitals",
        summary="Check a file",
        response_model=FileChecked,
        responses=VALIDATE_ANSWERS,
        openapi_extra=VALIDATE_REQUEST,
    )
    async def validate(request: Request) -> FileChecked | Response:
        """Checks a file without storing anything, and says how long it would take.

        `Accept: text/csv` gets all errors and warnings as a list.
        """
        with _outages_as_problems():
            tenant = await authentication.tenant(request)
            with submission.admission.upload() as admitted, spool.upload_directory() as directory:
                file = await received(request, directory, admitted)
                if wants_problem_list(request.headers.get("accept", "")):
                    target = directory / "problems.csv"
                    await submission.check(file, tenant, parameters(request, file), target)
                    return problem_list(target, file.name)
                result = await submission.check(file, tenant, parameters(request, file))
                same_files = await submission.same_files(tenant, file.sha256, AnswerBudget())
        return file_checked(result, settings.estimated_seconds(result.total), same_files)

    return router


async def _counted(work: Callable[[], Awaitable[Response]], tracer: trace.Tracer) -> Response:
    """Does the work in a span, and counts how it ended."""
    with tracer.start_as_current_span("upload") as span:
        try:
            with _outages_as_problems():
                answer = await work()
        except Problem as problem:
            # Not an error of the span: recording the exception's stack would take a quarter of the time of a refusal.
            span.set_attribute("error_type", problem.error_type)
            UPLOADS.labels(problem.error_type).inc()
            return problem.response()
    UPLOADS.labels("replayed" if "Idempotency-Replayed" in answer.headers else "accepted").inc()
    return answer


@contextmanager
def _outages_as_problems() -> Iterator[None]:
    try:
        yield
    except tuple(_OUTAGES) as error:
        answer = _OUTAGES[type(error)]
        raise answer() from error
    except asyncio.CancelledError as error:
        # The service ends before the upload is done. Without an answer the client would see an internal error.
        raise interrupted() from error


def _accepted(answer: Answer) -> Response:
    headers = {"Location": f"/api/v1/hospitals/status/{answer.job_id}"}
    if answer.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(answer.body, 202, headers, media_type=JSONResponse.media_type)
