"""Each file that people really upload is read right, or refused for the right reason: over HTTP."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.ingest.field_cases import CASES, FOLDER, FieldCase
from tests.support.ingest.ingest_server import VALIDATE, ingest_in_thread

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[httpx.Client]:
    """A service that checks files."""
    directory = tmp_path_factory.mktemp("field")
    with ingest_in_thread(directory, tenant_uploads_per_minute=0) as url, httpx.Client(base_url=url) as client:
        yield client


def checked(service: httpx.Client, case: FieldCase, **parameters: str) -> httpx.Response:
    """What the service says of the file."""
    return service.post(VALIDATE, files={"file": (case.name, case.content)}, params=parameters, timeout=60)


@each_case
def test_it_is_read_right_or_told_what_is_wrong(service, case):
    """Mapping, rows, errors and warnings by their codes; guesses where somebody has to choose, and what follows."""
    answer = checked(service, case)
    assert answer.status_code == case.status
    if case.status != 200:
        return
    first = answer.json()
    problems = [*first["errors"], *first["warnings"]]
    found = [(each["row"], each["column"], each["code"]) for each in problems]
    assert sorted(found, key=lambda each: each[0] or 0) == list(case.found)[: len(found)]
    assert first["errors_total"] + first["warnings_total"] == len(case.found)
    assert len(found) == min(len(case.found), 1_000)
    assert [(guess["encoding"], guess["sample"]) for guess in first["encoding_guesses"]] == list(case.guesses)
    last = checked(service, case, **case.chosen).json() if case.chosen else first
    assert {name: last[name] for name in case.verdict} == dict(case.verdict)
    if case.sent is not None:
        assert last["total_hospitals"] == len(case.sent)
        assert [(row["row"], row["name"], row["address"], row["phone"]) for row in last["sample"]] == case.sent[:5]


@each_case
def test_a_clerk_understands_every_message(service, case):
    """No bytes, no escapes, no names of Python; whole sentences."""
    answer = checked(service, case)
    if answer.status_code != 200:
        assert "\\x" not in answer.text
        return
    for problem in [*answer.json()["errors"], *answer.json()["warnings"]]:
        message = problem["message"]
        assert message.endswith((".", "?"))
        assert not any(word in message for word in ("\\x", "\\u", "byte", "codec", "Traceback", "utf-8")), message


def test_every_file_is_in_the_table():
    """And none is missing."""
    assert {path.name for path in FOLDER.iterdir()} <= {case.name for case in CASES}
    assert len({case.name for case in CASES}) == len(CASES) == 68
