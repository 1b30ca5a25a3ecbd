"""The page in front of the real services, the real broker and the sandbox directory."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
import uuid
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
class Installation:
    """A running `make run` that uses the tests' broker."""

    url: str
    sandbox: str

    def refuse(self, name: str) -> None:
        """Lets the directory refuse hospitals that are called so."""
        faults = {"name_rules": [{"contains": name, "status": 422}]}
        request = urllib.request.Request(f"{self.sandbox}/admin/faults", json.dumps(faults).encode(), method="PUT")
        request.add_header("Content-Type", "application/json")
        urllib.request.urlopen(request).close()

    def created(self) -> int:
        """How many hospitals the directory has created; none of them twice."""
        with urllib.request.urlopen(f"{self.sandbox}/admin/overview") as answer:
            counts = json.load(answer)
        assert counts["doubles_total"] == 0
        return int(counts["creates"])

    def hospitals(self) -> list[dict[str, Any]]:
        """What the directory holds."""
        with urllib.request.urlopen(f"{self.sandbox}/hospitals/") as answer:
            return list(json.load(answer))


@pytest.fixture(scope="module")
def installation(browser: Any, kafka_bootstrap: str, tmp_path_factory: Any) -> Iterator[Installation]:
    """The whole system, on free ports; after the browser, so that without one nothing is started for nothing."""
    prefix = f"t{uuid.uuid4().hex[:8]}."
    with running_installation(kafka_bootstrap, prefix, tmp_path_factory.mktemp("walk")) as installation:
        yield installation


