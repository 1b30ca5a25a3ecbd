"""The page in front of the real services, the real broker and the sandbox directory."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from deploy.local.ports import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class System:
    """`make run`, with somebody else's broker."""

    url: str
    sandbox: str

    def refuse(self, name: str) -> None:
        """Lets the directory refuse hospitals that are called so."""
        faults = {"name_rules": [{"contains": name, "status": 422}]}
        request = urllib.request.Request(f"{self.sandbox}/admin/faults", json.dumps(faults).encode(), method="PATCH")
        request.add_header("Content-Type", "application/json")
        urllib.request.urlopen(request).close()


@pytest.fixture
def system(browser: Any, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[System]:
    """The whole system, on free ports; after the browser, so that without one nothing is started for nothing."""
    with running(kafka_bootstrap, topic_prefix, tmp_path) as system:
        yield system


@contextmanager
def running(bootstrap: str, prefix: str, folder: Path) -> Iterator[System]:
    """Starts everything, and stops it as Ctrl-C does."""
    ports = {"ORIGIN_PORT": free_port(), "SANDBOX_PORT": free_port()}
    told = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "KAFKA_TOPIC_PREFIX": prefix, "LOCAL_DIR": str(folder)}
    told |= {name: str(port) for name, port in ports.items()}
    told |= {f"{name}_PORT": "0" for name in ("INGEST", "STATUS", "PROCESSOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local"], env={**os.environ, **told}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            if "Everything is up" in line:
                break
        else:
            pytest.fail(f"it did not start: {''.join(said)}")
        yield System(f"http://127.0.0.1:{ports['ORIGIN_PORT']}", f"http://127.0.0.1:{ports['SANDBOX_PORT']}")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_a_clerk_uploads_a_bad_file_a_good_one_and_that_one_again(page: Page, system: System) -> None:
    """Errors beside their rows; 25 hospitals created and activated; the same file again is asked about."""
    page.goto(system.url)
    page.set_input_files("#file", EXAMPLES / "hospitals-with-errors.csv")
    expect(page.get_by_role("heading", name="hospitals-with-errors.csv has")).to_be_visible()
    expect(page.locator("tbody tr").filter(has_text="The same hospital as in row 2.")).to_have_count(1)
    upload(page, EXAMPLES / "hospitals.csv")
    expect(page.locator(".chip")).to_have_text("Completed", timeout=60_000)
    expect(page.locator(".story")).to_have_text("All 25 hospitals are created and activated.")
    page.get_by_role("link", name="All uploads").click()
    expect(page.locator(".jobs li")).to_contain_text("25 of 25 hospitals created")
    page.set_input_files("#file", EXAMPLES / "hospitals.csv")
    expect(page.get_by_role("heading", name="Upload the same file again?")).to_be_visible()


def test_a_row_that_the_directory_refuses_is_shown_with_its_reason(page: Page, system: System, tmp_path: Path) -> None:
    """The others are created; what is wrong with the one is in the table."""
    system.refuse("Nowhere")
    file = tmp_path / "three.csv"
    file.write_text("name,address\nGood Hope,1 Hope Street\nNowhere Clinic,2 Lost Lane\nLakeside,3 Lake Road\n")
    page.goto(system.url)
    upload(page, file)
    expect(page.locator(".chip")).to_have_text("Partly created", timeout=60_000)
    expect(page.locator("tbody th")).to_have_text("3")
    expect(page.locator("tbody td").first).to_have_text("Nowhere Clinic")
    expect(page.locator("tbody td").nth(1)).to_contain_text("Names with 'Nowhere' are refused here")


def upload(page: Page, file: Path) -> None:
    """Chooses the file and confirms it."""
    if page.locator("#file").count():
        page.set_input_files("#file", file)
    else:
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Choose the corrected file").click()
        chooser.value.set_files(file)
    page.locator(".panel button.main").click()
    page.wait_for_url("**/#/jobs/*")
