"""The commands that send files: `upload` makes each a job, `validate` only has them checked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from client.command_context import CommandContext
from client.commands.arguments import Watch
from client.commands.file_upload import FileUpload
from client.errors import ClientError
from client.exit_status import ExitStatus, of_all
from client.files.checked_file import CheckedFile, check_file
from client.files.local_files import find_files, opened
from client.files.output_file import may_write
from client.files.problem_list import ProblemList
from client.files.reading_options import ReadingOptions
from client.options import header_value
from client.output import problem_words, reading_words, words

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        help="CSV files or workbooks (.xlsx, .xls, .ods), patterns such as '*.csv', - for a pipe.",
    ),
]
ErrorsFile = Annotated[
    Path | None,
    typer.Option("--errors", metavar="FILE", help="Write every error and warning there, as CSV."),
]


def upload(
    context: CommandContext,
    files: Files,
    options: ReadingOptions,
    watch: Watch = False,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", callback=header_value, help="The Idempotency-Key. Default: a new one."),
    ] = None,
    errors: ErrorsFile = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Ask nothing: send it with warnings, or again; replace the file of --errors."),
    ] = False,
) -> ExitStatus:
    """Send files: each becomes a job, and every row of it one hospital.

    First it says how each file is read: its columns, its first hospitals as they will be sent, its warnings. At a
    terminal it asks when something is in doubt: an encoding, a sheet, a column of another name, a warning, a file that
    was accepted before, hospitals that were created before. Where nobody can be asked, the last three need --yes, and
    the encoding --encoding. With --yes --quiet it is sent at once.

    Of several files none is sent when one has errors. Each is one job however often the sending has to be repeated: its
    key is made once and kept.
    """
    arguments = find_files(files)
    if key and len(arguments) > 1:
        raise typer.BadParameter("--key is the key of one file")
    with opened(arguments) as found, _listed_problems(context, errors, yes) as problems:
        several = len(found) > 1
        uploads = [FileUpload(context, file, options, problems, file.name if several else "") for file in found]
        if key:
            uploads[0].key = key
        _upload(context, uploads, watch=watch, yes=yes)
    _write_documents(context, [(each.file.argument, each.document) for each in uploads])
    return of_all(each.status for each in uploads)


def _upload(context: CommandContext, uploads: list[FileUpload], *, watch: bool, yes: bool) -> None:
    if not (yes and context.quiet) or uploads[0].options.unknown_to_old_services:
        for each in uploads:
            _attempt(each, partial(each.check, yes))
    for each in uploads:
        if all(other.status is ExitStatus.DONE for other in uploads):
            _attempt(each, each.send)
    waiting = [each for each in uploads if each.accepted is None and each.status is ExitStatus.DONE]
    for each in waiting:
        each.document = {"detail": "Not sent, because of another file.", "error_type": "not_sent"}
    if waiting:
        context.output.warn(f"Not sent: {words.printable(', '.join(each.file.name for each in waiting))}.")
    for each in uploads:
        if each.accepted and watch:
            _attempt(each, each.watch)
        elif each.accepted:
            context.output.say(f"Watch it with: {context.command('status', each.accepted.job_id, '--watch')}")


def _attempt(upload: FileUpload, step: Callable[[], None]) -> None:
    try:
        step()
    except ClientError as error:
        upload.fail(error)


def validate(
    context: CommandContext,
    files: Files,
    options: ReadingOptions,
    errors: ErrorsFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; replace the file of --errors.")] = False,
) -> ExitStatus:
    """Check files without storing anything: how each is read, and every kind of error with its rows."""
    arguments = find_files(files)
    results: list[tuple[ExitStatus, dict[str, Any]]] = []
    with opened(arguments) as found, _listed_problems(context, errors, yes) as problems:
        for file in found:
            about = file.name if len(found) > 1 else ""
            try:
                checked = check_file(context, file, options, ask=not yes)
            except ClientError as error:
                context.report(error, about)
                results.append((error.exit_status, error.document()))
                continue
            problems.add(file, checked.options, checked.report)
            _say_verdict(context, checked, about)
            results.append((ExitStatus.DONE if checked.report.valid else ExitStatus.REFUSED, checked.report.raw()))
    _write_documents(context, list(zip(arguments, [document for _, document in results], strict=True)))
    return of_all(status for status, _ in results)


def _say_verdict(context: CommandContext, checked: CheckedFile, about: str) -> None:
    say, report = context.output.say, checked.report
    if about:
        say(f"{words.printable(about)}:")
    for line in reading_words.checked(report):
        say(line)
    for line in problem_words.found(report):
        context.output.answer(line)
    which = words.printable(about) or "The file"
    if not report.valid:
        context.output.warn(f"{which} has {words.counted(report.errors_count, 'error', 'errors')}.")
        return
    pace = report.estimated_seconds
    at_pace = f", about {words.duration(pace)} at the allowed pace" if pace else ""
    say(f"{which} is right: {words.hospitals(report.total_hospitals)}{at_pace}.")
    for job in report.same_file_as:
        say(f"It was accepted before, as job {job.job_id} on {words.moment(job.created_at)}.")
    if again := report.already_created.count:
        say(f"{words.hospitals(again)} of it would be created a second time.")
    if checked.asked:
        say(f"Send it so with: {context.command('upload', checked.file.argument, *checked.options.words)}")


@contextmanager
def _listed_problems(context: CommandContext, target: Path | None, yes: bool) -> Iterator[ProblemList]:
    """Collects the problems that are found, and writes them to the file of `--errors`."""
    if target is None:
        yield ProblemList(context.api, None)
        return
    replace = may_write(target, yes, context.ask)
    with TemporaryDirectory(prefix="hospital-bulk-") as folder:
        yield (problems := ProblemList(context.api, Path(folder)))
        count = problems.save(target, replace)
    context.output.say(f"Wrote {words.printable(str(target))} ({words.counted(count, 'line', 'lines')})")


def _write_documents(context: CommandContext, documents: list[tuple[str, dict[str, Any]]]) -> None:
    """One file: what the service said of it. Several: `files`, each with the name that the command gave it."""
    if len(documents) == 1:
        context.output.document(documents[0][1])
    else:
        context.output.document({"files": [{"file": name, **document} for name, document in documents]})
