"""What a request says about its file: in the query, or as form fields beside it."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.ingest.csv_file.column_mapping import RequestedMapping
from services.ingest.csv_file.corrections import job_id_in
from services.ingest.csv_file.encodings import python_encoding
from services.ingest.csv_file.header import NO_HEADER, SEARCHED_ROWS
from services.ingest.csv_file.known_columns import HospitalField
from services.ingest.job_events.max_failures import MaxFailures
from services.ingest.schemas import MAX_JOINED
from shared.runtime.http.problems import Problem

_BOOLEANS: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
_NUMBER: Final = re.compile("[0-9]{1,9}")
_MAX_HEADER_ROW: Final = 10_000
#: Most characters of a fingerprint: so many are stored.
MAX_FINGERPRINT: Final = 63
NAMES: Final = (
    "mapping",
    "encoding",
    "sheet",
    "header_row",
    "allow_duplicates",
    "repeat_created",
    "strict",
    "max_failures",
    "corrects",
)


@dataclass(frozen=True, slots=True)
class UploadParameters:
    """The choices of one request; each has a value also when the request says nothing."""

    mapping: RequestedMapping = field(default_factory=dict)
    #: A codec of Python.
    encoding: str | None = None
    sheet: str | None = None
    header_row: int | None = None
    allow_duplicates: bool = False
    repeat_created: bool = False
    strict: bool = False
    max_failures: MaxFailures | None = None
    #: The id of the job that the file corrects.
    corrects: str | None = None

    @property
    def fingerprint(self) -> str:
        """Equal for requests that ask for the same, however they are written."""
        chosen = {
            "mapping": {str(key): self.mapping[key] for key in sorted(self.mapping)},
            "encoding": self.encoding,
            "sheet": self.sheet,
            "header_row": self.header_row,
            "repeat_created": self.repeat_created,
            "strict": self.strict,
            "max_failures": str(self.max_failures) if self.max_failures else None,
            "corrects": self.corrects,
        }
        said = {name: value for name, value in chosen.items() if value or (name == "header_row" and value == NO_HEADER)}
        # Requests of an earlier version have the same fingerprint as long as they say nothing new.
        text = f"{self.allow_duplicates}:{json.dumps(said)}" if said else str(self.allow_duplicates)
        return text if len(text) <= MAX_FINGERPRINT else hashlib.sha256(text.encode()).hexdigest()[:MAX_FINGERPRINT]


def upload_parameters(query: Mapping[str, Sequence[str]], form: Mapping[str, Sequence[str]]) -> UploadParameters:
    """The parameters of a request. Others are ignored. Raises Problem 400, which names the parameter."""
    said = {name: value for name in NAMES if (value := _one(name, [*query.get(name, ()), *form.get(name, ())]))}
    return UploadParameters(
        mapping=_mapping(said["mapping"]) if "mapping" in said else {},
        encoding=_encoding(said["encoding"]) if "encoding" in said else None,
        sheet=said.get("sheet"),
        header_row=_header_row(said["header_row"]) if "header_row" in said else None,
        allow_duplicates=_boolean(said, "allow_duplicates"),
        repeat_created=_boolean(said, "repeat_created"),
        strict=_boolean(said, "strict"),
        max_failures=_max_failures(said["max_failures"]) if "max_failures" in said else None,
        corrects=_corrects(said["corrects"]) if "corrects" in said else None,
    )


def _one(name: str, values: Sequence[str]) -> str | None:
    """The value, when all that were sent mean the same. An empty one counts as not sent."""
    sent = [value for value in values if value]
    if len({_meaning(value) for value in sent}) > 1:
        raise _invalid(name, "is sent with different values. Send it once, in the query or as a form field.")
    return sent[0] if sent else None


def _meaning(value: str) -> str:
    """Equal for texts that mean the same: `True` and `1`, or an object with its names in another order."""
    folded = value.lower()
    if folded in _BOOLEANS:
        return str(_BOOLEANS[folded])
    try:
        return json.dumps(json.loads(value), sort_keys=True)
    except (ValueError, RecursionError):
        return value


def _mapping(text: str) -> RequestedMapping:
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise _invalid("mapping", 'is not JSON. Send an object such as {"name": "Hospital Name"}.') from None
    if not isinstance(said, dict):
        raise _invalid("mapping", 'is not a JSON object. Send one such as {"name": "Hospital Name"}.')
    return {_field(name): _columns(name, columns) for name, columns in said.items()}


def _field(name: str) -> HospitalField:
    if name not in tuple(HospitalField):
        raise _invalid("mapping", f"names {name[:100]!r}. The fields are name, address and phone.")
    return HospitalField(name)


def _columns(name: str, columns: Any) -> tuple[str, ...]:
    listed = [columns] if isinstance(columns, str) else columns or []
    if not isinstance(listed, list) or not all(isinstance(column, str) and column for column in listed):
        raise _invalid("mapping", f"has for {name!r} neither a column's name, nor a list of names, nor null.")
    if len(listed) > MAX_JOINED:
        raise _invalid("mapping", f"names more than {MAX_JOINED} columns for {name!r}.")
    if len(set(listed)) < len(listed):
        raise _invalid("mapping", f"names a column twice for {name!r}.")
    return tuple(listed)


def _encoding(name: str) -> str:
    if codec := python_encoding(name):
        return codec
    raise _invalid("encoding", f"{name[:100]!r} is not known. Examples: utf-8, windows-1252, shift_jis, euc-kr.")


def _header_row(text: str) -> int:
    if _NUMBER.fullmatch(text) and NO_HEADER <= int(text) <= _MAX_HEADER_ROW:
        return int(text)
    raise _invalid(
        "header_row",
        f"has to be the row of the header, from 1, or 0 for none (without it rows 1 to {SEARCHED_ROWS} are tried).",
    )


def _max_failures(text: str) -> MaxFailures:
    if found := MaxFailures.parse(text):
        return found
    raise _invalid("max_failures", f"has to be a number of rows (50) or a share of them (5%), not {text[:100]!r}.")


def _corrects(text: str) -> str:
    if job_id := job_id_in(text):
        return job_id
    raise _invalid("corrects", f"has to be the id of the job that is corrected, not {text[:100]!r}.")


def _boolean(said: Mapping[str, str], name: str) -> bool:
    if name not in said:
        return False
    value = _BOOLEANS.get(said[name].lower())
    if value is None:
        raise _invalid(name, f"has to be true or false, not {said[name][:100]!r}.")
    return value


def _invalid(name: str, what: str) -> Problem:
    return Problem(400, "invalid_parameter", f"`{name}` {what}")
