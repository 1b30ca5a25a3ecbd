"""Which batches an event of `hospital.jobs` asks to activate, and the answers to such a request."""

from dataclasses import dataclass

from aiokafka import ConsumerRecord

from shared.contract.cloud_events import UndecodableEvent, decode, header
from shared.contract.events import (
    BatchActivated,
    BatchActivationFailed,
    BatchActivationRequested,
    Event,
    JobFinished,
    JobOutcome,
)

#: Other events ask for nothing, and need not be decoded.
_ASKING = frozenset({JobFinished.__name__, BatchActivationRequested.__name__})


@dataclass(frozen=True, slots=True)
class ActivationRequest:
    """One batch is to be activated."""

    tenant: str
    job_id: str
    batch_id: str
    request_id: str

    def activated(self, message: str) -> BatchActivated:
        """The answer when the directory has activated the batch."""
        return BatchActivated(
            tenant=self.tenant, job_id=self.job_id, batch_id=self.batch_id, request_id=self.request_id, message=message
        )

    def failed(self, message: str, status: int | None = None) -> BatchActivationFailed:
        """The answer when the directory will not activate the batch."""
        return BatchActivationFailed(
            tenant=self.tenant,
            job_id=self.job_id,
            batch_id=self.batch_id,
            request_id=self.request_id,
            message=message,
            http_status=status,
        )


def read_requests(record: ConsumerRecord) -> list[ActivationRequest]:
    """What a record of `hospital.jobs` asks for. One that cannot be decoded asks for nothing here."""
    if header(record.headers, "ce_type") not in _ASKING:
        return []
    try:
        return requested_by(decode(record.headers, record.value))
    except UndecodableEvent:
        return []  # the status service writes it to the dead letters


def requested_by(event: Event) -> list[ActivationRequest]:
    """The activations that an event asks for."""
    match event:
        case JobFinished(outcome=JobOutcome.ALL_CREATED):
            request_id = f"finished:{event.round}"
            return [ActivationRequest(event.tenant, event.job_id, batch, request_id) for batch in event.batch_ids]
        case BatchActivationRequested():
            return [ActivationRequest(event.tenant, event.job_id, event.batch_id, event.request_id)]
        case _:
            return []
