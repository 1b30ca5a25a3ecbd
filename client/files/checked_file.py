"""The check of a file before it is sent: how it is read, what is wrong with it, and what somebody has to confirm."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from client.command_context import CommandContext
from client.errors import NotConfirmed, OldService, Refused
from client.files.local_files import LocalFile
from client.files.reading_options import ReadingOptions
from client.output.encoding_names import encoding_name
from client.output.reading_words import has_guessed_columns
from client.output.words import counted, hospitals, moment, printable
from client.schemas import Problem, ValidationReport
from client.upload_file import UploadFile

_BAD_REQUEST: Final = 400


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """What the service says of a file. `options`: how it was read, with what a person has chosen."""

    file: LocalFile
    options: ReadingOptions
    report: ValidationReport
    #: Whether somebody was asked how to read it.
    asked: bool = False


def check_file(context: CommandContext, file: LocalFile, options: ReadingOptions, *, ask: bool) -> CheckedFile:
    """Has the file checked. `ask`: the encoding and the sheet are a choice, where there are several and a terminal.

    Raises OldService, and what the API raises.
    """
    checked = CheckedFile(file, options, _report(context, file, options))
    if not (ask and context.can_ask):
        return checked
    return _choose_sheet(context, _choose_encoding(context, checked))


def _choose_encoding(context: CommandContext, checked: CheckedFile) -> CheckedFile:
    guesses, name = checked.report.encoding_guesses, checked.file.name
    if not guesses or checked.options.encoding is not None:
        return checked
    samples = [f"{encoding_name(guess.encoding)}: {guess.sample}" for guess in guesses]
    chosen = context.choose(f"{name} is not UTF-8. Which of these reads right?", samples, "none of them")
    if chosen is None:
        return checked
    return _checked_again(context, checked, replace(checked.options, encoding=guesses[chosen].encoding))


def _choose_sheet(context: CommandContext, checked: CheckedFile) -> CheckedFile:
    report, name = checked.report, checked.file.name
    if len(report.sheets) < 2 or checked.options.sheet is not None:
        return checked
    chosen = context.choose(f"{name} has several sheets. Which one?", report.sheets, report.sheet or "the first")
    sheet = report.sheet if chosen is None else report.sheets[chosen]
    options = replace(checked.options, sheet=sheet)
    if sheet == report.sheet:
        return replace(checked, options=options, asked=True)
    return _checked_again(context, checked, options)


def _checked_again(context: CommandContext, checked: CheckedFile, options: ReadingOptions) -> CheckedFile:
    return CheckedFile(checked.file, options, _report(context, checked.file, options), asked=True)


def _report(context: CommandContext, file: LocalFile, options: ReadingOptions) -> ValidationReport:
    with context.output.sending("Checking", file.name, file.size) as on_sent:
        report = context.api.validate(UploadFile(file.path, file.name, on_sent), options.parameters)
    option = options.unknown_to_old_services
    if option and "mapping" not in report.model_fields_set:
        raise OldService(f"The service is of an earlier version, and would ignore {option}. Nothing was sent.")
    return report


def confirm(context: CommandContext, checked: CheckedFile) -> None:
    """Asks when something is in doubt. Raises Refused when the file has errors, NotConfirmed without a yes."""
    report, name = checked.report, printable(checked.file.name)
    if not report.valid:
        raise invalid_file(report)
    if doubts := " ".join(_doubts(name, checked)):
        answer = context.ask(f"{doubts} Send it all the same?")
        if not answer:
            advice = _advice(checked) if answer is None else ""
            raise NotConfirmed(f"Not sent: {doubts}{advice}", report)
    elif _is_new_to_a_person(context, checked) and not context.ask(f"Send these {hospitals(report.total_hospitals)}?"):
        raise NotConfirmed(f"Not sent: {name}.", report)


def _advice(checked: CheckedFile) -> str:
    """What to say on the command line, where nobody can be asked."""
    is_repeated = checked.report.already_created.count and not checked.options.repeat_created
    return f" Say --yes if that is meant{', or --repeat-created' if is_repeated else ''}."


def _doubts(name: str, checked: CheckedFile) -> list[str]:
    """What somebody has to confirm."""
    report = checked.report
    doubts: list[str] = []
    if not checked.options.repeat_created:
        doubts += _repetitions(name, report)
    if report.warnings_count and not (checked.asked and _is_about_columns(report)):
        doubts.append(f"{name} has {counted(report.warnings_count, 'warning', 'warnings')}.")
    return doubts


def _repetitions(name: str, report: ValidationReport) -> Iterator[str]:
    """What would be created a second time."""
    if report.same_file_as:
        before = report.same_file_as[0]
        yield f"{name} was accepted before, as job {before.job_id} on {moment(before.created_at)}."
        yield f"Its {hospitals(report.total_hospitals)} would be created a second time."
    elif again := report.already_created.count:
        yield f"{hospitals(again)} of {name} would be created a second time: earlier jobs have created them."


def _is_about_columns(report: ValidationReport) -> bool:
    """Whether only columns that are not sent are warned of: nobody is asked a second time for that."""
    return len(report.warnings) == report.warnings_count and all(
        warning.code == "unused_column" for warning in report.warnings
    )


def _is_new_to_a_person(context: CommandContext, checked: CheckedFile) -> bool:
    """Whether columns were found by other names, and somebody is there who has not looked at that yet."""
    mapping = checked.report.mapping
    if mapping is None or checked.asked or not context.can_ask:
        return False
    return has_guessed_columns(mapping, list(checked.options.chosen_columns))


def invalid_file(report: ValidationReport) -> Refused:
    """The error that an upload of this file would raise."""
    problem = Problem(
        detail=f"The file has {counted(report.errors_count, 'error', 'errors')}; nothing was sent.",
        error_type="invalid_file",
        errors=report.errors,
        errors_total=report.errors_count,
        encoding_guesses=report.encoding_guesses,
    )
    return Refused(_BAD_REQUEST, problem)
