"""The commands of `hospital-bulk`. Each returns its exit status."""

import re
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Final
from uuid import uuid4

import typer

from client import result_file
from client.command_context import CommandContext
from client.errors import TryAgain
from client.exit_status import ExitStatus, of_outcome
from client.options import command, header_value, shared_options
from client.output import words
from client.preflight import check
from client.schemas import FINAL, AcceptedUpload, CommandResponse, Job
from client.throughput import Throughput
from client.upload_file import UploadFile
from client.watch import ConnectionLost, JobWatch, wait_for_next_round

_STATUSES: Final = ("pending", "processing", *sorted(FINAL))
_PAGE: Final = 200

_HELP: Final = """Upload CSV files of hospitals, and see what becomes of every row.

The exit status tells how it ended: 0 as asked, and of a watched job: all created and activated; 1 some rows failed;
2 the command is wrong; 3 no row was created; 4 the job was cancelled; 5 the service cannot be reached; 6 the service
refused; 7 not sent, since the same file was accepted before; 8 all created, but not activated; 130 Ctrl-C."""

app = typer.Typer(
    name="hospital-bulk", help=_HELP, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)
app.callback(help=_HELP)(shared_options)

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, from the answer to the upload.")]
File = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="A CSV file, UTF-8.")
]
AllowDuplicates = Annotated[bool, typer.Option("--allow-duplicates", help="Rows that are alike are all meant.")]
Watch = Annotated[bool, typer.Option("--watch", help="Stay until the job has ended; the exit status tells how.")]
OutputFile = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it. Default: standard output.")
]


@command(app)
def upload(
    context: CommandContext,
    file: File,
    watch: Watch = False,
    allow_duplicates: AllowDuplicates = False,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", callback=header_value, help="The Idempotency-Key. Default: a new one.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Send it even if it was accepted before.")] = False,
) -> ExitStatus:
    """Send a file: every row becomes one hospital.

    It is one job however often the sending has to be repeated: the key is made once and kept.
    """
    key = key or str(uuid4())
    size = file.stat().st_size
    if not yes:
        with (
            context.output.sending("Checking", file.name, size) as on_sent,
            context.on_interrupt("Interrupted: nothing was sent."),
        ):
            verdict = context.api.validate(UploadFile(file, on_sent), allow_duplicates)
        check(verdict, file.name, context.ask)
    again = context.command("upload", str(file), "--key", key, *(["--allow-duplicates"] * allow_duplicates))
    advice = f"It may have been accepted. This finds out, and is the same upload for 5 minutes:\n  {again}"
    with context.output.sending("Sending", file.name, size) as on_sent, context.on_interrupt(f"Interrupted. {advice}"):
        accepted = _send(context, UploadFile(file, on_sent), key, allow_duplicates, advice)
    context.output.say(f"Accepted: {words.hospitals(accepted.total_hospitals)}, job {accepted.job_id}")
    if watch:
        return _watch(context, accepted.job_id)
    context.output.say(f"Watch it with: {context.command('status', accepted.job_id, '--watch')}")
    context.output.document({**accepted.raw(), "idempotency_key": key})
    return ExitStatus.DONE


@command(app)
def validate(context: CommandContext, file: File, allow_duplicates: AllowDuplicates = False) -> ExitStatus:
    """Check a file without storing anything: every error with its row and column."""
    with context.output.sending("Checking", file.name, file.stat().st_size) as on_sent:
        verdict = context.api.validate(UploadFile(file, on_sent), allow_duplicates)
    context.output.document(verdict.raw())
    for error in verdict.errors:
        context.output.say(words.problem(error))
    if not verdict.valid:
        context.output.note(f"The file has {words.counted(len(verdict.errors), 'error', 'errors')}.")
        return ExitStatus.REFUSED
    at_pace = (
        f", about {words.duration(verdict.estimated_seconds)} at the allowed pace" if verdict.estimated_seconds else ""
    )
    context.output.say(f"The file is right: {words.hospitals(verdict.total_hospitals)}{at_pace}.")
    for job in verdict.same_file_as:
        context.output.say(f"It was accepted before, as job {job.job_id} on {words.moment(job.created_at)}.")
    return ExitStatus.DONE


@command(app)
def status(context: CommandContext, job_id: JobId, watch: Watch = False) -> ExitStatus:
    """Say how a job is; with --watch, until it has ended."""
    if watch:
        return _watch(context, job_id)
    job = context.api.job(job_id)
    context.output.document(job.raw())
    context.output.say(words.ending(job) if job.ended else words.progress(job, None))
    return ExitStatus.DONE


@command(app)
def list_(
    context: CommandContext,
    status: Annotated[str | None, typer.Option(metavar="|".join(_STATUSES), help="Only jobs in this state.")] = None,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="Only jobs with it in file name or id.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
) -> ExitStatus:
    """List the jobs, newest first."""
    jobs = list(islice(_list_pages(context, status, search, min(limit, _PAGE)), limit))
    context.output.document({"jobs": [job.raw() for job in jobs]})
    if jobs:
        context.output.table(
            ("JOB", "ACCEPTED", "STATE", "HOSPITALS", "FAILED", "FILE"), [_table_row(job) for job in jobs]
        )
    else:
        context.output.note("No such job.")
    return ExitStatus.DONE


@command(app)
def successful(context: CommandContext, job_id: JobId, target: OutputFile = None) -> ExitStatus:
    """Fetch the rows that became hospitals, as CSV."""
    return _download(context, job_id, "successful", target)


@command(app)
def failed(context: CommandContext, job_id: JobId, target: OutputFile = None) -> ExitStatus:
    """Fetch the rows that failed, with the reasons, as CSV: it can be corrected and uploaded as it is."""
    return _download(context, job_id, "failed", target)


