"""Command line, API guide and real files in front of the real services, the real broker and the sandbox directory."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from client.options import URL_VARIABLE
from deploy.local.ports import free_port
from tests.page.test_walk import Installation, running_installation
from tests.support.ingest.field_cases import ACCEPTED
from tests.support.ingest.public_files import PUBLIC_FILES

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "api.md").read_text("utf-8")
#: The programs of the guide: the language, what runs it, and what its file is called.
PROGRAMS = {
    "bash": (["bash", "-euo", "pipefail"], "guide.sh"),
    "python": ([sys.executable], "guide.py"),
    "javascript": (["node"], "guide.mjs"),
    "powershell": (["pwsh", "-NonInteractive", "-File"], "guide.ps1"),
}


@pytest.fixture(scope="module")
def installation(kafka_bootstrap: str, tmp_path_factory) -> Iterator[Installation]:
    """The whole system, on free ports."""
    prefix = f"t{uuid.uuid4().hex[:8]}."
    with running_installation(kafka_bootstrap, prefix, tmp_path_factory.mktemp("walk")) as installation:
        yield installation


def test_a_script_uploads_two_files_and_corrects_what_failed(installation, tmp_path):
    """Exit statuses, one job for one key, the same file asked about, a result file that goes up again, a mapping."""
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("name,address\nGood Hope,1 Hope Street\nLakeside,3 Lake Road\n")
    bad.write_text("name,address\nMercy,1 Mercy Street\nNowhere Clinic,2 Lost Lane\n")
    installation.refuse("Nowhere")
    before = installation.created()

    def hospital_bulk(*words):
        environment = {**os.environ, "HOSPITAL_BULK_URL": installation.url}
        command = [sys.executable, "-m", "client", *map(str, words)]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
        )

    uploaded = hospital_bulk("upload", good, "--watch", "--key", "monday")
    assert (uploaded.returncode, "Traceback" in uploaded.stderr) == (0, False), uploaded.stderr
    assert "Completed: All hospitals created and activated." in uploaded.stdout
    assert "\x1b" not in uploaded.stdout + uploaded.stderr

    assert hospital_bulk("upload", good).returncode == 7
    replayed = hospital_bulk("upload", good, "--yes", "--key", "monday", "--json")
    partly = hospital_bulk("upload", bad, "--watch", "--json")
    assert partly.returncode == 1, partly.stderr
    listed = json.loads(hospital_bulk("list", "--json").stdout)["jobs"]
    assert [job["file_name"] for job in listed[:2]] == ["bad.csv", "good.csv"]
    assert json.loads(replayed.stdout)["job_id"] == listed[1]["job_id"]

    job_id = json.loads(partly.stdout)["job_id"]
    fetched = hospital_bulk("failed", job_id, "-o", tmp_path / "failed.csv")
    assert fetched.returncode == 0, fetched.stderr
    failed = (tmp_path / "failed.csv").read_text()
    assert failed.splitlines()[1].startswith("Nowhere Clinic,2 Lost Lane")
    corrected = tmp_path / "corrected.csv"
    corrected.write_text(failed.replace("Nowhere Clinic", "Somewhere Clinic"))
    assert hospital_bulk("upload", corrected, "--watch").returncode == 0

    refused = hospital_bulk("cancel", job_id)
    assert (refused.returncode, "has ended" in refused.stderr) == (6, True), refused.stderr
    useless = hospital_bulk("retry", job_id)
    assert (useless.returncode, "stands in a correction" in useless.stderr) == (6, True), useless.stderr
    status = json.loads(hospital_bulk("status", job_id, "--json").stdout)
    assert (status["outcome"], status["corrected_hospitals"]) == ("all_created_after_correction", 1)

    bad.write_text("name,address\nCharity,4 Charity Street\nNowhere House,5 Lost Lane\n")
    partly = hospital_bulk("upload", bad, "--watch", "--json")
    installation.refuse("nobody at all")
    retried = hospital_bulk("retry", json.loads(partly.stdout)["job_id"], "--watch")
    assert retried.returncode == 0, retried.stdout + retried.stderr
    assert installation.created() - before == 6

    foreign = tmp_path / "foreign.csv"
    foreign.write_bytes("Haus;Straße;Ort\nSankt Jürgen;Ringstraße 1;Köln\n".encode("cp1252"))
    assert "--encoding windows-1252 reads it as: " in hospital_bulk("upload", foreign, "--yes").stderr
    choices = [
        "--encoding",
        "windows-1252",
        "--map",
        "name=Haus",
        "--map",
        "address=Straße",
        "--map",
        "address=Ort",
    ]
    mapped = hospital_bulk("upload", foreign, *choices, "--watch", "--yes")
    assert mapped.returncode == 0, mapped.stderr
    assert "Sankt Jürgen  Ringstraße 1, Köln  no phone" in mapped.stderr
    assert installation.created() - before == 7

    assert hospital_bulk("validate", good).returncode == 0
    assert hospital_bulk("status", "no-such-job").returncode == 6
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert hospital_bulk("list", "--patience", "0", "--url", nowhere).returncode == 5


def test_the_directory_holds_what_the_files_say(run, installation, monkeypatch, tmp_path):
    """Each file that people really upload and that is taken: every hospital once, as it stands."""
    installation.refuse("nobody at all")
    monkeypatch.setenv(URL_VARIABLE, installation.url)
    before = {hospital["id"] for hospital in installation.hospitals()}
    expected, jobs = [], []
    for case in ACCEPTED:
        words = ["--encoding", case.chosen["encoding"]] if case.chosen else []
        jobs.append(uploaded(run, tmp_path / case.name, case.content, words))
        expected += [hospital for _, *hospital in case.sent]
    for public in PUBLIC_FILES:
        words = ["--encoding", public.encoding] if public.encoding else public.options
        jobs.append(uploaded(run, tmp_path / public.name, public.content, words))
        expected += [list(hospital) for hospital in public.hospitals]
    for job in jobs:
        assert ended(installation, job)["outcome"] == "all_created"
    found = [each for each in installation.hospitals() if each["id"] not in before]
    held = [[each["name"], each["address"], each["phone"]] for each in found]
    assert sorted(held, key=str) == sorted(expected, key=str)
    installation.created()


def uploaded(run, file, content, words):
    """The job that the file has become."""
    file.write_bytes(content)
    result = run("upload", file, *words, "--yes", "--quiet")
    assert result.exit_code == 0, (file.name, result.stderr)
    return result.stdout.strip()


def ended(installation, job_id, seconds=120):
    """The job when it has ended."""
    deadline = time.monotonic() + seconds
    while True:
        job = httpx.get(f"{installation.url}/api/v1/hospitals/status/{job_id}", timeout=60).raise_for_status().json()
        if job["completed_at"]:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.1)


@pytest.mark.parametrize("language", PROGRAMS)
def test_the_programs_of_the_guide_run_as_they_stand(installation, tmp_path, language):
    """Each checks, uploads, waits, watches, and corrects the row that the directory has refused."""
    command, name = PROGRAMS[language]
    if shutil.which(command[0]) is None or (language == "bash" and not (shutil.which("curl") and shutil.which("jq"))):
        pytest.skip(f"this machine has nothing that runs {language}")
    installation.refuse("Jürgen")
    before = installation.created()
    shutil.copy(ROOT / "examples" / "hospitals.csv", tmp_path)
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    assert "http://localhost:8000" in blocks[0]
    program = "\n".join(blocks).replace("http://localhost:8000", installation.url)
    (tmp_path / name).write_text(program, "utf-8")
    done = subprocess.run([*command, name], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Names with 'Jürgen' are refused here" in done.stdout
    corrected = (tmp_path / "corrected.csv").read_text("utf-8-sig")
    assert "Sankt Georg" in corrected
    assert ("event: finished" in done.stdout) == (language != "powershell")
    assert (tmp_path / "errors.csv").is_file() == (language == "bash")
    newest = httpx.get(f"{installation.url}/api/v1/hospitals/jobs?limit=1").json()["jobs"][0]
    assert ended(installation, newest["job_id"])["outcome"] == "all_created"
    assert installation.created() - before == 25
