"""A sheet of a workbook (.xlsx, .xls, .ods) as a CSV file that the rest of the service reads like any other.

Row numbers stay those of the spreadsheet: blank rows are written too. No formula is run: a cell has the value that was
saved with it. The library holds a sheet's whole rectangle in memory, so a workbook is read in a process of its own,
with a limit on its memory and its time. What is too much ends that process, not the service.
"""

import asyncio
import json
import sys
import zipfile
from asyncio import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.ingest.csv_file.file_kind import NotCsv, is_compound_file
from shared.runtime.http.row_problems import ProblemCode

#: All that a workbook may unpack to, in bytes, and how many parts it may have.
MAX_UNPACKED_BYTES: Final = 2 << 30
MAX_PARTS: Final = 10_000
#: How long its process may take, in seconds.
READING_SECONDS: Final = 180.0
#: The program that reads a sheet, by its place: it needs nothing of ours, and runs wherever the service was started.
_READER: Final = Path(__file__).with_name("sheet_reader.py")
#: One of these is in each: of Excel (also its binary kind), of LibreOffice.
_PARTS_OF_WORKBOOKS: Final = frozenset(
    {"[Content_Types].xml", "xl/workbook.xml", "xl/workbook.bin", "content.xml", "mimetype"}
)
_NOT_A_WORKBOOK: Final = (
    "The file is neither a CSV nor a workbook that can be read. Export the list as CSV UTF-8 and upload that."
)
_TOO_MUCH: Final = (
    "The workbook holds more than can be read, or has a cell far outside of the list. "
    "Save the list as CSV UTF-8 and upload that."
)


class WorkbookRejected(ValueError):
    """The workbook cannot be read as it is. The message says what to do."""

    def __init__(self, code: ProblemCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class WorkbookTooLarge(ValueError):
    """The workbook unpacks to more than is read."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet that was written as CSV, UTF-8, with commas."""

    path: Path
    name: str
    #: All sheets that can be chosen, in the workbook's order.
    names: tuple[str, ...]


async def sheet_as_text(workbook: Path, sheet: str | None, max_rows: int, seconds: float = READING_SECONDS) -> Sheet:
    """Writes the named sheet, or else the first that is visible, to a file beside the workbook.

    Rows after `max_rows` and a header are left out but for some, by which the reader sees that there are too many.
    The process ends with the waiting for it. Raises NotCsv, WorkbookRejected and WorkbookTooLarge.
    """
    _check_size(workbook)
    target = workbook.with_suffix(".sheet.csv")
    arguments = [str(workbook), str(target), str(max_rows), json.dumps(sheet)]
    process = await asyncio.create_subprocess_exec(
        # Without -P it would look for the library in the folder of the program first.
        *(sys.executable, "-P", str(_READER), *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(seconds):
            printed = await _printed(process)
    except TimeoutError as error:
        raise WorkbookTooLarge(_TOO_MUCH) from error
    finally:
        await _ended(process)
    return _sheet(target, printed)


async def _printed(process: subprocess.Process) -> bytes:
    if process.stdout is None:
        raise RuntimeError("The process has no output.")
    printed = await process.stdout.read()
    if await process.wait():
        raise WorkbookTooLarge(_TOO_MUCH)
    return printed


async def _ended(process: subprocess.Process) -> None:
    """Ends the process, if it still runs, and closes its pipes."""
    with suppress(ProcessLookupError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    await asyncio.shield(process.wait())


def _sheet(target: Path, printed: bytes) -> Sheet:
    answer = json.loads(printed)
    if "not_a_workbook" in answer:
        raise NotCsv(answer["not_a_workbook"])
    if "code" in answer:
        raise WorkbookRejected(ProblemCode(answer["code"]), answer["message"])
    return Sheet(target, answer["name"], tuple(answer["names"]))


def _check_size(workbook: Path) -> None:
    """By the archive's own list, which costs nothing. One that lies is caught by the limits of the process."""
    try:
        with zipfile.ZipFile(workbook) as packed:
            parts = packed.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        if not is_compound_file(workbook):
            raise NotCsv(_NOT_A_WORKBOOK) from error  # no need to start a process
        return  # an old workbook
    if not any(part.filename in _PARTS_OF_WORKBOOKS for part in parts):
        raise NotCsv("The file is a ZIP archive. Unpack it, and upload the list that is in it.")
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
        raise WorkbookTooLarge(_TOO_MUCH)
