"""The walk on the real containers: `python tests/deploy/containers/walk_compose.py`, about two minutes, needs Docker.

Builds the images, starts everything under a project name and ports of its own, uploads examples/hospitals.csv through
nginx, waits until its 25 hospitals are created and activated, kills both processors in the middle of a second job, and
takes everything down again, data included. Not part of `make test`, which has to be quick.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).parents[3]
PROJECT = f"walk-{uuid4().hex[:8]}"
COMPOSE = ["docker", "compose", "--project-name", PROJECT, "--profile", "sandbox"]
WAIT_SECONDS = 180
#: The caller's shell, but for what would send the walk to a real directory.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "HOSPITAL_API_BASE_URL"}


def free_port() -> str:
    """A port of 127.0.0.1 that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


PORTS = {"PORT": free_port(), "SANDBOX_PORT": free_port(), "KAFKA_HOST_PORT": free_port()}


def compose(*words: str) -> None:
    """Runs docker compose; its failure ends the walk."""
    subprocess.run([*COMPOSE, *words], cwd=ROOT, env={**ENVIRONMENT, **PORTS}, check=True)


def ask(port: str, path: str) -> Any:
    """The JSON behind a path."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return json.load(answer)


def upload(name: str, content: bytes) -> str:
    """The id of the job that a file has become."""
    part = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORTS['PORT']}/api/v1/hospitals/bulk",
        part.encode() + content + b"\r\n--b--\r\n",
        {"Content-Type": "multipart/form-data; boundary=b", "Idempotency-Key": str(uuid4())},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        job: str = json.load(answer)["job_id"]
        return job


def wait_until(job: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The status of a job once it is as wanted."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        status: dict[str, Any] = ask(PORTS["PORT"], f"/api/v1/hospitals/status/{job}")
        if wanted(status):
            return status
        time.sleep(0.5)
    sys.exit(f"Not there within {WAIT_SECONDS} s: {status}")


def activated(status: dict[str, Any]) -> bool:
    """Whether all that the job created is active."""
    return bool(status["activated"])


def expect_in_directory(names: int) -> None:
    """Every hospital is there once, and active."""
    hospitals = ask(PORTS["SANDBOX_PORT"], "/hospitals/")
    found = (len(hospitals), len({hospital["name"] for hospital in hospitals}), sum(h["active"] for h in hospitals))
    if found != (names, names, names):
        sys.exit(f"The directory should hold {names} hospitals, all different, all active; it holds {found}")


def walk() -> None:
    """Up, an upload, a killed processor, another upload's end."""
    compose("up", "--build", "--detach", "--wait", "--scale", "processor=2")
    status = wait_until(upload("hospitals.csv", (ROOT / "examples" / "hospitals.csv").read_bytes()), activated)
    print(f"{status['created_hospitals']} of {status['total_hospitals']} created and activated", flush=True)
    expect_in_directory(25)
    rows = "".join(f"Walk hospital {number},Street {number}\n" for number in range(200))
    job = upload("walk.csv", f"name,address\n{rows}".encode())
    wait_until(job, lambda status: status["created_hospitals"] > 10)
    compose("kill", "--signal", "KILL", "processor")
    compose("start", "processor")
    status = wait_until(job, activated)
    print(f"{status['created_hospitals']} of {status['total_hospitals']} created and activated, both processors killed")
    expect_in_directory(225)


if __name__ == "__main__":
    try:
        walk()
    finally:
        compose("down", "--volumes", "--timeout", "20")
