"""Every error is a problem document (RFC 9457), and none shows a stack trace."""

import httpx
import pytest
from fastapi import FastAPI, HTTPException

from shared.runtime.http import problems
from shared.runtime.http.problems import Problem, answer_with_problems, database_down, kafka_down
from shared.runtime.http.row_problems import ProblemCode, RowProblem


class Log:
    """Keeps what is logged."""

    def __init__(self):
        self.lines = []

    def error(self, event, **values):
        self.lines.append((event, values))


FIELDS = {"type", "title", "status", "detail", "error_type"}


@pytest.fixture
def log(monkeypatch):
    """What the service logs of its errors."""
    monkeypatch.setattr(problems, "log", Log())
    return problems.log


@pytest.fixture
async def client(log):
    """A small service that goes wrong in every way."""
    app = FastAPI()
    answer_with_problems(app)

    @app.get("/rejected")
    async def rejected():
        errors = [RowProblem(row=3, column="name", code=ProblemCode.MISSING_VALUE, message="is empty")]
        raise Problem(400, "file_rejected", "1 row cannot be accepted.", errors=errors)

    @app.get("/kafka")
    async def kafka():
        raise kafka_down()

    @app.get("/database")
    async def database():
        raise database_down()

    @app.get("/closed")
    async def closed():
        raise HTTPException(401, "Who are you?", {"WWW-Authenticate": "ApiKey"})

    @app.get("/broken")
    async def broken():
        raise RuntimeError("the password is hunter2")

    @app.get("/limited")
    async def limited(limit: int):
        return limit

    app.add_api_route("/session", limited, methods=["POST"])
    app.add_api_route("/session", limited, methods=["DELETE"])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "status", "error_type"),
    [
        ("/rejected", 400, "file_rejected"),
        ("/kafka", 503, "message_queue_unavailable"),
        ("/database", 503, "database_unavailable"),
        ("/closed", 401, "unauthorized"),
        ("/limited?limit=many", 400, "invalid_request"),
        ("/nowhere", 404, "not_found"),
        ("/broken", 500, "internal_error"),
    ],
)
async def test_an_error_is_a_problem_document(client, path, status, error_type):
    """The same five fields for every one of them."""
    answer = await client.get(path)
    body = answer.json()
    assert answer.status_code == body["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["error_type"] == error_type
    assert body["type"] == f"urn:hospital-bulk:problem:{error_type}"
    assert set(body) - {"errors", "errors_total"} == FIELDS
    assert body["title"]
    assert body["detail"]


async def test_a_rejected_file_names_its_rows(client):
    """Row, column and what is wrong."""
    body = (await client.get("/rejected")).json()
    assert body["errors"] == [
        {"row": 3, "column": "name", "code": "missing_value", "message": "is empty", "value": None}
    ]


async def test_errors_without_rows_have_no_list_of_them(client):
    """An empty list would say that the file is well."""
    assert "errors" not in (await client.get("/kafka")).json()


async def test_kafka_down_says_so_in_the_words_of_the_contract(client):
    """Clients show them, and know when to come again."""
    answer = await client.get("/kafka")
    assert answer.json()["detail"] == (
        "Service temporarily unavailable. The message queue is currently down. Please try again later."
    )
    assert int(answer.headers["retry-after"]) > 0


async def test_the_unexpected_shows_nothing_of_the_inside(client):
    """No trace, no message of the exception: those are in the log."""
    text = (await client.get("/broken")).text
    for inside in ("hunter2", "Traceback", "RuntimeError", ".py"):
        assert inside not in text


async def test_the_unexpected_is_logged_with_its_exception(client, log):
    """Whoever looks into it finds the path and the trace there."""
    await client.get("/broken")
    ((event, values),) = log.lines
    assert (event, values["path"]) == ("unexpected_error", "/broken")
    assert str(values["exc_info"]) == "the password is hunter2"


async def test_a_wrong_parameter_is_named(client):
    """So that it can be corrected."""
    assert "query.limit" in (await client.get("/limited?limit=many")).json()["detail"]


async def test_headers_of_an_error_are_kept(client):
    """A browser needs them to know what to do."""
    assert (await client.get("/closed")).headers["www-authenticate"] == "ApiKey"
    assert (await client.post("/kafka")).headers["allow"] == "GET, HEAD"


async def test_a_wrong_method_is_told_all_that_are_right(client):
    """Each of a path's routes knows only its own. HEAD is answered wherever GET is."""
    assert (await client.get("/session")).headers["allow"] == "POST, DELETE"
