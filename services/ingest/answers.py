"""How a file was read, as the API answers it."""

from services.ingest.csv_file.encodings import shown_encoding
from services.ingest.csv_file.header import NO_HEADER, Header
from services.ingest.csv_file.known_columns import HospitalField
from services.ingest.csv_file.validation import FileAccepted, FileRejected
from services.ingest.row_matching import created_before
from services.ingest.schemas import AlreadyCreated, ColumnsRead, CreatedBefore, FileChecked, SameFileAs, SampleRow


def columns_read(header: Header) -> ColumnsRead:
    """Which column became which field."""
    used = {index for field in HospitalField for index in header.mapping.of(field)}
    names = {str(field): [header.cells[index] for index in header.mapping.of(field)] for field in HospitalField}
    return ColumnsRead(**names, unused=[header.cells[index] for index in header.indices if index not in used])


def already_created(found: created_before.AlreadyCreated) -> AlreadyCreated:
    """Which rows were created before."""
    rows = [CreatedBefore(row=row, job_id=created.job_id, job_row=created.row) for row, created in found.rows]
    return AlreadyCreated(count=found.count, rows=rows)


def file_checked(
    result: FileAccepted | FileRejected, estimated_seconds: float | None, same_files: list[SameFileAs]
) -> FileChecked:
    """The answer to a dry run."""
    rejected = result if isinstance(result, FileRejected) else None
    reading = result.reading
    sheet, header = (reading.sheet, reading.header) if reading else (None, None)
    return FileChecked(
        valid=rejected is None,
        total_hospitals=result.total,
        errors=rejected.errors if rejected else [],
        errors_total=rejected.errors_total if rejected else 0,
        warnings=result.warnings,
        warnings_total=result.warnings_total,
        mapping=columns_read(header) if header else None,
        encoding=shown_encoding(reading.file.encoding) if reading and not sheet else None,
        encoding_guesses=list(rejected.encoding_guesses) if rejected else [],
        delimiter=header.delimiter if header and not sheet else None,
        header_row=(NO_HEADER if header.is_lettered else header.row) if header else None,
        sheet=sheet.name if sheet else None,
        sheets=list(sheet.names) if sheet else [],
        sample=[
            SampleRow(row=row.row, name=row.name, address=row.address, phone=row.phone)
            for row in (reading.sample if reading else ())
        ],
        estimated_seconds=estimated_seconds,
        same_file_as=same_files,
        already_created=already_created(result.already_created),
        corrects=result.correction.job_id if result.correction else None,
    )
