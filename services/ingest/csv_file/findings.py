"""What is wrong with a file: all of it is counted, and the first 1,000 of each kind of finding are kept."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from services.ingest.csv_file.problem_file import ProblemFile
from shared.runtime.http.row_problems import RowProblem

MAX_LISTED: Final = 1_000


@dataclass(slots=True)
class ProblemList:
    """Problems in the order of the file, of which the first 1,000 are kept."""

    total: int = 0
    _kept: list[RowProblem] = field(default_factory=list)

    def add(self, problems: Iterable[RowProblem]) -> None:
        """Adds some. Memory stays bounded however many there are."""
        for problem in problems:
            self.total += 1
            self._kept.append(problem)
        if len(self._kept) >= 2 * MAX_LISTED:
            self._kept = self.listed

    @property
    def listed(self) -> list[RowProblem]:
        """The first ones by their rows; those that are about no row come first."""
        return heapq.nsmallest(MAX_LISTED, self._kept, key=lambda problem: problem.row or 0)


@dataclass(slots=True)
class Findings:
    """Errors refuse a file; warnings do so only when they are to count as errors (`strict`)."""

    strict: bool = False
    #: Gets all of them.
    file: ProblemFile | None = None
    errors: ProblemList = field(default_factory=ProblemList)
    warnings: ProblemList = field(default_factory=ProblemList)

    def begin_late(self) -> None:
        """Begins a second series of problems, whose rows ascend from the top of the file once more."""
        if self.file is not None:
            self.file.begin_late()

    def add(self, problems: Iterable[RowProblem], unlisted: int = 0) -> None:
        """Adds problems of both kinds. `unlisted`: errors that are counted only."""
        for problem in problems:
            is_warning = problem.is_warning and not self.strict
            (self.warnings if is_warning else self.errors).add((problem,))
            if self.file is not None:
                self.file.add(problem, "warning" if is_warning else "error")
        self.errors.total += unlisted
        if self.file is not None:
            self.file.unlisted += unlisted
