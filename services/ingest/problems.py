"""The answers of this service that are errors; each says what to do next."""

from services.ingest.csv_file.validation import FileRejected, TooManyRows, UnpacksToTooMuch, Unsuitable, WrongKind
from services.ingest.job_events.job_validation import JobTooLarge
from shared.runtime.http.problems import Problem


def rejected(file: FileRejected) -> Problem:
    """The file has to be corrected."""
    count = "1 error" if file.errors_total == 1 else f"{file.errors_total:,} errors"
    listed = len(file.errors)
    which = "" if listed == file.errors_total else f" The first {listed:,} are listed."
    return Problem(
        400,
        "invalid_file",
        f"The file has {count}; nothing was stored. {file.errors[0].message}{which}",
        errors=file.errors,
        errors_total=file.errors_total,
        encoding_guesses=list(file.encoding_guesses),
    )


def unsuitable(result: Unsuitable | JobTooLarge) -> Problem:
    """The file is not a CSV, or too large in one of the ways that a file can be too large."""
    match result:
        case WrongKind():
            return Problem(415, "not_a_csv", result.reason)
        case TooManyRows():
            detail = f"The file has more than {result.limit:,} rows. Split it and upload the parts one by one."
            return Problem(413, "too_many_rows", detail)
        case UnpacksToTooMuch():
            return Problem(413, "workbook_too_large", result.reason)
        case JobTooLarge():
            return _job_too_large(result)


def _job_too_large(result: JobTooLarge) -> Problem:
    rows = f", and a list of corrected rows of {result.correction_bytes:,} bytes" if result.correction_bytes else ""
    detail = (
        f"The file would become a job of {result.batches:,} batches, with column names of {result.name_bytes:,} bytes"
        f"{rows}: together more than the record of a job can hold. "
        "Shorten the column names, or split the file and upload the parts one by one."
    )
    return Problem(413, "job_too_large", detail)


def in_progress() -> Problem:
    """The first request with the key has no answer yet."""
    detail = "An upload with this Idempotency-Key is still in progress. Repeat the request to get its answer."
    return Problem(409, "in_progress", detail, retry_after=1)


def key_reused() -> Problem:
    """The key belongs to another upload."""
    detail = "This Idempotency-Key belongs to another file or other parameters. Use a new key for a new upload."
    return Problem(422, "key_reused", detail)


def interrupted() -> Problem:
    """The process that read the file died, or the service ends before the upload is done."""
    return Problem(503, "interrupted", "The upload was interrupted. Please send it again.", retry_after=2)


def busy() -> Problem:
    """There are too many uploads at the moment."""
    return Problem(503, "busy", "Too many uploads at the moment. Please try again in 2 seconds.", retry_after=2)
