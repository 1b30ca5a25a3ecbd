"""Files as people really have them, by the command line: read by the real service, with at most one question each."""

import csv
import io
import json
import re
from collections.abc import Iterator

import httpx
import pytest

from client.exit_status import ExitStatus
from client.options import URL_VARIABLE
from tests.client.fake_service import JOB_ID, ROOT, Answer
from tests.client.terminal import terminal
from tests.support.ingest.field_cases import CASES
from tests.support.ingest.ingest_server import ingest_in_thread
from tests.support.ingest.public_files import PUBLIC_FILES


@pytest.fixture(scope="module")
def real_service(tmp_path_factory) -> Iterator[str]:
    """The URL of a service that checks files."""
    with ingest_in_thread(tmp_path_factory.mktemp("real"), tenant_uploads_per_minute=0) as url:
        yield url


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_kind_is_told_as_the_service_reads_it(run, real_service, monkeypatch, tmp_path, case):
    """The verdict, every error and warning in the list, and what would be sent. A question is answered by an option."""
    monkeypatch.setenv(URL_VARIABLE, real_service)
    file, errors = tmp_path / case.name, tmp_path / "errors.csv"
    file.write_bytes(case.content)
    checked = run("validate", file, "--json", "--errors", errors)
    if case.status != 200:
        assert (checked.exit_code, json.loads(checked.stdout)["status"]) == (ExitStatus.REFUSED, case.status)
        return
    listed = list(csv.DictReader(io.StringIO(errors.read_text("utf-8-sig"))))
    assert sorted((line["row"], line["column"], line["code"]) for line in listed) == sorted(
        (str(row or ""), column or "", code) for row, column, code in case.found
    )
    if case.chosen:
        assert all(
            f"--encoding {encoding} reads it as: " in run("validate", file).output for encoding, _ in case.guesses
        )
        checked = run("validate", file, "--json", "--encoding", case.chosen["encoding"])
    assert checked.exit_code == (ExitStatus.REFUSED if case.sent is None else ExitStatus.DONE)
    sample = json.loads(checked.stdout)["sample"]
    if case.sent is not None:
        assert [(row["row"], row["name"], row["address"], row["phone"]) for row in sample] == case.sent[:5]


@pytest.mark.parametrize("public", PUBLIC_FILES, ids=lambda public: public.name)
def test_a_public_list_is_sent_with_at_most_one_question(service, real_service, tmp_path, public):
    """At a terminal. What is sent is read with every phone."""

    def read(request):
        kind = {"Content-Type": request.headers["content-type"]}
        answer = httpx.post(f"{real_service}{ROOT}/validate?{request.query}", content=request.body, headers=kind)
        return Answer(answer.status_code, answer.text)

    service.respond("POST", "/validate", read)
    service.respond("POST", "/bulk", {"job_id": JOB_ID, "total_hospitals": len(public.hospitals)})
    file = tmp_path / public.name
    file.write_bytes(public.content)
    with terminal(service, "upload", file, *public.options) as at:
        if public.reads_right:
            at.until("Enter: none of them:")
            number = re.search(rf"  (\d)  [^:\n]+: .*{public.reads_right}", at.seen)
            at.type(f"{number.group(1)}\n")
        elif not public.options:
            at.until("[y/N]")
            at.type("y\n")
        assert at.end() == ExitStatus.DONE, at.seen
    assert at.seen.count("[y/N]") + at.seen.count("Enter:") <= 1
    assert all(phone in at.seen for _, _, phone in public.hospitals)
    [sent] = service.calls("POST", "/bulk")
    sample = json.loads(read(sent).body)["sample"]
    assert [(row["name"], row["address"], row["phone"]) for row in sample] == list(public.hospitals)
