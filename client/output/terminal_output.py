"""Output for a person at a terminal: progress bars and tables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from client.output import words
from client.output.output import OnProgress, OnSent
from client.schemas import Job


class TerminalOutput:
    """Prints lines above the current progress bar."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, emoji=False)

    def say(self, line: str) -> None:
        """Prints the text as it is, without markup: it may come from a file."""
        self._console.print(Text(line), soft_wrap=True)

    def answer(self, line: str) -> None:
        """Prints the text as it is."""
        self.say(line)

    def show(self, line: str) -> None:
        """Prints the text as it is."""
        self.say(line)

    def warn(self, line: str) -> None:
        """Prints in yellow."""
        self.note(line)

    def note(self, line: str) -> None:
        """Prints in yellow."""
        self._console.print(Text(line, style="yellow"), soft_wrap=True)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Prints aligned columns."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for number, name in enumerate(head):
            table.add_column(name, overflow="fold", no_wrap=number == 0)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print(table)

    def document(self, document: dict[str, Any]) -> None:
        """Writes nothing: the lines have it."""

    def error(self, lines: Sequence[str]) -> None:
        """Prints the first line bold and red."""
        first, *others = lines
        self._console.print(Text(first, style="bold red"), soft_wrap=True)
        for line in others:
            self.say(line)

    @contextmanager
    def sending(self, doing: str, name: str, size: int, /) -> Iterator[OnSent]:
        """Shows a bar of bytes, then that the answer is waited for."""
        what = TextColumn("{task.description}", markup=False)
        columns = (SpinnerColumn(), what, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task("", total=size)

            def sent(amount: int) -> None:
                waiting = " (sent, waiting for the answer)" if amount >= size else ""
                bar.update(task, completed=amount, description=f"{doing} {words.printable(name)}{waiting}")

            sent(0)
            yield sent

    @contextmanager
    def watching(self) -> Iterator[OnProgress]:
        """Shows a bar of hospitals with their rate, and under it why the job waits."""
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[counts]}", markup=False),
            TextColumn("{task.fields[speed]}", style="cyan", markup=False),
            console=self._console,
        )
        task = bar.add_task("Waiting", total=None, counts="", speed="")
        with Live(bar, console=self._console, transient=True, refresh_per_second=8) as live:

            def on_progress(job: Job, per_second: float | None) -> None:
                counts = f"{job.processed_hospitals:,} of {job.total_hospitals:,}, {job.percent} %"
                failed = f", {job.failed_hospitals:,} failed" if job.failed_hospitals else ""
                bar.update(
                    task,
                    completed=job.processed_hospitals,
                    total=job.total_hospitals,
                    description=words.state(job).capitalize(),
                    counts=counts + failed,
                    speed=words.speed(job, per_second),
                )
                live.update(Group(bar, Text(words.reason(job), style="yellow")) if words.reason(job) else bar)

            yield on_progress
