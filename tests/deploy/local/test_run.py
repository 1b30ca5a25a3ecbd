"""`make run` as a person meets it: the whole system on this machine, on ports and in a directory of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path

import psutil
import pytest

from deploy.local.broker.jars import class_path, locked_jars
from deploy.local.paths import local_dir
from deploy.local.ports import free_port

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "deploy.local"]
PORTS = ("ORIGIN_PORT", "SANDBOX_PORT", "KAFKA_PORT", "INGEST_PORT", "STATUS_PORT", "PROCESSOR_PORT")
#: What would make the run somebody else's.
FOREIGN = ("KAFKA_BOOTSTRAP_SERVERS", "HOSPITAL_API_BASE_URL", "INGEST_DATABASE_URL", "STATUS_DATABASE_URL", "API_KEYS")


def environment(directory: Path, **changes: object) -> dict[str, str]:
    """For a run that shares nothing with others but the cache of jars."""
    own = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    ports = {name: str(free_port()) for name in PORTS}
    return {**own, **ports, "LOCAL_DIR": str(directory), **{name: str(value) for name, value in changes.items()}}


@pytest.fixture(scope="module")
def jars():
    """Kafka's jars, fetched before the clock of a start runs."""
    return class_path(local_dir() / "jars", locked_jars())


@pytest.fixture
def directory(tmp_path):
    """Where a test's run keeps its data."""
    return tmp_path / "local"


@pytest.fixture
def up(jars, directory):
    """A run that is up: its process, environment and output; ended afterwards, if it still runs."""
    variables, output = environment(directory), directory.with_suffix(".output")
    with output.open("wb") as terminal:
        process = subprocess.Popen(COMMAND, cwd=ROOT, env=variables, stdout=terminal, stderr=terminal)
    wait_for(lambda: "Everything is up" in output.read_text() or process.poll() is not None, 60, output)
    assert process.poll() is None, output.read_text()
    yield process, variables, output
    process.kill()
    process.wait()


def run_to_its_end(variables):
    """A run that ends by itself within 20 s, with its output."""
    return subprocess.run(COMMAND, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=20, check=False)


def wait_for(holds, seconds, output):
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.2)
    return found


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def upload(url, path):
    """Posts the file as curl does; the address of the job's status."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
    body = head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Idempotency-Key": boundary}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
        assert answer.status == 202
        return answer.headers["Location"]


def test_one_command_runs_everything_and_ctrl_c_leaves_nothing(up):
    """25 hospitals go in at the front, 25 are in the directory, active; then no process and no port is left."""
    process, variables, output = up
    origin = f"http://localhost:{variables['ORIGIN_PORT']}"

    status = origin + upload(f"{origin}/api/v1/hospitals/bulk", ROOT / "examples" / "hospitals.csv")
    job = wait_for(lambda: (now := get(status))["activated"] and now, 60, output)
    assert (job["status"], job["created_hospitals"], job["total_hospitals"]) == ("completed", 25, 25)
    hospitals = get(f"http://127.0.0.1:{variables['SANDBOX_PORT']}/hospitals/")
    assert (len(hospitals), all(hospital["active"] for hospital in hospitals)) == (25, True)

    ready = get(f"{origin}/health/ready")
    assert ready["dependencies"] == {name: {"status": "ok"} for name in ("ingest", "status", "processor")}
    paths = set(get(f"{origin}/openapi.json")["paths"])
    assert paths >= {"/api/v1/hospitals/bulk", "/api/v1/hospitals/status/{job_id}"}
    assert f"{origin}/api/v1/hospitals/bulk" in output.read_text()

    children = psutil.Process(process.pid).children(recursive=True)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0, output.read_text()
    assert time.monotonic() - began < 10
    assert len(children) >= 6
    assert psutil.wait_procs(children, timeout=1)[1] == []


def test_a_second_run_says_in_one_line_that_one_runs(up):
    """With the process that does, and without touching it."""
    process, variables, _ = up
    second = run_to_its_end(variables)
    assert second.returncode == 1
    assert second.stdout + second.stderr == (
        f"Already running here as process {process.pid}: stop it with Ctrl-C there, or with kill {process.pid}.\n"
    )
    assert process.poll() is None


@pytest.mark.parametrize("name", ["ORIGIN_PORT", "SANDBOX_PORT", "KAFKA_PORT"])
def test_a_port_that_is_taken_is_named_in_one_line_before_anything_starts(directory, name):
    """With the variable that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        variables = environment(directory, **{name: port})
        refused = subprocess.run(
            COMMAND, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=20, check=False
        )
    [line] = (refused.stdout + refused.stderr).splitlines()
    assert refused.returncode == 1
    assert line.startswith("Nothing was started")
    assert f"port {port}" in line
    assert name in line
    assert not (directory / "logs").exists()


def test_a_wrong_port_is_named_by_its_variable(directory):
    """One line, exit status 2, as with every setting."""
    variables = environment(directory, ORIGIN_PORT="eight thousand")
    refused = run_to_its_end(variables)
    [line] = (refused.stdout + refused.stderr).splitlines()
    assert (refused.returncode, "ORIGIN_PORT" in line) == (2, True)
