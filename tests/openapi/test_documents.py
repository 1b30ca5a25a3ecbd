"""The OpenAPI documents themselves: what a reader and a generator of clients find in them."""

import re
from pathlib import Path

import jsonschema_rs
import pytest

from deploy.origin.api import create_app
from deploy.origin.openapi import merge
from services.ingest.service import build as build_ingest
from services.ingest.upload.parameters import NAMES
from services.status.service import build as build_status
from services.status.settings import StatusSettings
from shared.runtime.http.openapi import KEY_OR_SESSION, PROBLEM, operations
from tests.support.ingest.ingest_server import UPLOAD, VALIDATE, settings

ERROR_CODES = Path(__file__).parents[2] / "docs" / "error-codes.md"
ROOT = Path(__file__).parents[2]
ERROR_SOURCES = [ROOT / "services" / "ingest", ROOT / "shared" / "runtime" / "http"]
#: A dry run has no key.
UPLOADS_ALONE = {"missing_idempotency_key", "malformed_idempotency_key", "key_reused", "in_progress", "invalid_file"}
OPERATIONS = {
    "uploads": ["upload_hospitals", "validate_hospitals"],
    "jobs": ["job_status", "list_jobs", "list_rows", "list_batches", "job_events", "job_history", "count_failures"],
    "commands": ["cancel_job", "retry_job", "resolve_row", "activate_batch"],
    "result files": [
        "get_receipt",
        *(
            f"download_{rows}{kind}"
            for rows in ("successful", "failed", "unprocessed", "all")
            for kind in ("", "_workbook")
        ),
    ],
    "session": ["log_in", "log_out"],
    "operations": ["health", "readiness"],
}


def documents(directory, keys=""):
    """Those of ingest and status, and the joined one. `keys`: API_KEYS."""
    ingest = build_ingest(settings(directory, api_keys=keys)).openapi()
    status = build_status(
        StatusSettings(
            kafka_bootstrap_servers="127.0.0.1:1",
            status_database_url=f"sqlite:///{directory / 'status.db'}",
            api_keys=keys,
        )
    ).openapi()
    origin = create_app(None, dict.fromkeys(("ingest", "status", "processor"), "http://nowhere")).openapi()
    return {"ingest": ingest, "status": status, "joined": merge({"ingest": ingest, "status": status}, origin)}


@pytest.fixture(scope="module")
def all_documents(tmp_path_factory):
    """Of an installation without keys."""
    return documents(tmp_path_factory.mktemp("documents"))


@pytest.fixture(params=["ingest", "status", "joined"])
def document(all_documents, request):
    """Each of them."""
    return all_documents[request.param]


def test_operation_ids_are_short_and_stay(all_documents):
    """Generated clients name their functions by them, and their modules by the tags."""
    found = {}
    for operation in operations(all_documents["joined"]):
        [tag] = operation["tags"]
        found.setdefault(tag, []).append(operation["operationId"])
    assert {tag: sorted(ids) for tag, ids in found.items()} == {tag: sorted(ids) for tag, ids in OPERATIONS.items()}
    assert {tag["name"] for tag in all_documents["joined"]["tags"]} == set(OPERATIONS)


def test_every_error_of_the_api_is_a_problem_document(document):
    """One schema in both services, so that a client needs one class for it; the health checks say what is missing."""
    for operation in operations(document):
        if operation["tags"] == ["operations"]:
            continue
        for status, answer in operation["responses"].items():
            if status >= "4":
                assert list(answer["content"]) == [PROBLEM], (operation["operationId"], status)
                assert answer["content"][PROBLEM]["schema"] == {"$ref": "#/components/schemas/ProblemDocument"}
            assert ("Retry-After" in answer.get("headers", {})) == (status in ("409", "429", "503"))
    assert [name for name in document["components"]["schemas"] if "Problem" in name or "Validation" in name] == [
        name for name in document["components"]["schemas"] if name in ("ProblemCode", "ProblemDocument", "RowProblem")
    ]


def test_an_upload_needs_its_key_and_tells_its_headers(all_documents):
    """A client that was generated cannot forget the key."""
    operation = all_documents["joined"]["paths"][UPLOAD]["post"]
    [key] = [parameter for parameter in operation["parameters"] if parameter["in"] == "header"]
    assert (key["name"], key["required"]) == ("Idempotency-Key", True)
    assert set(operation["responses"]["202"]["headers"]) == {"Location", "Idempotency-Replayed"}
    assert set(operation["responses"]) == {
        *("202", "400", "401", "408", "409", "413", "415", "422", "429", "500", "503"),
    }
    assert "headers" in operation["responses"]["401"]


