"""What the documentation of the API shows besides the models: parameters, the body, errors with examples."""

from typing import Any, Final

from fastapi import FastAPI

from services.ingest.schemas import BAD_ROW
from shared.runtime.http.problems import KAFKA_DOWN, ProblemDocument

#: What a request can say about its file, in the query or as form fields.
PARAMETERS: Final = {
    "mapping": "Which columns are which, as JSON: an object of name, address and phone, each with the name of a "
    "column, a list of columns to join, or null for none. What is not named is found by its name.",
    "encoding": "The encoding of a file that is not UTF-8, for example windows-1252 or shift_jis.",
    "sheet": "The sheet of a workbook; without it the first that is visible.",
    "header_row": "The row that names the columns, from 1; without it the first of 20 rows that names them. "
    "0: none does, and `mapping` names the columns by their letters, A for the first.",
    "allow_duplicates": "true takes a file that has the same hospital several times.",
    "repeat_created": "true takes rows that were created before, and creates them once more.",
    "strict": "true makes warnings errors.",
    "max_failures": "More failed rows than this stop the job: a number (50) or a share of its rows (5%).",
    "corrects": "The id of the job whose failed rows stand in the file again. A result file says it by itself.",
}


def _problem(
    status: int, description: str, error_type: str, detail: str, errors: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": f"urn:hospital-bulk:problem:{error_type}",
        "title": description,
        "status": status,
        "detail": detail,
        "error_type": error_type,
    }
    if errors:
        example["errors"] = errors
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    content = {"application/problem+json": {"schema": schema, "example": example}}
    return {"description": description, "content": content}


READING_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: _problem(400, "Bad Request", "invalid_file", "The file has 1 error; nothing was stored.", [BAD_ROW]),
    401: _problem(401, "Unauthorized", "unauthorized", "Send a valid API key in the header X-API-Key."),
    408: _problem(408, "Request Timeout", "upload_too_slow", "The upload took too long. Please send it again."),
    413: _problem(413, "Content Too Large", "file_too_large", "The file is larger than 150 MB."),
    415: _problem(415, "Unsupported Media Type", "not_a_csv", "'notes.pdf' is not a CSV file."),
    429: _problem(429, "Too Many Requests", "too_many_uploads", "More than 3,000 uploads in a minute."),
    503: _problem(503, "Service Unavailable", "message_queue_unavailable", KAFKA_DOWN),
}
UPLOAD_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    **READING_PROBLEMS,
    409: _problem(409, "Conflict", "in_progress", "An upload with this Idempotency-Key is still in progress."),
    422: _problem(422, "Unprocessable Content", "key_reused", "This Idempotency-Key belongs to another upload."),
}
_FORM: Final[dict[str, Any]] = {
    "file": {"type": "string", "format": "binary", "description": "A CSV file, or a workbook (.xlsx, .xls, .ods)."},
    **{name: {"type": "string", "description": words} for name, words in PARAMETERS.items()},
}
#: FastAPI learns of the body from here, since it must not read it by itself.
FILE_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": _FORM,
                }
            }
        },
    }
}
#: The parameters, as the documentation shows them; requests may send them as form fields too.
QUERY_PARAMETERS: Final = [
    {"name": name, "in": "query", "required": False, "schema": {"type": "string"}, "description": words}
    for name, words in PARAMETERS.items()
]
DOCUMENTED: Final[dict[str, Any]] = {**FILE_BODY, "parameters": QUERY_PARAMETERS}


def describe_problems(app: FastAPI) -> None:
    """Adds the schema of the problem document, which no route returns by itself, to the documentation.

    FastAPI makes it, as it does in the other services, so that a document that joins them has it once.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document.setdefault("components", {}).setdefault("schemas", {}).update(_problem_schemas())
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _problem_schemas() -> dict[str, Any]:
    example = FastAPI()
    example.add_api_route("/", lambda: None, responses={"default": {"model": ProblemDocument}}, response_model=None)
    schemas: dict[str, Any] = example.openapi()["components"]["schemas"]
    wanted = [name for name in schemas if name not in ("HTTPValidationError", "ValidationError")]
    return {name: schemas[name] for name in wanted}
