"""The HTTP interface of the ingest service: `POST /bulk` and its dry run `POST /validate`."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from opentelemetry import trace

from services.ingest.csv_file.validation import FileRejected
from services.ingest.file_workers import WorkerLost
from services.ingest.metrics import UPLOADS
from services.ingest.problems import interrupted
from services.ingest.publication.job_transaction import NotPublished, OutcomeUnknown
from services.ingest.publication.jobs_topic import EndsUnknown
from services.ingest.publication.upload_budgets import KafkaSilent
from services.ingest.schemas import FILE_BODY, READING_PROBLEMS, UPLOAD_PROBLEMS, FileChecked, UploadAccepted
from services.ingest.settings import IngestSettings
from services.ingest.submission import Answer, Submission
from services.ingest.upload.authentication import Authentication
from services.ingest.upload.body import BODY_TIMEOUTS, BodyTimeouts, UploadedFile, receive_file
from services.ingest.upload.spool import Spool
from services.ingest.upload.tenant_rate_limit import TenantRateLimit
from shared.runtime.databases import DatabaseDown
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.http.health import Check, health_routes
from shared.runtime.http.problems import Problem, ProblemDocument, answer_with_problems, database_down, kafka_down

#: The answer to each kind of outage.
_OUTAGES: dict[type[Exception], Callable[[], Problem]] = {
    DatabaseDown: database_down,
    NotPublished: kafka_down,
    OutcomeUnknown: kafka_down,
    EndsUnknown: kafka_down,
    KafkaSilent: kafka_down,
    WorkerLost: interrupted,
}
AllowDuplicates = Annotated[bool, Query(description="Takes a file that has the same hospital several times.")]


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
        description="Uploads CSV files of hospitals. Every accepted file is a job; its rows become hospitals.",
        lifespan=lifespan,
    )
    answer_with_problems(app)
    router = upload_routes(settings, submission, spool, timeouts, tracer or trace.get_tracer(__name__))
    app.include_router(router, prefix="/api/v1/hospitals")
    app.include_router(health_routes(checks))
    _describe_problems(app)
    return app


def upload_routes(
    settings: IngestSettings, submission: Submission, spool: Spool, timeouts: BodyTimeouts, tracer: trace.Tracer
) -> APIRouter:
    """`POST /bulk` and its dry run `POST /validate`."""
    router = APIRouter(tags=["uploads"])
    rate_limit = TenantRateLimit(settings.tenant_uploads_per_minute)
    authentication = Authentication(settings.tenants, rate_limit, timeouts)

    async def received(request: Request, directory: Path) -> UploadedFile:
        return await receive_file(request, directory, settings.max_upload_bytes, timeouts)

    @router.post(
        "/bulk", status_code=202, response_model=UploadAccepted, responses=UPLOAD_PROBLEMS, openapi_extra=FILE_BODY
    )
    async def upload(
        request: Request,
        allow_duplicates: AllowDuplicates = False,
        idempotency_key_: Annotated[
            list[str] | None,
            Header(alias="Idempotency-Key", description="Required. The same key replays the first answer."),
        ] = None,
    ) -> Response:
        """Turns a CSV file into a job: all of its rows or none. The same request with the same key is the same job."""

        async def work() -> Response:
            key, tenant = await authentication.keyed_tenant(request, idempotency_key_ or [])
            with submission.admission.upload(), spool.upload_directory() as directory:
                file = await received(request, directory)
                return _accepted(await submission.submit(file, key, tenant, allow_duplicates))

        return await _counted(work, tracer)

    @router.post("/validate", response_model=FileChecked, responses=READING_PROBLEMS, openapi_extra=FILE_BODY)
    async def validate(request: Request, allow_duplicates: AllowDuplicates = False) -> FileChecked:
        """Checks a CSV file without storing anything, and says how long it would take."""
        with _outages_as_problems():
            tenant = await authentication.tenant(request)
            with submission.admission.upload(), spool.upload_directory() as directory:
                file = await received(request, directory)
                result = await submission.check(file, tenant, allow_duplicates)
                same_files = await submission.same_files(tenant, file.sha256, AnswerBudget())
        return FileChecked(
            valid=not isinstance(result, FileRejected),
            total_hospitals=result.total,
            errors=result.errors if isinstance(result, FileRejected) else [],
            estimated_seconds=settings.estimated_seconds(result.total),
            same_file_as=same_files,
        )

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


def _describe_problems(app: FastAPI) -> None:
    """Adds the schema of the problem document, which no route returns by itself, to the documentation."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        template = "#/components/schemas/{model}"
        schema = ProblemDocument.model_json_schema(ref_template=template)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(schema.pop("$defs", {}))
        schemas[ProblemDocument.__name__] = schema
        return document

    app.openapi = openapi  # type: ignore[method-assign]
