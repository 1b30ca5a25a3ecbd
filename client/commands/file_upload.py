"""One file on its way to become a job: checked, confirmed, sent, watched. Each step says what it found."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from client.command_context import CommandContext
from client.commands.watched_job import watched
from client.errors import ClientError, FileChanged, Refused, TryAgain
from client.exit_status import ExitStatus, of_outcome
from client.files.checked_file import check_file, confirm
from client.files.local_files import LocalFile
from client.files.problem_list import ProblemList
from client.files.reading_options import ReadingOptions
from client.output import reading_words, words
from client.schemas import AcceptedUpload, ErrorsFound
from client.upload_file import UploadFile


@dataclass(slots=True)
class FileUpload:
    """A file, and how far it has come. `about`: its name, where there are several files."""

    context: CommandContext
    file: LocalFile
    options: ReadingOptions
    problems: ProblemList
    about: str = ""
    key: str = field(default_factory=lambda: str(uuid4()))
    #: The file's version when it was checked.
    checked_version: tuple[int, int] | None = None
    #: Whether its errors and warnings are in the list.
    listed: bool = False
    accepted: AcceptedUpload | None = None
    status: ExitStatus = ExitStatus.DONE
    #: What `--json` prints of it.
    document: dict[str, Any] = field(default_factory=dict)

    def check(self, yes: bool) -> None:
        """Shows how the file is read, and asks what is in doubt. `yes`: nothing is asked."""
        self.checked_version = self.file.version
        with self.context.on_interrupt("Interrupted: nothing was sent."):
            checked = check_file(self.context, self.file, self.options, ask=not yes)
            self.options = checked.options
            self._add_problems(checked.report)
            for line in reading_words.checked(checked.report):
                self.context.output.show(line)
            if not (yes and checked.report.valid):
                confirm(self.context, checked)

    def send(self) -> None:
        """Makes it a job. Raises FileChanged, and what the API raises."""
        context, file = self.context, self.file
        if self.checked_version not in (None, file.version):
            raise FileChanged(f"{file.name} has changed since it was checked. Not sent: start again.")
        again = context.command("upload", file.argument, "--key", self.key, *self.options.words)
        advice = f"It may have been accepted. This finds out, and is the same upload for 5 minutes:\n  {again}"
        with (
            context.output.sending("Sending", file.name, file.size) as on_sent,
            context.on_interrupt(f"Interrupted. {advice}"),
        ):
            self.accepted = self._send(UploadFile(file.path, file.name, on_sent), advice)
        self.document = {**self.accepted.raw(), "idempotency_key": self.key}
        about = f"{words.printable(self.about)}: " if self.about else ""
        total = words.hospitals(self.accepted.total_hospitals)
        context.output.say(f"{about}Accepted: {total}, job {self.accepted.job_id}")
        if self.accepted.corrects:
            context.output.say(f"{about}It corrects rows of job {words.printable(self.accepted.corrects)}")
        if context.quiet:
            context.output.answer(self.accepted.job_id)

    def watch(self) -> None:
        """Stays until its job has ended. Raises what the API raises."""
        if self.accepted is not None:
            if self.about:
                self.context.output.say(f"{words.printable(self.about)}:")
            job = watched(self.context, self.accepted.job_id)
            self.status, self.document = of_outcome(job), job.raw()

    def fail(self, error: ClientError) -> None:
        """Says why it does not go on."""
        self.status, self.document = error.exit_status, error.document()
        self.context.report(error, self.about)
        if isinstance(error, Refused):
            self._add_problems(error.problem)

    def _add_problems(self, found: ErrorsFound) -> None:
        """Once: what the check has found is all there is."""
        if not self.listed:
            self.listed = True
            self.problems.add(self.file, self.options, found)

    def _send(self, file: UploadFile, advice: str) -> AcceptedUpload:
        try:
            return self.context.api.upload(file, self.key, self.options.parameters)
        except TryAgain as error:
            raise error.with_advice(advice if error.may_have_happened else "") from error
