"""What every command is given: the API and the output. It also turns errors into exit statuses."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from client.api import Api
from client.errors import ClientError, Refused, TryAgain
from client.exit_status import ExitStatus
from client.output import words
from client.output.output import Output

_UNAUTHORIZED = 401


@dataclass(slots=True)
class CommandContext:
    """The API of one installation, and the output that shows its answers."""

    api: Api
    output: Output
    #: The options that reach the same installation again: `--url` and its value, or none.
    url_options: tuple[str, ...] = ()
    #: What is printed on Ctrl-C.
    interrupt_message: str = "Interrupted."

    def command(self, *words_: str) -> str:
        """A command line for the person to type, quoted for the shell."""
        return shlex.join(["hospital-bulk", *words_, *self.url_options])

    def on_retry(self, error: TryAgain, pause: float) -> None:
        """Prints why the command waits, and for how long."""
        self.output.note(f"{error} Trying again in {words.duration(pause)}.")

    def ask(self, question: str) -> bool | None:
        """Yes or no; None when there is no terminal to ask at."""
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        return typer.confirm(words.printable(question), err=True)

    def run(self, work: Callable[[], ExitStatus]) -> ExitStatus:
        """Runs a command. Prints a ClientError or OSError and returns its exit status."""
        try:
            return work()
        except ClientError as error:
            self.output.document(error.document())
            self.output.error(_error_lines(error))
            return error.exit_status
        except (KeyboardInterrupt, typer.Abort):
            self.output.note(self.interrupt_message)
            return ExitStatus.INTERRUPTED
        except BrokenPipeError:
            raise
        except OSError as error:
            self.output.note(f"{error.filename}: {error.strerror}" if error.filename else str(error))
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
        lines += [words.problem(found) for found in error.problem.errors]
        if error.status == _UNAUTHORIZED:
            lines[0] += " Give it with --api-key or HOSPITAL_BULK_API_KEY."
    if isinstance(error, TryAgain) and error.advice:
        lines += error.advice.splitlines()
    return lines
