"""Output for scripts that want no more than they asked for: errors, and the answer itself."""

from client.output.no_progress import NoProgress
from client.output.plain_output import PlainOutput


class QuietOutput(NoProgress, PlainOutput):
    """Leaves out what happens on the way. Errors go to standard error, answers to standard output."""

    def say(self, line: str) -> None:
        """Writes nothing."""

    def show(self, line: str) -> None:
        """Writes nothing."""

    def note(self, line: str) -> None:
        """Writes nothing."""