@contextmanager
def running_installation(bootstrap: str, prefix: str, folder: Path) -> Iterator[Installation]:
    """Starts everything, and stops it as Ctrl-C does."""
    ports = {"ORIGIN_PORT": free_port(), "SANDBOX_PORT": free_port()}
    variables = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "KAFKA_TOPIC_PREFIX": prefix, "LOCAL_DIR": str(folder)}
    variables |= {name: str(port) for name, port in ports.items()}
    variables |= {f"{name}_PORT": "0" for name in ("INGEST", "STATUS", "PROCESSOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local"], env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Everything is up" in line:
                break
        else:
            pytest.fail(f"it did not start: {''.join(lines)}")
        yield Installation(f"http://127.0.0.1:{ports['ORIGIN_PORT']}", f"http://127.0.0.1:{ports['SANDBOX_PORT']}")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_a_clerk_uploads_a_bad_file_and_a_good_one_and_corrects_what_the_directory_refused(
    page: Page, installation: Installation, tmp_path: Path
) -> None:
    """Errors beside their rows; progress as it happens; failed.csv, corrected, goes up as it is; nothing twice."""
    installation.refuse("Jürgen")
    page.goto(installation.url)
    page.set_input_files("#file", EXAMPLES / "hospitals-with-errors.csv")
    expect(page.get_by_role("heading", name="hospitals-with-errors.csv has 5 errors")).to_be_focused()
    duplicate = page.locator(".wrong-row").filter(has_text="The same hospital as in row 2.")
    expect(duplicate.get_by_label("phone")).to_have_value(re.compile("555. 0301"))
    expect(page.locator("[aria-invalid]")).to_have_count(4)

    with page.expect_response(lambda answer: answer.url.endswith("/events") and answer.ok):
        upload(page, EXAMPLES / "hospitals.csv")
    expect(page.locator(".chip")).to_have_text("Partly created", timeout=60_000)
    expect(page.locator(".headline")).to_have_text("24 of 25 hospitals were created, 1 failed.")
    expect(page.locator(".consequence")).to_contain_text("not activated, because not all could be created")
    expect(page.locator("tbody tr")).to_contain_text("4Klinikum Sankt JürgenNames with 'Jürgen' are refused here")
    with page.expect_download() as download:
        page.get_by_role("link", name="failed.csv").click()
    assert download.value.suggested_filename == "hospitals-failed.csv"
    failed = download.value.path().read_text("utf-8-sig")
    assert "Klinikum Sankt Jürgen" in failed
    assert "result_" in failed

    corrected = tmp_path / "hospitals-failed.csv"
    corrected.write_text(failed.replace("Sankt Jürgen", "Sankt Georg"), "utf-8-sig")
    upload(page, corrected)
    expect(page.locator(".headline")).to_have_text("The hospital is created and activated.", timeout=60_000)

    page.get_by_role("link", name="All uploads").click()
    expect(page.locator(".jobs .name")).to_have_text(["hospitals-failed.csv", "hospitals.csv"])
    page.get_by_label("Find").fill("FAILED")
    expect(page.locator(".jobs .name")).to_have_text(["hospitals-failed.csv"])
    page.set_input_files("#file", corrected)
    expect(page.get_by_role("heading", name="Upload the same file again?")).to_be_visible()
    assert installation.created() == 25


def test_a_clerk_corrects_what_was_refused_until_all_are_active(
    page: Page, installation: Installation, tmp_path: Path
) -> None:
    """80 rows, 8 refused: failed.csv comes back from a spreadsheet, and what it has lost is typed into the page."""
    installation.refuse("Lost")
    names = [f"{'Lost' if n % 10 == 7 else 'Found'} Clinic {n}" for n in range(80)]
    file = tmp_path / "region.csv"
    file.write_text("name,address\n" + "".join(f"{name},{n} Circle Road\n" for n, name in enumerate(names)))
    page.goto(installation.url)
    upload(page, file)
    expect(page.locator(".headline")).to_have_text("72 of 80 hospitals were created, 8 failed.", timeout=90_000)
    expect(page.locator(".consequence")).to_contain_text("They become active when all rows are created")
    expect(page.get_by_role("button", name="Try 8 failed rows again")).to_be_visible()
    first = page.url

    with page.expect_download() as download:
        page.get_by_role("link", name="failed.csv").click()
    corrected = tmp_path / "region-failed.csv"
    corrected.write_bytes(as_a_spreadsheet_saves(download.value.path(), lost="17 Circle Road"))
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="corrected file").click()
    chooser.value.set_files(corrected)
    expect(page.get_by_role("heading", name="region-failed.csv has 1 error")).to_be_focused()
    page.locator(".wrong-row [aria-invalid]").fill("17 Circle Road")
    page.get_by_role("button", name="Check again with 1 corrected row").click()
    expect(page.get_by_text("This file corrects rows of an earlier upload")).to_be_visible()
    page.get_by_role("button", name="Upload 8 hospitals").click()
    expect(page.locator(".headline")).to_have_text("All 8 hospitals are created and activated.", timeout=90_000)

    page.locator(".chain").get_by_role("link").click()
    expect(page).to_have_url(first)
    expect(page.locator(".headline")).to_have_text("All 80 hospitals are created, 8 of them after correction.")
    expect(page.locator(".consequence")).to_have_text("They are active in the directory.", timeout=30_000)
    expect(page.locator(".chip")).to_have_text("Completed")
    expect(page.locator(".actions button:visible")).to_have_count(0)
    page.get_by_role("link", name="All uploads").click()
    page.get_by_label("Find").fill("region")
    expect(page.locator(".jobs .numbers")).to_have_text(
        ["8 hospitals created, a correction", "80 hospitals created, 8 after correction"]
    )
    page.get_by_label("Show").select_option("Needs attention")
    expect(page.locator(".jobs li")).to_have_count(0)
    found = [each for each in installation.hospitals() if each["address"].endswith("Circle Road")]
    assert sorted(each["name"] for each in found) == sorted(name.replace("Lost", "Found") for name in names)
    assert all(each["active"] for each in found)
    installation.created()


