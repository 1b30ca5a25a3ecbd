"""What the OpenAPI documents of all services have in common: errors with their headers, and keys."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.runtime.http.problems import INTERNAL_ERROR, KAFKA_DOWN, ProblemDocument
from shared.runtime.http.tenants import KEY_HEADER, SESSION_COOKIE, UNAUTHORIZED

#: For `responses=` of a route or a router.
Documented = dict[int | str, dict[str, Any]]
Document = dict[str, Any]

PROBLEM: Final = "application/problem+json"
METHODS: Final = frozenset({"get", "put", "post", "delete", "patch"})
#: The tag of what no key is needed for: health and metrics.
OPERATIONS_TAG: Final = "operations"
API_KEY: Final = "apiKey"
SESSION: Final = "session"
#: The two ways to say who asks, for `security` of an operation.
KEY_OR_SESSION: Final[list[dict[str, list[str]]]] = [{API_KEY: []}, {SESSION: []}]
_SECURITY_SCHEMES: Final = {
    API_KEY: {
        "type": "apiKey",
        "in": "header",
        "name": KEY_HEADER,
        "description": "The key that the operator gave you. An installation without keys needs none.",
    },
    SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "The cookie of `POST /api/v1/session`, for browsers.",
    },
}
#: Statuses that may say when the same request makes sense again.
_LATER: Final = frozenset({409, 429, 503})


def header(description: str, **schema: Any) -> dict[str, Any]:
    """A response's header. `schema`: its JSON schema."""
    return {"description": description, "schema": schema}


CACHE_CONTROL: Final = {"Cache-Control": header("`no-store`: it is of this moment, or secret.", type="string")}
_RETRY_AFTER: Final = header("Seconds until the same request makes sense again.", type="integer", minimum=0)
_WWW_AUTHENTICATE: Final = header("`ApiKey`: send a key.", type="string")


def problem(status: int, description: str, **details: str) -> Documented:
    """The errors of one status. `details`: an example of `detail` for each `error_type` that can come."""
    return problem_with(status, description, examples(status, **details))


def problem_with(status: int, description: str, documents: Mapping[str, Document]) -> Documented:
    """The same with whole documents as examples, by their `error_type`."""
    headers = {"Retry-After": _RETRY_AFTER} if status in _LATER else {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers = {"WWW-Authenticate": _WWW_AUTHENTICATE}
    content: Document = {"schema": {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}}
    if documents:
        content["examples"] = {name: {"value": document} for name, document in documents.items()}
    answer: Document = {"description": description, "content": {PROBLEM: content}}
    return {status: answer | ({"headers": headers} if headers else {})}


def examples(status: int, **details: str) -> dict[str, Document]:
    """A problem document for each `error_type`, by its name."""
    return {
        error_type: {
            "type": f"urn:hospital-bulk:problem:{error_type}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "error_type": error_type,
        }
        for error_type, detail in details.items()
    }


ORIGIN_AWAY: Final = "The ingest service cannot be reached at the moment. Please try again in a few seconds."
#: What every call that needs a key can answer.
EVERYWHERE: Final = {
    **problem(401, "No valid key.", unauthorized=UNAUTHORIZED),
    **problem(500, "A fault of the service. It was logged.", internal_error=INTERNAL_ERROR),
    **problem(
        503,
        "Something is down or busy. Try again.",
        message_queue_unavailable=KAFKA_DOWN,
        service_unavailable=ORIGIN_AWAY,
    ),
}


def describe(app: FastAPI, *, keys_in_use: bool, schemas: Document | None = None) -> None:
    """Corrects and completes the app's document.

    `keys_in_use`: whether calls without a key are refused. `schemas`: those that no route names by its model.
    """
    more = {**model_schemas(ProblemDocument), **(schemas or {})}
    generate = app.openapi

    def openapi() -> Document:
        if app.openapi_schema is None:
            app.openapi_schema = _corrected(generate(), more, keys_in_use=keys_in_use)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _corrected(document: Document, more: Document, *, keys_in_use: bool) -> Document:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(more)
    components["securitySchemes"] = _SECURITY_SCHEMES
    for operation in operations(document):
        # FastAPI's own. Here a wrong parameter is a 400, and a 422 that is ours is described by its route.
        if "HTTPValidationError" in str(operation["responses"].get("422")):
            del operation["responses"]["422"]
        for answer in operation["responses"].values():
            if answer["description"] == "Successful Response":
                answer["description"] = "It worked."
        if operation.get("tags") == [OPERATIONS_TAG]:
            operation["security"] = []
        operation.setdefault("security", KEY_OR_SESSION if keys_in_use else [{}, *KEY_OR_SESSION])
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document


def operations(document: Document) -> Iterator[Document]:
    """Every operation of a document."""
    for item in document.get("paths", {}).values():
        yield from (operation for method, operation in item.items() if method in METHODS)


def model_schemas(*models: type[BaseModel]) -> Document:
    """The schemas of models and of what they refer to, by name. Unlike FastAPI's, their examples keep what is null."""
    _, found = models_json_schema(
        [(model, "serialization") for model in models], ref_template="#/components/schemas/{model}"
    )
    schemas: Document = found["$defs"]
    return schemas
