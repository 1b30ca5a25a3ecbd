"""The commands about jobs: how one is, which there are, and what can be done with one."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Annotated, Final

import typer

from client.command_context import CommandContext
from client.commands.arguments import JobId, Watch
from client.commands.watched_job import watch_job
from client.exit_status import ExitStatus
from client.output import words
from client.schemas import FINAL, CommandResponse, HistoryEntry, Job

_STATUSES: Final = ("pending", "processing", *sorted(FINAL))
_OUTCOMES: Final = ("all_created", "all_created_after_correction", "some_failed", "none_created", "cancelled")
_CODES: Final = ("rejected", "attempts_exhausted", "outcome_unknown", "unprocessed")
_PAGE: Final = 200


def status(context: CommandContext, job_id: JobId, watch: Watch = False) -> ExitStatus:
    """Say how a job is; with --watch, until it has ended."""
    if watch:
        return watch_job(context, job_id)
    job = context.api.job(job_id)
    context.output.document(job.raw())
    context.output.answer(words.ending(job) if job.ended else words.progress(job, None))
    return ExitStatus.DONE


def list_(
    context: CommandContext,
    status: Annotated[str | None, typer.Option(metavar="|".join(_STATUSES), help="Only jobs in this state.")] = None,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="Only jobs with it in file name or id.")] = None,
    outcome: Annotated[
        str | None, typer.Option(metavar="|".join(_OUTCOMES), help="Only jobs that have ended so.")
    ] = None,
    needs_attention: Annotated[
        bool,
        typer.Option("--needs-attention", help="Only where rows failed, or created hospitals are not active."),
    ] = False,
    file_name: Annotated[str | None, typer.Option("--file", metavar="NAME", help="Only uploads of this name.")] = None,
    begin: Annotated[
        datetime | None, typer.Option("--from", help="Only jobs uploaded then or later, in your time zone.")
    ] = None,
    end: Annotated[datetime | None, typer.Option("--to", help="Only jobs uploaded before then.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
) -> ExitStatus:
    """List the jobs, newest first."""
    wanted = {
        "status": status,
        "q": search,
        "outcome": outcome,
        "needs_attention": "true" if needs_attention else None,
        "file_name": file_name,
        "from": begin.astimezone().isoformat() if begin else None,
        "to": end.astimezone().isoformat() if end else None,
    }
    jobs = list(islice(_list_pages(context, wanted, min(limit, _PAGE)), limit))
    context.output.document({"jobs": [job.raw() for job in jobs]})
    if jobs:
        context.output.table(
            ("JOB", "ACCEPTED", "STATE", "HOSPITALS", "FAILED", "FILE"), [_table_row(job) for job in jobs]
        )
    else:
        context.output.note("No such job.")
    return ExitStatus.DONE


def cancel(context: CommandContext, job_id: JobId, watch: Watch = False) -> ExitStatus:
    """Cancel a job: rows that were not sent yet are not sent. Hospitals that exist stay."""
    _print_message(context, answer := context.api.cancel(job_id), "The job is being cancelled.")
    return watch_job(context, job_id) if watch else _done(context, answer)


def retry(
    context: CommandContext,
    job_id: JobId,
    watch: Watch = False,
    codes: Annotated[
        list[str] | None,
        typer.Option("--code", metavar="|".join(_CODES), help="Only rows that failed so. May be given several times."),
    ] = None,
) -> ExitStatus:
    """Run the failed and the unprocessed rows of a job again.

    Rows that stand again in a correction of the job do not run: they are created there.
    """
    before = context.api.job(job_id) if watch else None
    answer = context.api.retry(job_id, codes or ())
    _print_message(context, answer, "Its failed and unprocessed rows run again.")
    return watch_job(context, job_id, before) if watch else _done(context, answer)


def history(context: CommandContext, job_id: JobId) -> ExitStatus:
    """Tell what has happened to a job: who uploaded it, each command with who gave it, how each round ended."""
    entries = list(_history_pages(context, job_id))
    context.output.document({"job_id": job_id, "entries": [entry.raw() for entry in entries]})
    context.output.table(
        ("WHEN", "WHAT", "ROUND", "BY", "MORE"),
        [
            (
                words.moment(entry.at),
                entry.kind,
                str(entry.round or ""),
                words.printable(entry.requested_by or ""),
                words.printable(words.history_details(entry)),
            )
            for entry in entries
        ],
    )
    return ExitStatus.DONE


def _history_pages(context: CommandContext, job_id: str) -> Iterator[HistoryEntry]:
    cursor = None
    while True:
        page = context.api.history(job_id, cursor)
        yield from page.entries
        if (cursor := page.next_cursor) is None:
            return


def resolve(
    context: CommandContext,
    job_id: JobId,
    row: Annotated[
        int, typer.Argument(metavar="ROW", min=1, help="As a spreadsheet counts: below a header the first is 2.")
    ],
    hospital_id: Annotated[str | None, typer.Option(metavar="ID", help="The hospital that it became.")] = None,
    absent: Annotated[bool, typer.Option("--absent", help="It is not in the directory: somebody has looked.")] = False,
) -> ExitStatus:
    """Resolve a row whose outcome is unknown, after a look into the directory."""
    if (hospital_id is None) is not absent:
        raise typer.BadParameter("Say what was found: --hospital-id ID, or --absent.")
    finding = {"absent": True} if hospital_id is None else {"hospital_id": _number_or_text(hospital_id)}
    _print_message(context, answer := context.api.resolve(job_id, row, finding), f"Row {row} is resolved.")
    return _done(context, answer)


def activate(
    context: CommandContext, batch_id: Annotated[str, typer.Argument(metavar="BATCH", help="From the job's batch_ids.")]
) -> ExitStatus:
    """Activate a batch by hand, where that did not happen by itself."""
    answer = context.api.activate(batch_id)
    _print_message(context, answer, "The hospitals of this batch are activated." if answer.activated else "It goes on.")
    return _done(context, answer)


def _list_pages(context: CommandContext, wanted: Mapping[str, str | None], page_size: int) -> Iterator[Job]:
    cursor = None
    while True:
        page = context.api.jobs(wanted, page_size, cursor)
        yield from page.jobs
        if (cursor := page.next_cursor) is None:
            return


def _table_row(job: Job) -> tuple[str, ...]:
    counts = f"{job.created_hospitals:,} of {job.total_hospitals:,}"
    name = words.printable(job.file_name)
    return job.job_id, words.moment(job.created_at), words.state(job), counts, f"{job.failed_hospitals:,}", name


def _print_message(context: CommandContext, answer: CommandResponse, otherwise: str) -> None:
    context.output.say(words.printable(answer.message or otherwise))


def _done(context: CommandContext, answer: CommandResponse) -> ExitStatus:
    context.output.document(answer.raw())
    return ExitStatus.DONE


def _number_or_text(hospital_id: str) -> int | str:
    return int(hospital_id) if re.fullmatch(r"0|[1-9][0-9]{0,18}", hospital_id) else hospital_id
