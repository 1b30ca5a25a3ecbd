"""Jobs as ingest would have written them."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

from shared.contract.events import RowAccepted


@dataclass
class Job:
    """A job on the topics, as ingest would have written it."""

    job_id: str
    rows: list[RowAccepted]

    @property
    def batch_ids(self) -> list[str]:
        return list(dict.fromkeys(row.batch_id for row in self.rows))


def make_job(rows: int, *, names: Iterable[str] = (), round_: int = 1, batch_rows: int = 1000) -> Job:
    """A job of that many hospitals; the first get the names given."""
    job_id, given = str(uuid4()), list(names)
    batches = [str(uuid4()) for _ in range(rows // batch_rows + 1)]
    events = []
    for index in range(rows):
        name = given[index] if index < len(given) else f"Hospital {index}"
        address = f"{index} Main St"
        events.append(
            RowAccepted(
                tenant="public",
                job_id=job_id,
                batch_id=batches[index // batch_rows],
                row=index + 2,
                round=round_,
                name=name,
                address=address,
                phone=f"555-{index:06d}",
                cells=(name, address, f"555-{index:06d}"),
            )
        )
    return Job(job_id, events)
