"""deploy/Dockerfile: what its images are made of."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
STAGES = {
    match["name"]: match["body"]
    for match in re.finditer(r"^FROM (?P<body>\S+ AS (?P<name>\S+)\n(?:(?!FROM ).*\n?)*)", DOCKERFILE, re.MULTILINE)
}
TARGETS = ("ingest", "processor", "status", "origin", "housekeeping")
#: What is in an image that is no service.
ROOMS = {
    "origin": ["deploy/origin"],
    # It asks both databases what is still needed.
    "housekeeping": ["services/ingest", "services/status", "deploy/housekeeping"],
}
#: Whose lock file an image's packages come from, where it has none of its own.
PACKAGES = {"housekeeping": "status"}


def test_there_is_one_base_image() -> None:
    """Every stage begins with python:3.11-slim or with another stage."""
    assert {body.split()[0] for body in STAGES.values()} - set(STAGES) == {"python:3.11-slim"}


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_holds_its_own_room_and_no_other(target: str) -> None:
    """A hole in one service does not hand out another's code; the sandbox is in none."""
    rooms = re.findall(r"COPY --from=code /app/((?:services|deploy)/\w+) ", STAGES[target])
    assert rooms == ROOMS.get(target, [f"services/{target}"])
    assert f"COPY --from={PACKAGES.get(target, target)}-packages /opt/venv /opt/venv" in STAGES[target]


@pytest.mark.parametrize("target", sorted({*TARGETS} - {*PACKAGES}))
def test_packages_are_what_the_lock_says_byte_for_byte(target: str) -> None:
    """Installed with hashes, from the file that is locked for this image."""
    packages = STAGES[f"{target}-packages"]
    assert f"--require-hashes --requirement requirements-{target}.txt" in packages
    assert (ROOT / f"requirements-{target}.txt").is_file()


@pytest.mark.parametrize("target", TARGETS)
def test_images_run_as_somebody_without_rights(target: str) -> None:
    """By number: Kubernetes cannot tell that a name is not root."""
    assert STAGES[target].startswith("runtime AS ")
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert "USER 10001:10001" in STAGES["runtime"]


def test_the_process_gets_the_signals_and_is_watched() -> None:
    """No shell in between: SIGTERM reaches Python, which finishes what is in flight."""
    assert 'ENTRYPOINT ["python", "-m"]' in STAGES["runtime"]
    assert "STOPSIGNAL SIGTERM" in STAGES["runtime"]
    assert 'HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=6 CMD ["python"' in STAGES["runtime"]
    assert all(re.search(r'^CMD \["', STAGES[target], re.MULTILINE) for target in TARGETS)


def test_the_context_takes_only_what_is_named() -> None:
    """A database, a key or a .env that lies about never gets into an image."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert [line for line in lines if line.startswith("!")] == [
        "!requirements-*.txt",
        "!shared/",
        "!services/",
        "!deploy/*.py",
        "!deploy/origin/",
        "!deploy/housekeeping/",
    ]
    assert "shared/contract/examples/" in lines, "example events are for tests and other teams"
