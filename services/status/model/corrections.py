"""Jobs that correct others, and of which of them nothing is open any more. Pure: no database, no clock.

A correction names rows of a job that stand in its own file again. From its acceptance on they are not open where they
came from: should one fail there, it is open there. A correction may be corrected in turn; all of them are a chain.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from services.status.model.job_facts import JobFacts
from services.status.model.job_state import DerivedState
from shared.contract.row_set import decode_rows


class AnswerOutcome(StrEnum):
    """How a job ended, as answers call it: JobOutcome, and one that other jobs decide."""

    ALL_CREATED = "all_created"
    ALL_CREATED_AFTER_CORRECTION = "all_created_after_correction"  # nothing of its chain is open any more
    SOME_FAILED = "some_failed"
    NONE_CREATED = "none_created"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Link:
    """The job `job_id` of this tenant says that it corrects the job `corrects`."""

    job_id: str
    corrects: str
    tenant: str

    def joins(self, corrected: JobFacts | None) -> bool:
        """Whether there is such a job of the same tenant. Else the link is none, and nobody hears of the other job."""
        return corrected is not None and corrected.tenant == self.tenant and self.job_id != self.corrects


class NamedRows:
    """The rows that some corrections name, a bit for each: a million of them are 125 kB."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._bitmaps = [bitmap for text in texts if (bitmap := _bitmap(text))]

    def __contains__(self, row: object) -> bool:
        if not isinstance(row, int):
            return False
        byte, bit = row >> 3, 1 << (row & 7)
        return any(byte < len(bitmap) and bitmap[byte] & bit for bitmap in self._bitmaps)

    def __bool__(self) -> bool:
        return bool(self._bitmaps)


@lru_cache(maxsize=16)
def _bitmap(text: str) -> bytes:
    """Empty for what `row_set` cannot read: a correction that names nothing is still a correction."""
    try:
        bitmap = bytearray()
        for row in decode_rows(text):
            bitmap.extend(bytes(max(row // 8 + 1 - len(bitmap), 0)))
            bitmap[row // 8] |= 1 << row % 8
    except ValueError:
        return b""
    return bytes(bitmap)


@dataclass(frozen=True, slots=True)
class Chains:
    """Some jobs, as they are now, with every job that corrects them or that they correct."""

    facts: Mapping[str, JobFacts]
    states: Mapping[str, DerivedState]
    links: Iterable[Link]

    def closed(self) -> set[str]:
        """The jobs of which no row is open, neither in them nor in what corrects them."""
        corrected = self._corrected()
        waiting = [job_id for job_id in self.states if not self._closed_itself(job_id)]
        is_open = set(waiting)
        while waiting:  # a chain may be longer than Python's stack
            before = corrected.get(waiting.pop())
            if before is not None and before not in is_open:
                is_open.add(before)
                waiting.append(before)
        return self.states.keys() - is_open

    def roots(self) -> dict[str, str]:
        """The job at the beginning of the chain of each job."""
        corrected = self._corrected()
        found: dict[str, str] = {}
        for job_id in self.states:
            way = {job_id: None}  # in its order; a forged circle ends where it would begin again
            while job_id not in found and (before := corrected.get(job_id)) is not None and before not in way:
                job_id = before
                way[job_id] = None
            found |= dict.fromkeys(way, found.get(job_id, job_id))
        return found

    def _corrected(self) -> dict[str, str]:
        """Which job each of them corrects."""
        return {link.job_id: link.corrects for link in self._joined()}

    def _joined(self) -> list[Link]:
        return [link for link in self.links if link.job_id in self.states and link.joins(self.facts.get(link.corrects))]

    def _closed_itself(self, job_id: str) -> bool:
        state = self.states[job_id]
        ended = state.outcome is not None and state.due_round is None
        return ended and state.failed_hospitals + state.unprocessed_hospitals == state.corrected_hospitals
