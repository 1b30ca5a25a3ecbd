"""What the documentation of the API shows besides the models: parameters, the body, errors with examples."""

from typing import Final

from services.ingest.problem_lists import PROBLEM_LIST
from services.ingest.schemas import BAD_ROW, ColumnMapping, FileChecked, UploadAccepted
from shared.runtime.http.openapi import (
    EVERYWHERE,
    ORIGIN_AWAY,
    Document,
    Documented,
    examples,
    header,
    model_schemas,
    problem,
    problem_with,
)
from shared.runtime.http.problems import KAFKA_DOWN, database_down

DESCRIPTION: Final = """Uploads files of hospitals. Every accepted file is a job, and its rows become hospitals.

1. `POST /hospitals/validate` shows how the file is read and what is wrong with it. Nothing is stored.
2. `POST /hospitals/bulk` takes it, and answers with a `job_id` before any hospital is created.
3. The status service tells how the job goes on.

HEAD is answered wherever GET is. Errors are problem documents (RFC 9457)."""
TAGS: Final = [{"name": "uploads", "description": "Check a file, and turn it into a job."}]

# Without a default: clients would send it in the query and in the form, where one may be meant to be true.
_TRUE: Final = {"type": "boolean"}
#: What a request can say about its file, in the query or as form fields: the schema and what it means.
PARAMETERS: Final[dict[str, Document]] = {
    "mapping": {
        "type": "string",
        "contentMediaType": "application/json",
        "description": "Which columns are which: a `ColumnMapping` as JSON. Fields left out are found by name.",
        "examples": ['{"name": "Hospital Name", "address": ["ADDRESS1", "CITY"], "phone": null}'],
    },
    "encoding": {
        "type": "string",
        "description": "The encoding of a file that is not UTF-8.",
        "examples": ["windows-1252", "shift_jis"],
    },
    "sheet": {"type": "string", "description": "The sheet of a workbook. Without it the first that is visible."},
    "header_row": {
        "type": "integer",
        "minimum": 0,
        "maximum": 10_000,
        "description": "The row that names the columns, from 1. Without it the first of 20 rows that names them. "
        "0: none does, and `mapping` names the columns by their letters, A for the first.",
    },
    "allow_duplicates": _TRUE | {"description": "Take a file that has the same hospital several times."},
    "repeat_created": _TRUE | {"description": "Take rows that were created before, and create them once more."},
    "strict": _TRUE | {"description": "Treat warnings as errors."},
    "max_failures": {
        "type": "string",
        "pattern": r"^([0-9]{1,9}|[0-9]{1,3}(\.[0-9]{1,3})? ?%)?$",
        "description": "More failed rows than this stop the job: a number, or a share of its rows.",
        "examples": ["50", "5%", "2.5%"],
    },
    "corrects": {
        "type": "string",
        "description": "The id of the job whose failed rows stand in the file again. A result file says it by itself.",
    },
}

