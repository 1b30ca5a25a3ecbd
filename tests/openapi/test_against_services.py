"""What the joined document promises, asked of all services behind the origin."""

import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import httpx
import pytest

from shared.runtime.http.openapi import operations
from tests.support.whole_system import KEY, WholeSystem, whole_system

HERE = Path(__file__).parent
CSV = b"Facility;Street;City\nSt. Mary;1 Main Street;Springfield\nMercy;2 Main Street;Shelbyville\n"
#: So many requests for each way that schemathesis varies an operation. SCHEMATHESIS_EXAMPLES=200 looks deeper.
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "4")

#: The generator makes a file of BYTES, and knows no other binary type.
WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BYTES = "application/octet-stream"


@pytest.fixture(scope="module")
def system(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSystem]:
    """Everything that a client can talk to."""
    with whole_system(kafka_bootstrap, f"t{uuid4().hex[:8]}.", tmp_path_factory.mktemp("system")) as system:
        yield system


@pytest.fixture(scope="module")
def package(system: WholeSystem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The client that openapi-python-client makes of the document, imported."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "config.yaml").write_text(f"post_hooks: []\ncontent_type_overrides: {{{WORKBOOK}: {BYTES}}}\n")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    command += ["--url", f"{system.url}/openapi.json", "--output-path", str(folder / "hospital_bulk_api")]
    made = subprocess.run(
        [*command, "--config", str(folder / "config.yaml")], capture_output=True, text=True, timeout=60
    )
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    yield importlib.import_module("hospital_bulk_api")
    sys.path.remove(str(folder))


class GeneratedClient:
    """The generated functions by their operation ids, all with one key."""

    def __init__(self, package: ModuleType, url: str, key: str = KEY) -> None:
        self._package = package.__name__
        # A status that the document does not tell of raises.
        self._client = package.AuthenticatedClient(
            url, token=key, prefix="", auth_header_name="X-API-Key", raise_on_unexpected_status=True
        )

    def part(self, path: str):
        return importlib.import_module(f"{self._package}.{path}")

    def call(self, operation, *values, **more):
        """The status and the parsed answer. `operation`: its tag and its id."""
        return self.part(f"api.{operation}").sync_detailed(*values, client=self._client, **more)

    def file(self, content, name="hospitals.csv", **said):
        """A body with a file."""
        file = self.part("types").File(BytesIO(content), name, "text/csv")
        return self.part("models").HospitalFile(file=file, **said)


def test_a_generated_client_checks_a_file_uploads_it_and_follows_its_job(system, package):
    """Without a line of HTTP written by hand, up to the hospitals in the directory."""
    client = GeneratedClient(package, system.url)
    mapping = client.part("models").ColumnMapping(name="Facility", address=["Street", "City"], phone=None)

    checked = client.call("uploads.validate_hospitals", body=client.file(CSV, mapping=mapping, strict=False))
    assert checked.status_code == 200, checked.parsed
    assert checked.parsed.valid, checked.parsed.errors
    assert checked.parsed.mapping.address == ["Street", "City"]
    assert checked.parsed.sample[0].address == "1 Main Street, Springfield"

    def upload(key: str):
        body = client.file(CSV, mapping=mapping)
        return client.call("uploads.upload_hospitals", body=body, idempotency_key=key)

    accepted, again = upload("monday"), upload("monday")
    job_id = accepted.parsed.job_id
    assert accepted.headers["Location"] == f"/api/v1/hospitals/status/{job_id}"
    assert (again.parsed.job_id, again.headers["Idempotency-Replayed"]) == (job_id, "true")

    # Its events end with the job; what they say is what the status says.
    client.call("jobs.job_events", job_id)
    job = client.call("jobs.job_status", job_id).parsed
    assert (job.status.value, job.outcome.value, job.activated) == ("completed", "all_created", True)
    rows = client.call("jobs.list_rows", job_id, limit=1).parsed
    assert [(row.row, row.name) for row in rows.rows] == [(2, "St. Mary")]
    rest = client.call("jobs.list_rows", job_id, cursor=rows.next_cursor).parsed
    assert [(row.row, row.status) for row in rest.rows] == [(3, "created_and_activated")]
    assert "St. Mary;1 Main Street;Springfield" in client.call("result_files.download_successful", job_id).parsed


def test_a_generated_client_reads_every_refusal(system, package):
    """The same problem document from both services, with codes that a program can tell apart."""
    client = GeneratedClient(package, system.url)
    parameters = inspect.signature(client.part("api.uploads.upload_hospitals").sync).parameters
    assert parameters["idempotency_key"].default is inspect.Parameter.empty

    refused = client.call("uploads.upload_hospitals", body=client.file(b"name,address\n,x\n"), idempotency_key="k")
    assert (refused.status_code, refused.parsed.error_type) == (400, "invalid_file")
    [error] = refused.parsed.errors
    assert (error.row, error.column, error.code) == (2, "name", client.part("models").ProblemCode.MISSING_VALUE)

    gone = client.call("commands.cancel_job", "no-such-job")
    assert (gone.status_code, type(gone.parsed), gone.parsed.error_type) == (404, type(refused.parsed), "not_found")

    stranger = GeneratedClient(package, system.url, "a key of nobody's")
    for operation, given in [("uploads.validate_hospitals", {"body": client.file(CSV)}), ("jobs.list_jobs", {})]:
        answer = stranger.call(operation, **given)
        assert (answer.status_code, answer.parsed.error_type) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "ApiKey"


def test_the_services_answer_as_the_document_says(system, package):
    """schemathesis: statuses, headers, bodies, methods and keys of every operation, with right and wrong requests."""
    client = GeneratedClient(package, system.url)
    accepted = client.call(
        "uploads.upload_hospitals", body=client.file(b"name,address\nA,1\nB,2\n"), idempotency_key="known"
    )
    known = {"KNOWN_JOB_ID": accepted.parsed.job_id, "KNOWN_BATCH_ID": accepted.parsed.batch_ids[0], "KNOWN_ROW": "2"}
    client.call("jobs.job_events", accepted.parsed.job_id)
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        "--config-file",
        str(HERE / "schemathesis.toml"),
        "run",
    ]
    command += [f"{system.url}/openapi.json", "--header", f"X-API-Key: {KEY}", "--no-color"]
    command += ["--max-examples", EXAMPLES, "--generation-deterministic"]
    environment = {**os.environ, **known, "PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "hooks"}

    told = subprocess.run(command, env=environment, cwd=system.folder, capture_output=True, text=True)

    assert told.returncode == 0, told.stdout + told.stderr
    document = httpx.get(f"{system.url}/openapi.json").json()
    assert f"{len(list(operations(document)))} selected" in told.stdout, told.stdout