def as_a_spreadsheet_saves(failed: Path, lost: str) -> bytes:
    """The names corrected, semicolons, a byte order mark; and one cell was emptied by mistake."""
    rows = list(csv.reader(failed.read_text("utf-8-sig").splitlines()))
    assert len(rows) == 9
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows(
        ["" if cell == lost else cell.replace("Lost Clinic", "Found Clinic") for cell in row] for row in rows
    )
    return text.getvalue().encode("utf-8-sig")


def test_a_clerk_uploads_an_old_export_and_corrects_it_in_the_page(
    page: Page, installation: Installation, tmp_path: Path
) -> None:
    """Windows-1252, columns of other names, three bad rows: the directory holds every hospital with its phone."""
    installation.refuse("nobody")
    file = tmp_path / "export.csv"
    file.write_text(
        "Hospital Name;TELEPHONE;ADDRESS\r\n"
        "Cl\u00ednica Mu\u00f1oz;+34 555 1101;Calle Mayor 1\r\n"
        ";+34 555 1102;Calle Mayor 2\r\n"
        "San Jos\u00e9;call us;Calle Mayor 3\r\n"
        "Santa Luc\u00eda;9.2E+09;Calle Mayor 4\r\n",
        "cp1252",
    )
    page.goto(installation.url)
    page.set_input_files("#file", file)
    page.locator(".guesses button").filter(has_text="Cl\u00ednica Mu\u00f1oz").first.click()
    expect(page.get_by_role("heading", name="export.csv has 3 errors")).to_be_focused()
    wrong = page.locator(".wrong-row [aria-invalid]")
    for index, text in enumerate(("San Juan", "+34 555 1103", "+34 555 1104")):
        wrong.nth(index).fill(text)
    page.get_by_role("button", name="Check again with 3 corrected rows").click()
    page.get_by_role("button", name="Upload 4 hospitals").click()
    expect(page.locator(".headline")).to_have_text("All 4 hospitals are created and activated.", timeout=60_000)
    held = [each for each in installation.hospitals() if (each["phone"] or "").startswith("+34 555 11")]
    assert all(each["active"] for each in held)
    assert len(held) == 4
    assert {(each["name"], each["phone"]) for each in held} == {
        ("Cl\u00ednica Mu\u00f1oz", "+34 555 1101"),
        ("San Juan", "+34 555 1102"),
        ("San Jos\u00e9", "+34 555 1103"),
        ("Santa Luc\u00eda", "+34 555 1104"),
    }


def test_a_clerk_cancels_an_upload_and_sends_the_rest_later(
    page: Page, installation: Installation, tmp_path: Path
) -> None:
    """What was created stays, the rest is not sent; the retry makes it whole, and only then it is activated."""
    installation.refuse("nobody")
    before = installation.created()
    file = tmp_path / "many.csv"
    file.write_text("name,address\n" + "".join(f"Ward {n},{n} Hope Street\n" for n in range(60)))
    page.goto(installation.url)
    upload(page, file)
    expect(page.locator("[data-count=created]")).not_to_have_text("0", timeout=30_000)
    page.get_by_role("button", name="Cancel the upload").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the upload").click()
    expect(page.locator(".chip")).to_have_text("Cancelled", timeout=90_000)
    done = int(page.locator("[data-count=created]").inner_text())
    assert installation.created() - before == done < 60
    page.get_by_role("button", name=f"Send the {60 - done} unsent rows").click()
    expect(page.locator(".headline")).to_have_text("All 60 hospitals are created and activated.", timeout=90_000)
    assert installation.created() - before == 60


def upload(page: Page, file: Path) -> None:
    """Chooses the file and confirms it."""
    if page.locator("#file").count():
        page.set_input_files("#file", file)
    else:
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="corrected file").click()
        chooser.value.set_files(file)
    before = page.url
    page.locator(".panel button.main", has_text="Upload").click()
    page.wait_for_url(lambda url: "#/jobs/" in url and url != before)
