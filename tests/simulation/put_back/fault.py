"""A fault: texts of the real code and what stands there instead. It is only ever put into a copy of the tree."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
#: What a simulation needs.
_COPIED: Final = ("services", "shared", "tests")


class DoesNotApply(Exception):
    """The code has changed: the fault has to be written anew."""


@dataclass(frozen=True)
class Change:
    """A text that a file has exactly once, and what takes its place."""

    path: str
    before: str
    after: str


@dataclass(frozen=True)
class Fault:
    """`what`: in a few words, what is broken. `rule`: the constant of the specification that says the same, if any.

    `kind`: which seeds are meant to find it.
    """

    name: str
    what: str
    rule: str
    kind: str
    changes: tuple[Change, ...]

    def put_into(self, root: Path) -> None:
        """Changes the files below a folder. Raises DoesNotApply when a text is not there exactly once."""
        for change in self.changes:
            path = root / change.path
            source = path.read_text()
            if (count := source.count(change.before)) != 1:
                raise DoesNotApply(f"{self.name}: {change.path} has {count} times, not once:\n{change.before}")
            changed = source.replace(change.before, change.after)
            compile(changed, str(path), "exec")
            path.write_text(changed)


def copy_tree(from_: Path, to: Path) -> None:
    """Copies what a simulation needs, into an empty folder."""
    for name in _COPIED:
        shutil.copytree(from_ / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(from_ / "pyproject.toml", to)
