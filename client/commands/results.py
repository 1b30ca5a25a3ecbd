"""The commands that fetch the result files of a job."""

from pathlib import Path
from typing import Annotated

import typer

from client.command_context import CommandContext
from client.commands.arguments import JobId
from client.exit_status import ExitStatus
from client.files import result_file
from client.files.output_file import may_write
from client.output import words

OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where to write it; a workbook if it ends with .xlsx. Default: standard output.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Replace a file that is there, without a question.")]


def successful(context: CommandContext, job_id: JobId, target: OutputFile = None, yes: Yes = False) -> ExitStatus:
    """Fetch the rows that became hospitals, as CSV."""
    return _download(context, job_id, "successful", target, yes)


def failed(context: CommandContext, job_id: JobId, target: OutputFile = None, yes: Yes = False) -> ExitStatus:
    """Fetch the rows that failed, with the reasons, as CSV: it can be corrected and uploaded as it is."""
    return _download(context, job_id, "failed", target, yes)


def unprocessed(context: CommandContext, job_id: JobId, target: OutputFile = None, yes: Yes = False) -> ExitStatus:
    """Fetch the rows that were not sent, as CSV."""
    return _download(context, job_id, "unprocessed", target, yes)


def all_(context: CommandContext, job_id: JobId, target: OutputFile = None, yes: Yes = False) -> ExitStatus:
    """Fetch the whole list with what became of each row, as CSV."""
    return _download(context, job_id, "all", target, yes)


def _download(context: CommandContext, job_id: str, kind: str, target: Path | None, yes: bool) -> ExitStatus:
    if target is None or str(target) == "-":
        written = result_file.write_to_stdout(context.api, job_id, f"{kind}.csv")
    else:
        replace = may_write(target, yes, context.ask)
        name = f"{kind}.xlsx" if target.suffix.lower() == ".xlsx" else f"{kind}.csv"
        written = result_file.save(context.api, job_id, name, target, replace)
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
        context.output.warn("The job is not over: these are the rows so far.")
    if written.unknown:
        context.output.warn(words.may_exist(written.unknown, context.command("resolve", job_id, "ROW")))
    return ExitStatus.DONE
