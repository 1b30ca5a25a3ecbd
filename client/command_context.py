"""What every command is given: the API and the output. It also turns errors into exit statuses."""

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from client.api import Api
from client.errors import ClientError, Refused, TryAgain
from client.exit_status import ExitStatus
from client.output import problem_words, words
from client.output.output import Output

_UNAUTHORIZED = 401


@dataclass(slots=True)
class CommandContext:
    """The API of one installation, and the output that shows its answers."""

    api: Api
    output: Output
    #: The options that reach the same installation again: `--url` and its value, or none.
    url_options: tuple[str, ...] = ()
    #: Whether only errors and what was asked for are written.
    quiet: bool = False
    #: What is printed on Ctrl-C.
    interrupt_message: str = "Interrupted."

    def command(self, *words_: str) -> str:
        """A command line for the person to type, quoted for the shell."""
        return shlex.join(["hospital-bulk", *words_, *self.url_options])

    def on_retry(self, error: TryAgain, pause: float) -> None:
        """Prints why the command waits, and for how long."""
        self.output.note(f"{error} Trying again in {words.duration(pause)}.")

    @property
    def can_ask(self) -> bool:
        """Whether there is a terminal to ask at."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def ask(self, question: str) -> bool | None:
        """Yes or no; None when there is no terminal to ask at."""
        return typer.confirm(words.printable(question), err=True) if self.can_ask else None

    def choose(self, question: str, choices: Sequence[str], enter: str) -> int | None:
        """The index of the choice that is taken; None for Enter, and when there is no terminal to ask at.

        `enter`: what Enter means.
        """
        if not self.can_ask:
            return None
        for number, choice in enumerate(choices, 1):
            typer.echo(words.printable(f"  {number}  {choice}"), err=True)
        while True:
            prompt = f"{words.printable(question)} 1 to {len(choices)}; Enter: {words.printable(enter)}"
            said = typer.prompt(prompt, default="", show_default=False, err=True).strip()
            if not said:
                return None
            if said.isdecimal() and 1 <= int(said) <= len(choices):
                return int(said) - 1

    def report(self, error: ClientError, about: str = "") -> None:
        """Prints an error. `about`: what it is about, where that could be several things."""
        first, *others = _error_lines(error)
        self.output.error([f"{words.printable(about)}: {first}" if about else first, *others])

    def run(self, work: Callable[[], ExitStatus]) -> ExitStatus:
        """Runs a command. Prints a ClientError or OSError and returns its exit status."""
        try:
            return work()
        except ClientError as error:
            self.output.document(error.document())
            self.report(error)
            return error.exit_status
        except (KeyboardInterrupt, typer.Abort):
            self.output.warn(self.interrupt_message)
            return ExitStatus.INTERRUPTED
        except BrokenPipeError:
            raise
        except OSError as error:
            self.output.error([f"{error.filename}: {error.strerror}" if error.filename else str(error)])
            return ExitStatus.USAGE

    @contextmanager
    def on_interrupt(self, line: str) -> Iterator[None]:
        """Ctrl-C inside the `with` block prints this line."""
        before, self.interrupt_message = self.interrupt_message, line
        yield
        self.interrupt_message = before


def _error_lines(error: ClientError) -> list[str]:
    lines = [words.printable(str(error))]
    if isinstance(error, Refused):
        lines += problem_words.found(error.problem)
        if error.status == _UNAUTHORIZED:
            lines[0] += " Give it with --api-key or HOSPITAL_BULK_API_KEY."
    if isinstance(error, TryAgain) and error.advice:
        lines += error.advice.splitlines()
    return lines
