"""The real engine in simulated time: nothing is created twice, nothing is lost, and everything ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEEDS = 300


def simulate(*options: str) -> "subprocess.CompletedProcess[str]":
    """In a process of its own, since the order in sets of texts depends on PYTHONHASHSEED."""
    command = [sys.executable, "-m", "tests.simulation", *options]
    return subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False)


@pytest.mark.no_cover
@pytest.mark.timeout(900)  # under 60 s on two cores that have nothing else to do
def test_no_seed_breaks_a_promise():
    """A seed that does is named, and replays with `python -m tests.simulation --seed N --history`."""
    run = simulate("--seeds", str(SEEDS), "--short")
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    assert f"{SEEDS} seeds" in run.stdout
    assert " 0 replayed" not in run.stdout


@pytest.mark.no_cover
def test_a_seed_replays_exactly():
    """Every event comes at the same moment of simulated time. Only the computing takes as long as it takes."""
    runs = [simulate("--seed", "4", "--history", "--short").stdout.splitlines() for _ in range(2)]
    told = [[line.partition(" s of CPU")[0].rpartition(",")[0] or line for line in run] for run in runs]
    assert told[0] == told[1]
    assert len(told[0]) > 20
