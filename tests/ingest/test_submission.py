"""An upload that waits for none that is not like it."""

import asyncio
import hashlib

import pytest

from services.ingest.created_rows.index import CreatedIndex
from services.ingest.file_workers import FileWorkers
from services.ingest.submission import Submission
from services.ingest.upload.body import UploadedFile
from services.ingest.upload.parameters import upload_parameters
from shared.runtime.http.problems import Problem
from tests.support.ingest.ingest_server import CSV, settings
from tests.support.ingest.workbooks import xlsx


class NothingCreated:
    """A tenant that has created nothing."""

    async def of(self, _tenant, _seconds):
        """Its rows."""
        return CreatedIndex(b"key")


def submission(directory):
    """One that checks files. As many workbooks are being read as may be at a time, and no end is near."""
    return Submission(
        settings(directory),
        FileWorkers(),
        *(None,) * 4,
        NothingCreated(),
        None,
        workbooks=asyncio.Semaphore(0),
    )


async def checked(directory, content, seconds=5):
    """The result of a dry run."""
    path = directory / "upload.csv"
    path.write_bytes(content)
    file = UploadedFile(path, "a.csv", hashlib.sha256(content).hexdigest(), len(content))
    async with asyncio.timeout(seconds):
        return await submission(directory).check(file, "north", upload_parameters({}, {}))


async def test_a_text_does_not_wait_for_workbooks(tmp_path):
    """Two of them may take half a minute each."""
    assert (await checked(tmp_path, CSV)).total == 2


async def test_a_file_of_another_kind_is_refused_at_once(tmp_path):
    """Its first bytes tell it."""
    with pytest.raises(Problem, match="PDF"):
        await checked(tmp_path, b"%PDF-1.7\n")


async def test_a_workbook_waits_for_others(tmp_path):
    """Each takes over a gigabyte while it is read."""
    with pytest.raises(TimeoutError):
        await checked(tmp_path, xlsx({"A": [["name", "address"], ["A", "B"]]}), seconds=0.2)
