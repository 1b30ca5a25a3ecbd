"""What became of rows, as the tables keep it, and what a new result changes. Pure: no database, no clock.

The result of the higher round counts. One that comes again, or late, changes nothing: so the order of arrival does not
matter.
"""

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic_core import to_json

from services.status.model.throughput import slot_of
from services.status.model.timestamps import Micros, micros
from shared.contract.events import (
    RowCreated,
    RowErrorCode,
    RowFailed,
    RowOutcome,
    RowResolved,
    RowResult,
    RowUnprocessed,
)

#: job_id and row.
RowKey = tuple[str, int]
#: job_id, row and round.
DecisionKey = tuple[str, int, int]
#: Failed rows of which nobody knows whether they are in the directory are counted once more, under this status.
UNKNOWN: Final = RowErrorCode.OUTCOME_UNKNOWN.value
#: So are failed rows that were carried over from the round before,
CARRIED_OVER: Final = "carried_over"
#: and rows without a hospital that stand again in a correction: under this and their `open_code`.
CORRECTED: Final = "corrected:"


class RowStatus(StrEnum):
    """What became of a row."""

    CREATED = "created"
    FAILED = "failed"
    UNPROCESSED = "unprocessed"


class RowRecord(NamedTuple):
    """A row of `status_rows`. A tuple, since rows come at tens of thousands a second."""

    job_id: str
    row: int
    round: int
    batch_id: str | None
    name: str
    status: str
    hospital_id: str | None
    attempts: int
    error_code: str | None
    error: str | None
    http_status: int | None
    started_at: Micros
    finished_at: Micros
    columns: str
    carried_over: bool = False

    @property
    def key(self) -> RowKey:
        """Which row it is."""
        return self.job_id, self.row


