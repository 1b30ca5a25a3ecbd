"""All errors and warnings of a file as a CSV to download: what a dry run answers to `Accept: text/csv`."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path, PurePath
from typing import BinaryIO, Final
from urllib.parse import quote

from fastapi.responses import StreamingResponse

CSV_TYPE: Final = "text/csv"
_CHUNK_BYTES: Final = 256 * 1024
_NAME_CHARS: Final = 100
#: How the documentation tells of it.
PROBLEM_LIST: Final = {
    CSV_TYPE: {
        "schema": {"type": "string"},
        "example": "row,column,kind,code,message,value\r\n7,name,error,missing_value,The name is missing.,\r\n",
    }
}


def wants_problem_list(accept: str) -> bool:
    """Whether the header `Accept` names CSV, and JSON not as much."""
    wanted = dict(map(_weighed, accept.lower().split(",")))
    return wanted.get(CSV_TYPE, 0.0) > wanted.get("application/json", 0.0)


def _weighed(part: str) -> tuple[str, float]:
    kind, *parameters = (each.strip() for each in part.split(";"))
    weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return kind, float(weight)
    except ValueError:
        return kind, 0.0


def problem_list(path: Path, file_name: str) -> StreamingResponse:
    """The file as an answer. It is opened at once, so its directory may go."""
    file = path.open("rb")
    name = f"{PurePath(file_name).stem[:_NAME_CHARS]}-errors.csv"
    headers = {
        "Content-Disposition": f"attachment; filename=\"errors.csv\"; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Length": str(os.fstat(file.fileno()).st_size),
    }
    return StreamingResponse(_chunks(file), headers=headers, media_type=CSV_TYPE)


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk
