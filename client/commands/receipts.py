"""The commands that prove that a result file is what its job finished with."""

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from client.command_context import CommandContext
from client.commands.arguments import JobId
from client.commands.results import Yes
from client.errors import NotAReceipt
from client.exit_status import ExitStatus
from client.files.output_file import may_write, written_whole
from client.files.result_check import CheckedOutcome, NotAResultFile, check, is_whole
from client.output import words
from client.schemas import Receipt

ReceiptFile = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it. Default: standard output.")
]
JobOrReceipt = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, or the file of its receipt.")]
ResultFiles = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Result files of the job, as CSV.")]


def receipt(context: CommandContext, job_id: JobId, target: ReceiptFile = None, yes: Yes = False) -> ExitStatus:
    """Fetch what a job finished with, as hashes: keep it to check its result files later."""
    found = context.api.receipt(job_id).raw()
    if target is None or str(target) == "-":
        context.output.answer(json.dumps(found, indent=2, ensure_ascii=False))
        return ExitStatus.DONE
    replace = may_write(target, yes, context.ask)
    with written_whole(target, replace) as file:
        file.write(json.dumps(found, indent=2, ensure_ascii=False).encode() + b"\n")
    context.output.say(f"Wrote {words.printable(str(target))}")
    context.output.document({"file": str(target), **found})
    return ExitStatus.DONE


def verify(context: CommandContext, job: JobOrReceipt, files: ResultFiles) -> ExitStatus:
    """Check that result files are what their job finished with: no row changed, added or left out."""
    known = _receipt(context, job)
    if not is_whole(known):
        context.output.error(["The receipt was changed: its hashes do not agree."])
        return ExitStatus.DIFFERENT
    same = [_verify(context, known, path) for path in files]
    context.output.document({"job_id": known.job_id, "round": known.round, "same": all(same)})
    return ExitStatus.DONE if all(same) else ExitStatus.DIFFERENT


def _verify(context: CommandContext, known: Receipt, path: Path) -> bool:
    name = words.printable(str(path))
    try:
        found = check(path, known)
    except NotAResultFile as error:
        context.output.error([f"{name}: {words.printable(str(error))}."])
        return False
    if not found:
        context.output.error([f"{name}: it holds no rows."])
    for outcome in found:
        _say(context, name, outcome)
    return bool(found) and all(outcome.same for outcome in found)


def _say(context: CommandContext, name: str, found: CheckedOutcome) -> None:
    rows = f"{found.rows:,} {found.outcome} row{'' if found.rows == 1 else 's'}"
    if found.same:
        context.output.answer(f"{name}: {rows}, as the job finished with them")
    else:
        context.output.error(
            [f"{name}: {rows}, NOT as the job finished with them: a row or a cell was changed, added or left out."]
        )


def _receipt(context: CommandContext, job: str) -> Receipt:
    path = Path(job)
    if not path.is_file():
        return context.api.receipt(job)
    try:
        return Receipt.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise NotAReceipt(f"{words.printable(job)} is no receipt.") from error
