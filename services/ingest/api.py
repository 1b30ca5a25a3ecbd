"""The HTTP interface of the ingest service."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from opentelemetry import trace

from services.ingest.csv_file.validation import FileRejected
from services.ingest.file_workers import WorkerLost
from services.ingest.keys.database import DatabaseDown
from services.ingest.metrics import UPLOADS
from services.ingest.problems import interrupted
from services.ingest.publication.job_transaction import NotPublished, OutcomeUnknown
from services.ingest.publication.jobs_topic import EndsUnknown
from services.ingest.schemas import FILE_BODY, READING_PROBLEMS, UPLOAD_PROBLEMS, FileChecked, UploadAccepted
from services.ingest.settings import IngestSettings
from services.ingest.submission import Answer, Submission
from services.ingest.upload.authentication import Gate
from services.ingest.upload.body import receive_file
from services.ingest.upload.spool import Spool
from services.ingest.upload.tenant_rate_limit import TenantPace
from shared.runtime.health import Check, health_routes
from shared.runtime.problems import Problem, ProblemDocument, answer_with_problems, database_down, kafka_down

_tracer = trace.get_tracer(__name__)

#: What goes wrong around an upload, and the answer to it. Whatever had to be undone has been.
_OUTAGES: dict[type[Exception], Callable[[], Problem]] = {
    DatabaseDown: database_down,
    NotPublished: kafka_down,
    OutcomeUnknown: kafka_down,
    EndsUnknown: kafka_down,
    WorkerLost: interrupted,
}
AllowDuplicates = Annotated[bool, Query(description="Rows that are alike are all meant; they go to different batches.")]


def create_app(
    settings: IngestSettings,
    submission: Submission,
    spool: Spool,
    checks: Mapping[str, Check],
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
) -> FastAPI:
    """The app: uploads under /api/v1, health and metrics at the root, its documentation at /docs."""
    app = FastAPI(
        title="Hospital bulk ingest",
        description="Uploads CSV files of hospitals. Every accepted file is a job; its rows become hospitals.",
        lifespan=lifespan,
    )
    answer_with_problems(app)
    app.include_router(upload_routes(settings, submission, spool), prefix="/api/v1/hospitals")
    app.include_router(health_routes(checks))
    _describe_problems(app)
    return app


def upload_routes(settings: IngestSettings, submission: Submission, spool: Spool) -> APIRouter:
    """`POST /bulk` and its dry run `POST /validate`."""
    router = APIRouter(tags=["uploads"])
    gate = Gate(settings.tenants, TenantPace(settings.tenant_uploads_per_minute))

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
        """Turns a CSV file into a job: all of its rows or none. Sent again with the same key, it is the same job."""

        async def work() -> Response:
            key, tenant = await gate.introduced(request, idempotency_key_ or [])
            with submission.admission.upload(), spool.room() as room:
                file = await receive_file(request, room, settings.max_upload_bytes)
                return _accepted(await submission.submit(file, key, tenant, allow_duplicates))

        return await _counted(work)

    @router.post("/validate", response_model=FileChecked, responses=READING_PROBLEMS, openapi_extra=FILE_BODY)
    async def validate(request: Request, allow_duplicates: AllowDuplicates = False) -> FileChecked:
        """Checks a CSV file without storing anything, and says how long it would take."""
        with _outages_answered():
            tenant = await gate.tenant(request)
            with submission.admission.upload(), spool.room() as room:
                file = await receive_file(request, room, settings.max_upload_bytes)
                verdict = await submission.check(file, allow_duplicates)
                same_files = await submission.same_files(tenant, file.sha256)
        return FileChecked(
            valid=not isinstance(verdict, FileRejected),
            total_hospitals=verdict.total,
            errors=verdict.errors if isinstance(verdict, FileRejected) else [],
            estimated_seconds=settings.estimated_seconds(verdict.total),
            same_file_as=same_files,
        )

    return router


async def _counted(work: Callable[[], Awaitable[Response]]) -> Response:
    """Does the work inside a span, and counts how it ended."""
    with _tracer.start_as_current_span("upload") as span:
        try:
            with _outages_answered():
                answer = await work()
        except Problem as problem:
            # An answer like others: to keep an exception's stack, the span needs a quarter of what a refusal costs.
            span.set_attribute("error_type", problem.error_type)
            UPLOADS.labels(problem.error_type).inc()
            return problem.response()
    UPLOADS.labels("replayed" if "Idempotency-Replayed" in answer.headers else "accepted").inc()
    return answer


@contextmanager
def _outages_answered() -> Iterator[None]:
    try:
        yield
    except tuple(_OUTAGES) as error:
        answer = _OUTAGES[type(error)]
        raise answer() from error
    except asyncio.CancelledError as error:
        # The service is told to end, and did not finish in time: without an answer the client would read of a bug.
        raise interrupted() from error


def _accepted(answer: Answer) -> Response:
    headers = {"Location": f"/api/v1/hospitals/status/{answer.job_id}"}
    if answer.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(answer.body, 202, headers, media_type=JSONResponse.media_type)


def _describe_problems(app: FastAPI) -> None:
    """The documented errors refer to the problem document, which no route returns by itself."""
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
