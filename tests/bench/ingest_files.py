"""`python -m tests.bench.ingest_files`: what reading a file costs.

1. A CSV, checked and made into records, beside the code of commit 113862e, which knew nothing of other names, encodings
   or warnings: the time of the CPU, in turns. It is left out where git does not have the commit.
2. A workbook as Excel writes it, checked over HTTP: rows a second, and the memory of all processes.

BENCH_FULL=1 takes 1,000,000 rows, else 200,000.
"""

import asyncio
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Final

import httpx

from tests.bench.ingest import csv_of, watched
from tests.support.ingest.ingest_process import IngestProcess

ROOT: Final = Path(__file__).parents[2]
ROWS: Final = 1_000_000 if os.environ.get("BENCH_FULL") == "1" else 200_000
OLD: Final = "113862e"
TURNS: Final = 3
#: Run in the tree of either version: both call it so.
PREPARE: Final = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from services.ingest.job_draft import JobDraft
from services.ingest.job_records import prepare
from services.ingest.inspection import Rules
job = "6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11"
draft = JobDraft("default", job, "a.csv", "0" * 64, datetime.now(UTC), None, 1000, 1000, 6)
began = time.process_time()
prepare(Path(sys.argv[1]), Rules(10_000_000), draft)
print(time.process_time() - began)
"""
#: Where today's code has them.
MOVED: Final = {
    "services.ingest.job_draft": "services.ingest.job_events.job_draft",
    "services.ingest.job_records": "services.ingest.job_events.prepared_job",
    "services.ingest.inspection": "services.ingest.csv_file.validation",
}


async def main() -> None:
    """Measures one after the other, and prints each figure as it comes."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        directory = Path(place)
        beside_the_old(directory)
        await workbook(directory)


def beside_the_old(directory: Path) -> None:
    """Prints the time that a CSV takes, and how it compares."""
    path, old = directory / "large.csv", directory / "old"
    path.write_bytes(csv_of(ROWS))
    archive = subprocess.run(["git", "archive", OLD, "services", "shared"], cwd=ROOT, capture_output=True)
    if archive.returncode:
        print(f"CSV: git does not have {OLD} here, so there is nothing to compare with")
        return
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tree:
        tree.extractall(old, filter="data")
    took: dict[Path, list[float]] = {old: [], ROOT: []}
    for _ in range(TURNS):
        for tree_, times in took.items():
            times.append(prepared(tree_, path))
    before, now = median(took[old]), median(took[ROOT])
    ratios = sorted(new / then for then, new in zip(took[old], took[ROOT], strict=True))
    print(f"CSV of {ROWS:,} rows: {ROWS / now:,.0f} rows/s of one CPU, {ROWS / before:,.0f} with {OLD}")
    print(f"    {median(ratios):.2f} of its time, {ratios[0]:.2f} to {ratios[-1]:.2f} (aim: below 1.1)", flush=True)


def prepared(tree: Path, path: Path) -> float:
    """The seconds of the CPU that the code in this tree takes for the file."""
    program = PREPARE
    if tree == ROOT:
        for before, now in MOVED.items():
            program = program.replace(before, now)
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=tree, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


async def workbook(directory: Path) -> None:
    """Prints how long the check of a workbook takes, and the memory of the service and its processes."""
    path = directory / "large.xlsx"
    write_workbook(path)
    process = IngestProcess(directory, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    await process.start("/health")
    async with httpx.AsyncClient(base_url=process.url, timeout=600) as client, watched(process) as peak:
        began = time.monotonic()
        with path.open("rb") as file:
            answer = await client.post("/api/v1/hospitals/validate", files={"file": ("large.xlsx", file)})
        seconds = time.monotonic() - began
    process.terminate()
    assert answer.json()["total_hospitals"] == ROWS, answer.text
    assert answer.json()["valid"] is True, answer.text
    print(f".xlsx of {ROWS:,} rows, {path.stat().st_size / 1e6:.0f} MB, checked: {ROWS / seconds:,.0f} rows/s")
    print(f"    peak memory of all ingest processes {max(peak) / 1e6:.0f} MB (aim: below 400)", flush=True)


def write_workbook(path: Path) -> None:
    """Three columns of text, which cells share as Excel has it: every name, address and phone is another."""
    namespace = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book:
        book.writestr("[Content_Types].xml", "<Types/>")
        relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        relations = "http://schemas.openxmlformats.org/package/2006/relationships"
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{relations}">'
            f'<Relationship Id="r1" Type="{relation}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        book.writestr(
            "xl/workbook.xml",
            f'<workbook {namespace} xmlns:r="{relation}"><sheets>'
            '<sheet name="List" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{relations}">'
            f'<Relationship Id="r1" Type="{relation}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="r2" Type="{relation}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        )
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            part.write(f"<worksheet {namespace}><sheetData>".encode())
            for row in range(1, ROWS + 2):
                cells = "".join(
                    f'<c r="{letter}{row}" t="s"><v>{3 * row - 3 + place}</v></c>' for place, letter in enumerate("ABC")
                )
                part.write(f'<row r="{row}">{cells}</row>'.encode())
            part.write(b"</sheetData></worksheet>")
        with book.open("xl/sharedStrings.xml", "w", force_zip64=True) as part:
            part.write(f"<sst {namespace}>".encode())
            for text in texts():
                part.write(f"<si><t>{text}</t></si>".encode())
            part.write(b"</sst>")


def texts() -> Iterator[str]:
    """The cells, row by row."""
    yield from ("name", "address", "phone")
    for row in range(ROWS):
        yield from (f"Hospital {row} of the Northern Region", f"{row} Long Main Street in a Town", f"+1 555 {row:07d}")


if __name__ == "__main__":
    begun = time.monotonic()
    asyncio.run(main())
    print(f"measured in {time.monotonic() - begun:.0f} s")
