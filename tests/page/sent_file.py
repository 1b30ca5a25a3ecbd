"""What the page has sent, read by the service's own code, and what the service says of it."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.requests import Request
from starlette.responses import Response

from services.ingest.answers import file_checked
from services.ingest.csv_file.header import HeaderRequest
from services.ingest.csv_file.validation import FileAccepted, FileRejected, Rules, read_sheet, validate_file
from services.ingest.csv_file.workbook import Sheet
from services.ingest.problem_lists import wants_problem_list
from services.ingest.upload.multipart import FilePart
from services.ingest.upload.parameters import UploadParameters, upload_parameters


@dataclass(frozen=True)
class SentFile:
    """The file of a request, and its form fields."""

    name: str | None
    content: bytes
    fields: dict[str, str]

    @property
    def parameters(self) -> UploadParameters:
        """As the service understands them."""
        return upload_parameters({}, {name: [value] for name, value in self.fields.items()})

    @property
    def mapping(self) -> Any:
        """The columns that somebody has chosen."""
        return json.loads(self.fields["mapping"])


def sent_file(request: Request) -> SentFile:
    """What stands in the body of a request, which has been read."""
    _, options = parse_options_header(request.headers["content-type"])
    content = BytesIO()
    part = FilePart(options[b"boundary"], content, 1 << 30)
    part.feed(request._body)
    part.finish()
    fields = {name: values[0].decode() for name, values in part.fields.items()}
    return SentFile(part.file_name, content.getvalue(), fields)


def checked(request: Request) -> Any:
    """What the real service says of the file of a request: for tests that have to hold against it."""
    sent = sent_file(request)
    asked = sent.parameters
    with TemporaryDirectory() as folder:
        path, problems = Path(folder) / "upload", Path(folder) / "problems.csv"
        rules = Rules(
            max_rows=1_000_000,
            allow_duplicates=asked.allow_duplicates,
            repeat_created=asked.repeat_created,
            header=HeaderRequest(asked.mapping, asked.header_row),
            encoding=asked.encoding,
            sheet=asked.sheet,
            problem_file=problems,
        )
        path.write_bytes(sent.content)
        sheet = sheet_of(path, rules)
        result = validate_file(path, rules, sheet)
        assert isinstance(result, FileAccepted | FileRejected), result
        if wants_problem_list(request.headers["accept"]):
            return Response(problems.read_bytes(), media_type="text/csv")
    return file_checked(result, 2.5, []).model_dump(mode="json")


def sheet_of(path: Path, rules: Rules) -> Sheet | None:
    """The sheet of a workbook; None for a text. In a thread of its own: the fake API has an event loop already."""
    with ThreadPoolExecutor(1) as thread:
        sheet = thread.submit(asyncio.run, read_sheet(path, rules)).result()
    assert sheet is None or isinstance(sheet, Sheet), sheet
    return sheet