@dataclass(frozen=True, slots=True)
class StoredRow:
    """What is needed of a stored row to take it out of the counts again."""

    round: int
    status: str
    finished_at: Micros
    error_code: str | None = None
    carried_over: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about a row whose outcome was unknown: a row of `status_resolutions`."""

    job_id: str
    row: int
    round: int
    hospital_id: str | None
    resolved_by: str
    resolved_at: Micros

    @property
    def key(self) -> DecisionKey:
        """Which result it is about."""
        return self.job_id, self.row, self.round


Decisions = Mapping[DecisionKey, Decision]
#: By job: the rows that stand again in its corrections.
NamedByJob = Mapping[str, Container[int]]
_NONE_NAMED: Final[NamedByJob] = {}


@dataclass(frozen=True, slots=True)
class RowChanges:
    """What is to be written: rows, and by how much the counts change. `named`: what corrections name, by job."""

    named: NamedByJob = field(default_factory=dict)
    new: list[RowRecord] = field(default_factory=list)
    replacing: list[RowRecord] = field(default_factory=list)
    #: (job_id, round, status) → hospitals.
    tallies: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    #: (job_id, slot) → hospitals.
    pace: Counter[tuple[str, int]] = field(default_factory=Counter)

    def add(self, row: RowRecord, before: StoredRow | None) -> None:
        """The row is written, in place of `before` when there was one."""
        self._count(row.job_id, row.row, row, 1)
        if before is None:
            self.new.append(row)
        else:
            self.replacing.append(row)
            self._count(row.job_id, row.row, before, -1)

    def count_unknown(self, key: RowKey, row: RowRecord | StoredRow, decisions: "Decisions", by: int) -> None:
        """Counts the row as unknown, by 1 or -1, if its outcome is unknown and nobody has decided about it."""
        if row.error_code == UNKNOWN and (*key, row.round) not in decisions:
            self.tallies[key[0], row.round, UNKNOWN] += by

    @property
    def rows(self) -> list[RowRecord]:
        """All of them."""
        return [*self.new, *self.replacing]

    def _count(self, job_id: str, number: int, row: RowRecord | StoredRow, by: int) -> None:
        self.tallies[job_id, row.round, row.status] += by
        if not row.carried_over:
            self.pace[job_id, slot_of(row.finished_at)] += by
        elif row.status == RowStatus.FAILED:
            self.tallies[job_id, row.round, CARRIED_OVER] += by
        if self.named and row.status != RowStatus.CREATED and number in self.named.get(job_id, ()):
            self.tallies[job_id, row.round, CORRECTED + open_code(row.error_code)] += by


def open_code(error_code: str | None) -> str:
    """Why a row without a hospital has none, as a retry chooses by it."""
    return error_code or RowStatus.UNPROCESSED.value


def record_of(event: RowOutcome) -> RowRecord:
    """The event as a row of the table."""
    match event:
        case RowCreated():
            return _record(event, RowStatus.CREATED.value, hospital_id=_id_text(event.hospital_id))
        case RowFailed():
            record = _record(event, RowStatus.FAILED.value, event.code.value, event.message, event.http_status)
        case RowUnprocessed():
            record = _record(event, RowStatus.UNPROCESSED.value, None, event.message)
    return record._replace(carried_over=True) if event.carried_over else record


def _record(
    event: RowResult,
    status: str,
    code: str | None = None,
    error: str | None = None,
    http_status: int | None = None,
    hospital_id: str | None = None,
) -> RowRecord:
    return RowRecord(
        event.job_id,
        event.row,
        event.round,
        event.batch_id,
        event.name,
        status,
        hospital_id,
        event.attempts,
        code,
        error,
        http_status,
        micros(event.started_at),
        micros(event.occurred_at),
        to_json(event.cells if event.columns is None else event.columns).decode(),
    )


def own_cells(stored: str, columns: Sequence[str]) -> list[str]:
    """A row's own cells, one for each column, from what the table has of them: those that it does not have are empty.

    Rows that version 0.1.0 accepted have them by the names of their columns.
    """
    uploaded: list[str] | dict[str, str] = json.loads(stored)
    if isinstance(uploaded, dict):
        return [uploaded.get(column, "") for column in columns]
    width = len(columns)
    return uploaded[:width] + [""] * (width - len(uploaded))


def _id_text(hospital_id: int | str) -> str:
    return str(hospital_id) if isinstance(hospital_id, int) else json.dumps(hospital_id)


def decision_of(event: RowResolved) -> Decision:
    """The event as a row of the table."""
    hospital_id = None if event.hospital_id is None else _id_text(event.hospital_id)
    return Decision(event.job_id, event.row, event.round, hospital_id, event.resolved_by, micros(event.occurred_at))


def resolved(row: RowRecord, decisions: Decisions) -> RowRecord:
    """The row as a person resolved it; unchanged unless its outcome in that very round was unknown."""
    if row.error_code != UNKNOWN:
        return row
    decision = decisions.get((row.job_id, row.row, row.round))
    if not decision:
        return row
    if decision.hospital_id is not None:
        return row._replace(status=RowStatus.CREATED.value, hospital_id=decision.hospital_id, error=None)
    text = f"{decision.resolved_by} looked: it is not in the directory."
    return row._replace(status=RowStatus.FAILED.value, hospital_id=None, error=text)


def changes(
    results: Iterable[RowRecord],
    stored: Mapping[RowKey, StoredRow],
    decisions: Decisions,
    named: NamedByJob = _NONE_NAMED,
) -> RowChanges:
    """What new results change."""
    found = RowChanges(named)
    for result in _highest(results).values():
        before = stored.get(result.key)
        if before is None or before.round < result.round:
            found.add(resolved(result, decisions), before)
            found.count_unknown(result.key, result, decisions, 1)
            if before:
                found.count_unknown(result.key, before, decisions, -1)
    return found


def counting(decisions: Iterable[Decision]) -> dict[DecisionKey, Decision]:
    """The decision that counts for each result: the last one, in the order given, which is that of the topic.

    A hospital that somebody has found is not taken back by one who did not find it. The job may have been finished, or
    retried without the row, because of it; nobody would send the row again.
    """
    best: dict[DecisionKey, Decision] = {}
    for decision in decisions:
        other = best.get(decision.key)
        if other is None or other.hospital_id is None or decision.hospital_id is not None:
            best[decision.key] = decision
    return best


def changes_by_decision(
    rows: Iterable[RowRecord], decisions: Decisions, before: Decisions, named: NamedByJob = _NONE_NAMED
) -> RowChanges:
    """What new decisions change in stored rows. `decisions`: all that hold now; `before`: those that held before."""
    found = RowChanges(named)
    for row in rows:
        after = resolved(row, decisions)
        if after != row:
            found.add(after, StoredRow(row.round, row.status, row.finished_at, row.error_code, row.carried_over))
            found.count_unknown(row.key, row, before, -1)
            found.count_unknown(row.key, row, decisions, 1)
    return found


def _highest(results: Iterable[RowRecord]) -> dict[RowKey, RowRecord]:
    best: dict[RowKey, RowRecord] = {}
    for result in results:
        other = best.get(result.key)
        if other is None or other.round < result.round:
            best[result.key] = result
    return best
