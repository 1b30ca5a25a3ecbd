"""Schemas in a registry: a stand-in of Confluent's HTTP API that knows versions and refuses incompatible ones."""

import base64
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from deploy.schemas import RegistryUnusable, SchemaRegistry, register_all
from shared.contract.schema_compatibility import incompatible_changes
from shared.contract.schema_files import committed


class StandIn(ThreadingHTTPServer):
    """A schema registry in memory. `broken`: every answer is this page."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.subjects, self.requests, self.broken, self.login = {}, [], None, None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """POST /subjects/{subject} and POST /subjects/{subject}/versions, as the documentation of the API has them."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(self.path)
        if self.server.broken:
            return self._answer(200, self.server.broken)
        if self.server.login and self.headers["Authorization"] != self.server.login:
            return self._answer(401, {"error_code": 401, "message": "Unauthorized"})
        assert body["schemaType"] == "JSON"
        subject, *more = self.path.partition("/subjects/")[2].split("/")
        versions, schema = self.server.subjects.get(unquote(subject), []), json.loads(body["schema"])
        if schema in versions:
            return self._answer(200, {"id": versions.index(schema) + 1, "version": versions.index(schema) + 1})
        if not more:
            code = 40403 if versions else 40401
            return self._answer(404, {"error_code": code, "message": "Schema not found"})
        if versions and (changes := incompatible_changes(versions[-1], schema)):
            return self._answer(409, {"error_code": 409, "message": f"Incompatible:\n{changes[0]}"})
        self.server.subjects.setdefault(unquote(subject), []).append(schema)
        return self._answer(200, {"id": len(versions) + 1})

    def _answer(self, status, answer):
        body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def registry():
    with StandIn() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def registered(registry, schemas=None, url=None):
    """The lines that are said, and how many schemas were refused."""
    lines = []
    return lines, register_all(SchemaRegistry(url or registry.url), schemas or committed(), lines.append)


def test_each_event_is_a_subject(registry):
    """With its schema as it is in the repository."""
    lines, refused = registered(registry)
    assert refused == 0
    assert registry.subjects == {f"hospital-bulk.{name}": [schema] for name, schema in committed().items()}
    assert lines[0] == "hospital-bulk.BatchActivated: registered, id 1"


def test_registering_again_changes_nothing(registry):
    """It may stand in every roll-out."""
    registered(registry)
    before = json.dumps(registry.subjects)
    lines, _ = registered(registry)
    assert json.dumps(registry.subjects) == before
    assert all(line.endswith("there already, id 1") for line in lines)


def test_a_change_that_the_registry_refuses_is_one_line_and_keeps_no_other_back(registry):
    """Its words are those of the registry."""
    name, other = "RowCreated", "RowFailed"
    registered(registry, {name: committed()[name]})
    stricter = committed()[name] | {"required": [*committed()[name]["required"], "tenant_group"]}
    lines, refused = registered(registry, {name: stricter, other: committed()[other]})
    assert refused == 1
    assert lines[0].startswith(
        "hospital-bulk.RowCreated: refused: Incompatible: tenant_group: the field is now required"
    )
    assert lines[1] == "hospital-bulk.RowFailed: registered, id 1"


def test_a_password_may_stand_in_the_address(registry):
    """It is in no request line."""
    registry.login = "Basic " + base64.b64encode(b"me:p@ss/word").decode()
    url = registry.url.replace("://", "://me:p%40ss%2Fword@")
    assert registered(registry, {"RowCreated": committed()["RowCreated"]}, url)[1] == 0
    with pytest.raises(RegistryUnusable, match="401: Unauthorized"):
        registered(registry, url=registry.url.replace("://", "://me:wrong@"))
    assert "word" not in str(registry.requests)


@pytest.mark.parametrize("url", ["htp://me:word@registry", "me:word@registry:8081", "https://me:word@"])
def test_a_password_is_in_no_error(url):
    """Errors end up in logs."""
    with pytest.raises(ValueError, match="is no address of a registry") as error:
        SchemaRegistry(url)
    assert "word" not in str(error.value)


def test_a_path_may_stand_in_the_address(registry):
    """As for Apicurio's API of this kind."""
    registered(registry, {"RowCreated": committed()["RowCreated"]}, f"{registry.url}/apis/ccompat/v7/")
    assert registry.requests == [
        "/apis/ccompat/v7/subjects/hospital-bulk.RowCreated",
        "/apis/ccompat/v7/subjects/hospital-bulk.RowCreated/versions",
    ]


@pytest.mark.parametrize("page", ["<html>Welcome</html>", "[]", '{"id": "seven"}'])
def test_what_is_no_registry_is_called_so(registry, page):
    """In one line."""
    registry.broken = page
    with pytest.raises(RegistryUnusable, match="does not look like a schema registry"):
        registered(registry)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("registry:8081", "is no address of a registry"),
        ("ftp://registry", "is no address"),
        (None, "cannot be reached"),
    ],
)
def test_the_command_ends_with_one_line(url, words, free_port):
    """And the status 1."""
    command = [sys.executable, "-m", "deploy.schemas", "register", url or f"http://127.0.0.1:{free_port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


def test_the_command_registers_what_is_in_the_repository(registry):
    """A line for each."""
    command = [sys.executable, "-m", "deploy.schemas", "register", registry.url + "/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(committed()) == len(registry.subjects)
