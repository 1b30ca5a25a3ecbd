"""The Kafka topics, their configuration, and the names that belong to them."""

from dataclasses import dataclass, field
from typing import Final

FOREVER: Final = "-1"
COMPACTED_NOT_BEFORE_MS: Final = "300000"
#: Largest record that a topic takes, in bytes. Consumers fetch more, since a larger record would be skipped.
MAX_MESSAGE_BYTES: Final = 1_048_588


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it has to be: created so when missing, and compared with the broker by readiness."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one installation. `prefix` lets several installations share a Kafka cluster."""

    prefix: str = ""
    partitions: int = 6

    @property
    def rows_express(self) -> str:
        """Rows of small jobs, key `job_id:row`."""
        return f"{self.prefix}hospital.rows.express"

    @property
    def rows_bulk(self) -> str:
        """Rows of large jobs, key `job_id:row`."""
        return f"{self.prefix}hospital.rows.bulk"

    @property
    def rows(self) -> tuple[str, str]:
        """Both topics of rows, the one that goes first in front."""
        return self.rows_express, self.rows_bulk

    @property
    def results(self) -> str:
        """One result per row and round, key `job_id`."""
        return f"{self.prefix}hospital.results"

    @property
    def jobs(self) -> str:
        """What happens to whole jobs, key `job_id`."""
        return f"{self.prefix}hospital.jobs"

    @property
    def processors(self) -> str:
        """The latest report of every processor, key = instance id, compacted."""
        return f"{self.prefix}hospital.processors"

    @property
    def dead_letters(self) -> str:
        """What could not be decoded, as received, with the reason in the headers."""
        return f"{self.prefix}hospital.dead-letters"

    def group(self, purpose: str) -> str:
        """The consumer group for a purpose, such as `processor`."""
        return f"{self.prefix}hospital-{purpose}"

    def transactional_id(self, owner: str) -> str:
        """The transactional id of an owner, such as `processor-3` or an upload's job id."""
        return f"{self.prefix}{owner}"

    def all(self) -> tuple[Topic, ...]:
        """Every topic with its configuration. Kept for ever where losing a record would lose work."""
        kept = {
            # Compaction would keep one record a key: one result a job.
            "cleanup.policy": "delete",
            "retention.ms": FOREVER,
            "retention.bytes": FOREVER,
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
        }
        compacted = {
            "cleanup.policy": "compact",
            # Longer than any grant of rate slots lasts: until then all of its readers have to find it.
            "min.compaction.lag.ms": COMPACTED_NOT_BEFORE_MS,
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
        }
        return (
            Topic(self.rows_express, self.partitions, kept),
            Topic(self.rows_bulk, self.partitions, kept),
            Topic(self.results, self.partitions, kept),
            Topic(self.jobs, self.partitions, kept),
            Topic(self.processors, 1, compacted),
            Topic(self.dead_letters, 1, kept),
        )
