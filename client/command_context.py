"""What every command is handed, and how each ends: with an exit status and at most one line about what went wrong."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from client.api import Api
from client.errors import Refused, Setback, TryAgain
from client.exit_status import ExitStatus
from client.output import words
from client.output.output import Screen

_UNAUTHORIZED = 401


@dataclass(slots=True)
class Desk:
    """An installation, and somewhere to say what it answers."""

    api: Api
    screen: Screen
    #: The options that lead to the same installation again, such as `--url`.
    address: tuple[str, ...] = ()
    #: What Ctrl-C says at the moment.
    when_interrupted: str = "Interrupted."

    def command(self, *words_: str) -> str:
        """A command line to type."""
        return shlex.join(["hospital-bulk", *words_, *self.address])

    def told(self, setback: TryAgain, pause: float) -> None:
        """Says why it waits, and that it goes on."""
        self.screen.note(f"{setback} Trying again in {words.duration(pause)}.")

    def ask(self, question: str) -> bool | None:
        """Yes or no; None when nobody is there."""
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        return typer.confirm(words.printable(question), err=True)

    def run(self, work: Callable[[], ExitStatus]) -> ExitStatus:
        """How the command ends, whatever happens in it."""
        try:
            return work()
        except Setback as setback:
            self.screen.document(setback.document())
            self.screen.error(_lines(setback))
            return setback.exit_status
        except (KeyboardInterrupt, typer.Abort):
            self.screen.note(self.when_interrupted)
            return ExitStatus.INTERRUPTED
        except BrokenPipeError:
            raise
        except OSError as error:
            self.screen.note(f"{error.filename}: {error.strerror}" if error.filename else str(error))
            return ExitStatus.USAGE

    @contextmanager
    def interrupted(self, line: str) -> Iterator[None]:
        """Ctrl-C in here says this."""
        before, self.when_interrupted = self.when_interrupted, line
        yield
        self.when_interrupted = before


def _lines(setback: Setback) -> list[str]:
    lines = [words.printable(str(setback))]
    if isinstance(setback, Refused):
        lines += [words.problem(error) for error in setback.problem.errors]
        if setback.status == _UNAUTHORIZED:
            lines[0] += " Give it with --api-key or HOSPITAL_BULK_API_KEY."
    if isinstance(setback, TryAgain) and setback.advice:
        lines += setback.advice.splitlines()
    return lines