_REJECTED: Final = examples(400, invalid_file="The file has 1 error; nothing was stored. The address is missing.")
_REJECTED["invalid_file"] |= {"errors": [BAD_ROW], "errors_total": 1}
_NO_KEY: Final = (
    "Send a header Idempotency-Key of your choice, such as a UUID: with it an upload can be repeated safely."
)
_BAD_KEY: Final = "The header Idempotency-Key is longer than 255 characters."
_REQUESTS: Final = {
    "invalid_request": "The request or its headers are malformed or too long. Please correct them and try again.",
    "no_file": "The request has no file: send the CSV as the part `file` of a multipart/form-data body.",
    "malformed_body": "The upload was cut off before its end. Please send it again.",
    "invalid_parameter": "`header_row` has to be the row of the header, from 1 (without it rows 1 to 20 are tried).",
}
_READING: Final[Documented] = {
    **EVERYWHERE,
    **problem(
        408,
        "The body comes too slowly, or not at all.",
        upload_too_slow="The upload took too long. Please send it again.",
        request_timeout="The body did not come in time. Please send it again.",
    ),
    **problem(
        503,
        "Something is down or busy. Try again.",
        message_queue_unavailable=KAFKA_DOWN,
        service_unavailable=ORIGIN_AWAY,
        database_unavailable=str(database_down()),
        busy="Too many uploads at the moment. Please try again in 2 seconds.",
        interrupted="The upload was interrupted. Please send it again.",
        storage_full="There is no room for the upload at the moment.",
    ),
    **problem(
        413,
        "The file, its rows or its job are too large.",
        file_too_large="The file is larger than 150 MB. Split it and upload the parts one by one.",
        too_many_rows="The file has more than 1,000,000 rows. Split it and upload the parts one by one.",
        workbook_too_large="The workbook is larger than can be read. Save its list as CSV UTF-8 and upload that.",
        job_too_large="The file would become a job of more batches than its record can hold. Split the file.",
    ),
    **problem(
        415,
        "Neither a CSV nor a workbook, or not multipart/form-data.",
        not_a_csv="'notes.pdf' is neither a CSV nor a workbook. Export the list as CSV UTF-8 and upload that.",
        unsupported_media_type="Send the CSV as the part `file` of a multipart/form-data body.",
        unsupported_encoding="Send the file as it is: compressed bodies are not read.",
    ),
    **problem(
        429,
        "The tenant sends too many files.",
        too_many_uploads="More than 3,000 uploads in a minute. Please send it again later.",
    ),
}
VALIDATE_ANSWERS: Final[Documented] = {
    **_READING,
    200: {
        "description": "How the file is read, and what is wrong with it. `valid` says whether it would be taken.",
        "content": PROBLEM_LIST,
        "headers": {"Content-Disposition": header("With CSV: the name to save it under.", type="string")},
    },
    **problem(400, "The request has no file, or a parameter is wrong.", **_REQUESTS),
}
UPLOAD_ANSWERS: Final[Documented] = {
    **_READING,
    **problem_with(
        400,
        "The file is refused (`invalid_file`, with all of its errors), or the request is wrong.",
        _REJECTED | examples(400, missing_idempotency_key=_NO_KEY, malformed_idempotency_key=_BAD_KEY, **_REQUESTS),
    ),
    **problem(
        409,
        "The first request with this key has no answer yet. Repeat the request.",
        in_progress="An upload with this Idempotency-Key is still in progress. Repeat the request to get its answer.",
    ),
    **problem(
        422,
        "The key belongs to another file or other parameters.",
        key_reused="This Idempotency-Key belongs to another file or other parameters. Use a new key for a new upload.",
    ),
    202: {
        "description": "The file is a job now.",
        "headers": {
            "Location": header("Where the job's status is.", type="string", format="uri-reference"),
            "Idempotency-Replayed": header("`true`: the first answer to this key once more.", type="string"),
        },
    },
}

_FILE: Final = {"type": "string", "format": "binary", "description": "A CSV file, or a workbook (.xlsx, .xls, .ods)."}
_FORM: Final[Document] = {
    "type": "object",
    "title": "HospitalFile",
    "description": "The file, and what is to be said of it. A parameter may stand here or in the query.",
    "required": ["file"],
    "properties": {
        "file": _FILE,
        **PARAMETERS,
        "mapping": {"$ref": f"#/components/schemas/{ColumnMapping.__name__}"},
    },
}
#: The schemas that FastAPI does not know, or whose examples it cuts.
SCHEMAS: Final[Document] = {**model_schemas(ColumnMapping, UploadAccepted, FileChecked), "HospitalFile": _FORM}
_BODY: Final[Document] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"$ref": "#/components/schemas/HospitalFile"},
            "encoding": {"file": {"contentType": "text/csv"}},
        }
    },
}
_KEY: Final[Document] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Your name for this upload, such as a UUID. The same request with the same key is the same job: "
    "repeat it whenever no answer came. Printable ASCII, quoted or not.",
    # The quoted form is left out here: clients would take the quotes for a part of the key.
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-~]([ -~]*[!-~])?$"},
    "example": "5f0c0d1e-monday",
}


def _in_query(name: str, schema: Document) -> Document:
    described = {key: value for key, value in schema.items() if key != "description"}
    return {"name": name, "in": "query", "required": False, "description": schema["description"], "schema": described}


_QUERY: Final = [_in_query(name, schema) for name, schema in PARAMETERS.items()]
VALIDATE_REQUEST: Final[Document] = {"requestBody": _BODY, "parameters": _QUERY}
UPLOAD_REQUEST: Final[Document] = {"requestBody": _BODY, "parameters": [_KEY, *_QUERY]}
