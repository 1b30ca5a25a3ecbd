"""Output for programs: one JSON document on standard output, and nothing else there."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from client.output.no_progress import NoProgress


class JsonOutput(NoProgress):
    """The document goes to standard output, notes and errors to standard error. `quiet`: no notes."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet

    def say(self, line: str) -> None:
        """Writes nothing: the document has it."""

    def answer(self, line: str) -> None:
        """Writes nothing: the document has it."""

    def show(self, line: str) -> None:
        """Writes to standard error: a question may follow."""
        self.note(line)

    def note(self, line: str) -> None:
        """Writes to standard error."""
        if not self._quiet:
            self.warn(line)

    def warn(self, line: str) -> None:
        """Writes to standard error."""
        sys.stderr.write(line + "\n")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Writes nothing: the document has it."""

    def document(self, document: dict[str, Any]) -> None:
        """Writes the one document."""
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")

    def error(self, lines: Sequence[str]) -> None:
        """Writes the first line to standard error; the document has the rest."""
        self.warn(lines[0])