@command(app)
def unprocessed(context: CommandContext, job_id: JobId, target: OutputFile = None) -> ExitStatus:
    """Fetch the rows that were not sent, as CSV."""
    return _download(context, job_id, "unprocessed", target)


@command(app)
def cancel(context: CommandContext, job_id: JobId, watch: Watch = False) -> ExitStatus:
    """Cancel a job: rows that were not sent yet are not sent. Hospitals that exist stay."""
    _print_message(context, answer := context.api.cancel(job_id), "The job is being cancelled.")
    return _watch(context, job_id) if watch else _done(context, answer)


@command(app)
def retry(context: CommandContext, job_id: JobId, watch: Watch = False) -> ExitStatus:
    """Run the failed and the unprocessed rows of a job again."""
    before = context.api.job(job_id) if watch else None
    _print_message(context, answer := context.api.retry(job_id), "Its failed and unprocessed rows run again.")
    return _watch(context, job_id, before) if watch else _done(context, answer)


@command(app)
def resolve(
    context: CommandContext,
    job_id: JobId,
    row: Annotated[int, typer.Argument(metavar="ROW", min=2, help="As a spreadsheet counts: the first data row is 2.")],
    hospital_id: Annotated[str | None, typer.Option(metavar="ID", help="The hospital that it became.")] = None,
    absent: Annotated[bool, typer.Option("--absent", help="It is not in the directory: somebody has looked.")] = False,
) -> ExitStatus:
    """Settle a row whose outcome is unknown, after a look into the directory."""
    if (hospital_id is None) is not absent:
        raise typer.BadParameter("Say what was found: --hospital-id ID, or --absent.")
    finding = {"absent": True} if hospital_id is None else {"hospital_id": _number_or_text(hospital_id)}
    _print_message(context, answer := context.api.resolve(job_id, row, finding), f"Row {row} is settled.")
    return _done(context, answer)


@command(app)
def activate(
    context: CommandContext, batch_id: Annotated[str, typer.Argument(metavar="BATCH", help="From the job's batch_ids.")]
) -> ExitStatus:
    """Activate a batch by hand, where that did not happen by itself."""
    answer = context.api.activate(batch_id)
    _print_message(context, answer, "The hospitals of this batch are activated." if answer.activated else "It goes on.")
    return _done(context, answer)


def _send(context: CommandContext, file: UploadFile, key: str, allow_duplicates: bool, advice: str) -> AcceptedUpload:
    try:
        return context.api.upload(file, key, allow_duplicates)
    except TryAgain as error:
        raise error.with_advice(advice if error.may_have_happened else "") from error


def _watch(context: CommandContext, job_id: str, before: Job | None = None) -> ExitStatus:
    throughput, again = Throughput(), context.command("status", job_id, "--watch")
    goes_on = f"The job goes on without this command. Watch it again with:\n  {again}"
    with context.output.watching() as on_progress, context.on_interrupt(goes_on):
        try:
            if before is not None:
                wait_for_next_round(context.api, before)
            for update in JobWatch(context.api, job_id).updates():
                if isinstance(update, ConnectionLost):
                    context.on_retry(update.error, update.pause)
                else:
                    job = update
                    on_progress(job, throughput.record(job.processed_hospitals, time.monotonic()))
        except TryAgain as error:
            raise error.with_advice(goes_on) from error
    context.output.say(words.ending(job))
    if job.failed_hospitals and job.ended:
        context.output.say(f"The failed rows: {context.command('failed', job_id, '-o', 'failed.csv')}")
    if job.unknown_hospitals and job.ended:
        context.output.say(words.may_exist(job.unknown_hospitals, context.command("resolve", job_id, "ROW")))
    context.output.document(job.raw())
    return of_outcome(job)


def _list_pages(context: CommandContext, status: str | None, search: str | None, page_size: int) -> Iterator[Job]:
    cursor = None
    while True:
        page = context.api.jobs(status, search, page_size, cursor)
        yield from page.jobs
        if (cursor := page.next_cursor) is None:
            return


def _table_row(job: Job) -> tuple[str, ...]:
    counts = f"{job.created_hospitals:,} of {job.total_hospitals:,}"
    name = words.printable(job.file_name)
    return job.job_id, words.moment(job.created_at), words.state(job), counts, f"{job.failed_hospitals:,}", name


def _download(context: CommandContext, job_id: str, kind: str, target: Path | None) -> ExitStatus:
    if target is None or str(target) == "-":
        written = result_file.write_to_stdout(context.api, job_id, kind)
    else:
        written = result_file.save(context.api, job_id, kind, target)
        context.output.say(f"Wrote {words.printable(str(target))} ({words.size(written.bytes)})")
        context.output.document(
            {
                "file": str(target),
                "bytes": written.bytes,
                "complete": written.complete,
                "unknown": written.unknown,
            }
        )
    if not written.complete:
        context.output.note("The job is not over: these are the rows so far.")
    if written.unknown:
        context.output.note(words.may_exist(written.unknown, context.command("resolve", job_id, "ROW")))
    return ExitStatus.DONE


def _print_message(context: CommandContext, answer: CommandResponse, otherwise: str) -> None:
    context.output.say(words.printable(answer.message or otherwise))


def _done(context: CommandContext, answer: CommandResponse) -> ExitStatus:
    context.output.document(answer.raw())
    return ExitStatus.DONE


def _number_or_text(hospital_id: str) -> int | str:
    return int(hospital_id) if re.fullmatch(r"0|[1-9][0-9]{0,18}", hospital_id) else hospital_id
