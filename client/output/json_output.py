"""For programs: one JSON document on standard output, and nothing else there."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from client.output.output import Progressed, Sent


class JsonScreen:
    """What happens meanwhile goes to standard error."""

    def say(self, line: str) -> None:
        """Nothing: the document says it."""

    def note(self, line: str) -> None:
        """To standard error."""
        sys.stderr.write(line + "\n")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Nothing: the document says it."""

    def document(self, document: dict[str, Any]) -> None:
        """The one document."""
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")

    def error(self, lines: Sequence[str]) -> None:
        """Its first line; the document has the rest."""
        self.note(lines[0])

    @contextmanager
    def sending(self, _doing: str, _name: str, _size: int, /) -> Iterator[Sent]:
        """Nothing."""
        yield lambda _: None

    @contextmanager
    def following(self) -> Iterator[Progressed]:
        """Nothing."""
        yield lambda _, __: None
