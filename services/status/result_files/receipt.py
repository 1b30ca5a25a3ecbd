"""The receipt of a finished job: what its last JobFinished says, to check result files by without asking anybody."""

import json
from typing import Annotated

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from services.status.model.timestamps import Clock
from services.status.queries import job_queries
from services.status.web.tenant import Tenant
from shared.contract.events import JobOutcome, OutcomeRoots
from shared.runtime.http.problems import Problem


class Receipt(BaseModel):
    """What a job finished with."""

    job_id: str
    file_name: str
    file_sha256: Annotated[str, Field(description="Of the file as it was uploaded")]
    round: int
    finished_at: str
    outcome: JobOutcome
    total_hospitals: int
    created_hospitals: int
    failed_hospitals: int
    unprocessed_hospitals: int
    outcomes_root: Annotated[str, Field(description="As in the event JobFinished: over the three roots")]
    outcome_roots: Annotated[
        OutcomeRoots, Field(description="The Merkle tree over the rows of each outcome, as JobFinished describes it")
    ]


def read_receipt(connection: Connection, tenant: Tenant, job_id: str, clock: Clock) -> Receipt | None:
    """The receipt of a job; None when the tenant has no such job, or it is not known yet.

    Raises a 409 problem while its last round has not finished, and when an older version finished it.
    """
    job = job_queries.job(connection, tenant, job_id, clock())
    if job is None:
        return None
    if job.finished_round < job.round:
        raise Problem(409, "not_finished", "The job has not finished: it has a receipt when it has.")
    if job.receipt is None:
        raise Problem(409, "no_receipt", "An older version finished this job, without a receipt.")
    known = {"job_id": job.job_id, "file_name": job.file_name, "file_sha256": job.file_sha256}
    return Receipt(**known, **json.loads(job.receipt))
