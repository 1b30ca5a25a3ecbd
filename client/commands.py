"""The commands: what each asks for, and the exit status that it ends with."""

import re
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Final
from uuid import uuid4

import typer

from client import result_file
from client.command_context import Desk
from client.errors import TryAgain
from client.exit_status import ExitStatus, of_outcome
from client.options import command, header, shared
from client.output import words
from client.preflight import check
from client.schemas import FINAL, Accepted, Done, Job
from client.throughput import Pace
from client.upload_file import SentFile
from client.watch import Lost, Watching, wait_for_next_round

_STATUSES: Final = ("pending", "processing", *sorted(FINAL))
_PAGE: Final = 200

_HELP: Final = """Upload CSV files of hospitals, and see what becomes of every row.

The exit status tells how it ended: 0 as asked, and of a watched job: all created and activated; 1 some rows failed;
2 the command is wrong; 3 no row was created; 4 the job was cancelled; 5 the service cannot be reached; 6 the service
refused; 7 not sent, since the same file was accepted before; 8 all created, but not activated; 130 Ctrl-C."""

app = typer.Typer(
    name="hospital-bulk", help=_HELP, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)
app.callback(help=_HELP)(shared)

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, from the answer to the upload.")]
File = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="A CSV file, UTF-8.")
]
AllowDuplicates = Annotated[bool, typer.Option("--allow-duplicates", help="Rows that are alike are all meant.")]
Watch = Annotated[bool, typer.Option("--watch", help="Stay until the job has ended; the exit status tells how.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it. Default: standard output.")
]


@command(app)
def upload(
    desk: Desk,
    file: File,
    watch: Watch = False,
    allow_duplicates: AllowDuplicates = False,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", callback=header, help="The Idempotency-Key. Default: a new one.")
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
            desk.screen.sending("Checking", file.name, size) as sent,
            desk.interrupted("Interrupted: nothing was sent."),
        ):
            verdict = desk.api.validate(SentFile(file, sent), allow_duplicates)
        check(verdict, file.name, desk.ask)
    again = desk.command("upload", str(file), "--key", key, *(["--allow-duplicates"] * allow_duplicates))
    advice = f"It may have been accepted. This finds out, and is the same upload for 5 minutes:\n  {again}"
    with desk.screen.sending("Sending", file.name, size) as sent, desk.interrupted(f"Interrupted. {advice}"):
        accepted = _send(desk, SentFile(file, sent), key, allow_duplicates, advice)
    desk.screen.say(f"Accepted: {words.hospitals(accepted.total_hospitals)}, job {accepted.job_id}")
    if watch:
        return _follow(desk, accepted.job_id)
    desk.screen.say(f"Watch it with: {desk.command('status', accepted.job_id, '--watch')}")
    desk.screen.document({**accepted.raw(), "idempotency_key": key})
    return ExitStatus.DONE


@command(app)
def validate(desk: Desk, file: File, allow_duplicates: AllowDuplicates = False) -> ExitStatus:
    """Check a file without storing anything: every error with its row and column."""
    with desk.screen.sending("Checking", file.name, file.stat().st_size) as sent:
        verdict = desk.api.validate(SentFile(file, sent), allow_duplicates)
    desk.screen.document(verdict.raw())
    for error in verdict.errors:
        desk.screen.say(words.problem(error))
    if not verdict.valid:
        desk.screen.note(f"The file has {words.counted(len(verdict.errors), 'error', 'errors')}.")
        return ExitStatus.REFUSED
    pace = (
        f", about {words.duration(verdict.estimated_seconds)} at the allowed pace" if verdict.estimated_seconds else ""
    )
    desk.screen.say(f"The file is right: {words.hospitals(verdict.total_hospitals)}{pace}.")
    for job in verdict.same_file_as:
        desk.screen.say(f"It was accepted before, as job {job.job_id} on {words.moment(job.created_at)}.")
    return ExitStatus.DONE


@command(app)
def status(desk: Desk, job_id: JobId, watch: Watch = False) -> ExitStatus:
    """Say how a job is; with --watch, until it has ended."""
    if watch:
        return _follow(desk, job_id)
    job = desk.api.job(job_id)
    desk.screen.document(job.raw())
    desk.screen.say(words.ending(job) if job.ended else words.progress(job, None))
    return ExitStatus.DONE


@command(app)
def list_(
    desk: Desk,
    status: Annotated[str | None, typer.Option(metavar="|".join(_STATUSES), help="Only jobs in this state.")] = None,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="Only jobs with it in file name or id.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
) -> ExitStatus:
    """List the jobs, newest first."""
    jobs = list(islice(_found(desk, status, search, min(limit, _PAGE)), limit))
    desk.screen.document({"jobs": [job.raw() for job in jobs]})
    if jobs:
        desk.screen.table(("JOB", "ACCEPTED", "STATE", "HOSPITALS", "FAILED", "FILE"), [_line(job) for job in jobs])
    else:
        desk.screen.note("No such job.")
    return ExitStatus.DONE


@command(app)
def successful(desk: Desk, job_id: JobId, output: Output = None) -> ExitStatus:
    """Fetch the rows that became hospitals, as CSV."""
    return _fetch(desk, job_id, "successful", output)


@command(app)
def failed(desk: Desk, job_id: JobId, output: Output = None) -> ExitStatus:
    """Fetch the rows that failed, with the reasons, as CSV: it can be corrected and uploaded as it is."""
    return _fetch(desk, job_id, "failed", output)