@pytest.mark.parametrize("path", [UPLOAD, VALIDATE])
def test_every_error_type_of_an_upload_is_named(all_documents, path):
    """Those that the code of ingest can answer, by its own words."""
    responses = all_documents["joined"]["paths"][path]["post"]["responses"]
    named = {
        (int(status), error_type)
        for status, answer in responses.items()
        for error_type in answer.get("content", {}).get(PROBLEM, {}).get("examples", {})
    }
    code = "".join(file.read_text() for folder in ERROR_SOURCES for file in sorted(folder.rglob("*.py")))
    answered = {(int(status), name) for status, name in re.findall(r"Problem\(\s*(\d{3}),\s*\"(\w+)\"", code)}
    if path == VALIDATE:
        answered = {each for each in answered if each[1] not in UPLOADS_ALONE}
    assert len(answered) > 20
    assert not answered - named


def test_a_share_of_failures_fits_its_pattern(all_documents):
    """Whatever the service takes."""
    form = all_documents["ingest"]["components"]["schemas"]["HospitalFile"]["properties"]["max_failures"]
    for text in ("", "0", "50", "5%", "2.5%", "2.5 %", "100%"):
        assert re.search(form["pattern"], text), text


@pytest.mark.parametrize("path", [UPLOAD, VALIDATE])
def test_a_parameter_is_described_in_the_query_and_in_the_form(all_documents, path):
    """Whatever the service understands, and nothing else."""
    operation = all_documents["ingest"]["paths"][path]["post"]
    query = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    form = all_documents["ingest"]["components"]["schemas"]["HospitalFile"]
    assert query == set(NAMES)
    assert set(form["properties"]) == {"file", *NAMES}
    assert all("default" not in schema for schema in form["properties"].values()), "it would be sent twice"


def test_codes_are_those_of_the_list(all_documents):
    """docs/error-codes.md says what to do about each."""
    codes = all_documents["joined"]["components"]["schemas"]["ProblemCode"]["enum"]
    assert set(codes) == set(re.findall(r"^\| `(\w+)` \|", ERROR_CODES.read_text(), re.MULTILINE))


def test_keys_are_asked_for_where_they_are_needed(tmp_path):
    """Health needs none; an installation without keys takes any call."""
    for name, document in documents(tmp_path, f"north:{'0' * 64}").items():
        for operation in operations(document):
            public = operation["tags"] == ["operations"] or operation["operationId"] == "log_out"
            expected = [] if public else KEY_OR_SESSION[:1] if operation["operationId"] == "log_in" else KEY_OR_SESSION
            assert operation["security"] == expected, (name, operation["operationId"])
        assert {scheme["in"] for scheme in document["components"]["securitySchemes"].values()} == {"header", "cookie"}


def test_everything_is_described_in_plain_sentences(document):
    """Short ones, that end."""
    for operation in operations(document):
        words = [operation["description"], *(answer["description"] for answer in operation["responses"].values())]
        words += [parameter.get("description", parameter["name"]) for parameter in operation.get("parameters", [])]
        for text in words:
            assert text.rstrip().endswith("."), text
            assert max(len(sentence.split()) for sentence in re.split(r"[.:;]\s", text)) <= 30, text


def test_every_example_is_what_its_schema_says(document):
    """An example that is wrong is copied all the same."""
    seen = 0
    for schema, example in examples(document):
        rooted = {**schema, "components": document["components"]}
        problems = [str(error) for error in jsonschema_rs.validator_for(rooted).iter_errors(example)]
        assert not problems, (problems, example)
        seen += 1
    assert seen > 10


def examples(node):
    """Pairs of a schema and an example of it, wherever one stands."""
    if isinstance(node, list):
        for value in node:
            yield from examples(value)
    elif isinstance(node, dict):
        schema = node.get("schema", node)
        if "example" in node:
            yield schema, node["example"]
        match node.get("examples"):
            case list() as values:
                yield from ((schema, value) for value in values)
            case dict() as named:
                yield from ((schema, value["value"]) for value in named.values())
        for name, value in node.items():
            if name not in ("example", "examples"):
                yield from examples(value)