@command(app)
def unprocessed(desk: Desk, job_id: JobId, output: Output = None) -> ExitStatus:
    """Fetch the rows that were not sent, as CSV."""
    return _fetch(desk, job_id, "unprocessed", output)


@command(app)
def cancel(desk: Desk, job_id: JobId, watch: Watch = False) -> ExitStatus:
    """Cancel a job: rows that were not sent yet are not sent. Hospitals that exist stay."""
    _say(desk, answer := desk.api.cancel(job_id), "The job is being cancelled.")
    return _follow(desk, job_id) if watch else _done(desk, answer)


@command(app)
def retry(desk: Desk, job_id: JobId, watch: Watch = False) -> ExitStatus:
    """Run the failed and the unprocessed rows of a job again."""
    before = desk.api.job(job_id) if watch else None
    _say(desk, answer := desk.api.retry(job_id), "Its failed and unprocessed rows run again.")
    return _follow(desk, job_id, before) if watch else _done(desk, answer)


@command(app)
def resolve(
    desk: Desk,
    job_id: JobId,
    row: Annotated[int, typer.Argument(metavar="ROW", min=2, help="As a spreadsheet counts: the first data row is 2.")],
    hospital_id: Annotated[str | None, typer.Option(metavar="ID", help="The hospital that it became.")] = None,
    absent: Annotated[bool, typer.Option("--absent", help="It is not in the directory: somebody has looked.")] = False,
) -> ExitStatus:
    """Settle a row whose outcome is unknown, after a look into the directory."""
    if (hospital_id is None) is not absent:
        raise typer.BadParameter("Say what was found: --hospital-id ID, or --absent.")
    finding = {"absent": True} if hospital_id is None else {"hospital_id": _number_or_text(hospital_id)}
    _say(desk, answer := desk.api.resolve(job_id, row, finding), f"Row {row} is settled.")
    return _done(desk, answer)


@command(app)
def activate(
    desk: Desk, batch_id: Annotated[str, typer.Argument(metavar="BATCH", help="From the job's batch_ids.")]
) -> ExitStatus:
    """Activate a batch by hand, where that did not happen by itself."""
    answer = desk.api.activate(batch_id)
    _say(desk, answer, "The hospitals of this batch are activated." if answer.activated else "It goes on.")
    return _done(desk, answer)


def _send(desk: Desk, file: SentFile, key: str, allow_duplicates: bool, advice: str) -> Accepted:
    try:
        return desk.api.upload(file, key, allow_duplicates)
    except TryAgain as setback:
        raise setback.advising(advice if setback.doubtful else "") from setback


def _follow(desk: Desk, job_id: str, before: Job | None = None) -> ExitStatus:
    pace, again = Pace(), desk.command("status", job_id, "--watch")
    goes_on = f"The job goes on without this command. Watch it again with:\n  {again}"
    with desk.screen.following() as progressed, desk.interrupted(goes_on):
        try:
            if before is not None:
                wait_for_next_round(desk.api, before)
            for news in Watching(desk.api, job_id).news():
                if isinstance(news, Lost):
                    desk.told(news.setback, news.pause)
                else:
                    job = news
                    progressed(job, pace.saw(job.processed_hospitals, time.monotonic()))
        except TryAgain as setback:
            raise setback.advising(goes_on) from setback
    desk.screen.say(words.ending(job))
    if job.failed_hospitals and job.ended:
        desk.screen.say(f"The failed rows: {desk.command('failed', job_id, '-o', 'failed.csv')}")
    if job.unknown_hospitals and job.ended:
        desk.screen.say(words.doubt(job.unknown_hospitals, desk.command("resolve", job_id, "ROW")))
    desk.screen.document(job.raw())
    return of_outcome(job)


def _found(desk: Desk, status: str | None, search: str | None, page_size: int) -> Iterator[Job]:
    cursor = None
    while True:
        page = desk.api.jobs(status, search, page_size, cursor)
        yield from page.jobs
        if (cursor := page.next_cursor) is None:
            return


def _line(job: Job) -> tuple[str, ...]:
    counts = f"{job.created_hospitals:,} of {job.total_hospitals:,}"
    name = words.printable(job.file_name)
    return job.job_id, words.moment(job.created_at), words.state(job), counts, f"{job.failed_hospitals:,}", name


def _fetch(desk: Desk, job_id: str, kind: str, output: Path | None) -> ExitStatus:
    if output is None or str(output) == "-":
        written = result_file.show(desk.api, job_id, kind)
    else:
        written = result_file.save(desk.api, job_id, kind, output)
        desk.screen.say(f"Wrote {words.printable(str(output))} ({words.size(written.bytes)})")
        told = {"file": str(output), "bytes": written.bytes, "complete": written.complete, "unknown": written.unknown}
        desk.screen.document(told)
    if not written.complete:
        desk.screen.note("The job is not over: these are the rows so far.")
    if written.unknown:
        desk.screen.note(words.doubt(written.unknown, desk.command("resolve", job_id, "ROW")))
    return ExitStatus.DONE


def _say(desk: Desk, answer: Done, otherwise: str) -> None:
    desk.screen.say(words.printable(answer.message or otherwise))


def _done(desk: Desk, answer: Done) -> ExitStatus:
    desk.screen.document(answer.raw())
    return ExitStatus.DONE


def _number_or_text(hospital_id: str) -> int | str:
    return int(hospital_id) if re.fullmatch(r"0|[1-9][0-9]{0,18}", hospital_id) else hospital_id
