"""The transaction coordinator: who may write under a transactional id, and how transactions end.

Ending takes two steps, as in Kafka: the decision, which is answered at once, and then the markers in each partition,
which become visible one after another. A new producer waits until the markers of the old one are written.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from aiokafka import TopicPartition

NONE = 0
COORDINATOR_NOT_AVAILABLE = 15
INVALID_PRODUCER_EPOCH = 47
INVALID_TXN_STATE = 48
INVALID_PRODUCER_ID_MAPPING = 49
CONCURRENT_TRANSACTIONS = 51
PRODUCER_FENCED = 90


class Phase(Enum):
    """Where a transaction stands."""

    EMPTY = auto()
    ONGOING = auto()
    COMMITTING = auto()
    ABORTING = auto()


@dataclass
class Transaction:
    """A transactional id, with its producer of now."""

    producer_id: int
    epoch: int = -1
    timeout: float = 10.0
    phase: Phase = Phase.EMPTY
    #: How the last one ended: asking for the same again is answered in the same way.
    committed_last: bool | None = None
    partitions: dict[TopicPartition, None] = field(default_factory=dict)
    groups: dict[str, None] = field(default_factory=dict)
    #: Counts transactions, so that a timer knows whether its own still runs.
    number: int = 0
    #: A new producer is asked for again and again until the old transaction has ended: it gets one epoch.
    fencing: bool = False


Later = Callable[[float, Callable[[], None]], None]


class Transactions:
    """All transactional ids. `end_in_partition` and `end_in_group` write a marker; `later` runs after some seconds.

    `marker_seconds`: how long until a marker is written.
    """

    def __init__(
        self,
        later: Later,
        end_in_partition: Callable[[TopicPartition, int, int, bool], None],
        end_in_group: Callable[[str, int, bool], None],
        marker_seconds: Callable[[], float],
    ) -> None:
        self._later = later
        self._end_in_partition = end_in_partition
        self._end_in_group = end_in_group
        self._marker_seconds = marker_seconds
        self._by_id: dict[str, Transaction] = {}
        self._by_producer: dict[int, Transaction] = {}
        self._next_producer = 1000

    def new_producer(self) -> int:
        """The id of a producer without transactions."""
        self._next_producer += 1
        return self._next_producer

    def init(self, transactional_id: str, timeout: float) -> tuple[int, int, int]:
        """InitProducerId: fences earlier producers. Returns error, producer and epoch."""
        known = self._by_id.get(transactional_id)
        if known is None:
            known = self._by_id[transactional_id] = Transaction(self.new_producer())
            self._by_producer[known.producer_id] = known
        known.timeout = timeout
        if known.phase is Phase.ONGOING:
            known.epoch += 1  # fences at once
            known.fencing = True
            self._end(known, commit=False)
        if known.phase is not Phase.EMPTY:
            return CONCURRENT_TRANSACTIONS, -1, -1
        if not known.fencing:
            known.epoch += 1
        known.fencing = False
        known.committed_last = None
        return NONE, known.producer_id, known.epoch

    def check(self, transactional_id: str, producer_id: int, epoch: int) -> int:
        """Whether a producer is the one of now. An error code."""
        known = self._by_id.get(transactional_id)
        if known is None or known.producer_id != producer_id:
            return INVALID_PRODUCER_ID_MAPPING
        return NONE if known.epoch == epoch and not known.fencing else INVALID_PRODUCER_EPOCH

    def may_produce(self, producer_id: int, epoch: int, where: TopicPartition) -> int:
        """Whether a transactional batch may be written. An error code."""
        known = self._by_producer.get(producer_id)
        if known is None:
            return INVALID_PRODUCER_ID_MAPPING
        if known.epoch != epoch or known.fencing:
            return INVALID_PRODUCER_EPOCH
        if known.phase is not Phase.ONGOING or where not in known.partitions:
            return INVALID_TXN_STATE
        return NONE

    def may_commit_offsets(self, transactional_id: str, producer_id: int, epoch: int, group: str) -> int:
        """Whether offsets may be added to a transaction. An error code."""
        if error := self.check(transactional_id, producer_id, epoch):
            return error
        known = self._by_id[transactional_id]
        return NONE if known.phase is Phase.ONGOING and group in known.groups else INVALID_TXN_STATE

    def add(
        self, transactional_id: str, producer_id: int, epoch: int, partitions: list[TopicPartition], group: str | None
    ) -> int:
        """AddPartitionsToTxn and AddOffsetsToTxn. An error code."""
        if error := self.check(transactional_id, producer_id, epoch):
            return error
        known = self._by_id[transactional_id]
        if known.phase in (Phase.COMMITTING, Phase.ABORTING):
            return CONCURRENT_TRANSACTIONS
        if known.phase is Phase.EMPTY:
            known.phase = Phase.ONGOING
            known.number += 1
            number = known.number
            self._later(known.timeout, lambda: self._time_out(known, number))
        known.partitions.update(dict.fromkeys(partitions))
        if group is not None:
            known.groups[group] = None
        return NONE

    def _time_out(self, known: Transaction, number: int) -> None:
        if known.phase is Phase.ONGOING and known.number == number:
            known.epoch += 1
            self._end(known, commit=False)

    def end(self, transactional_id: str, producer_id: int, epoch: int, *, commit: bool) -> int:
        """EndTxn. An error code."""
        if error := self.check(transactional_id, producer_id, epoch):
            return error
        known = self._by_id[transactional_id]
        match known.phase:
            case Phase.ONGOING:
                self._end(known, commit=commit)
                return NONE
            case Phase.EMPTY:
                return NONE if known.committed_last is commit else INVALID_TXN_STATE
            case Phase.COMMITTING | Phase.ABORTING:
                same = (known.phase is Phase.COMMITTING) is commit
                return CONCURRENT_TRANSACTIONS if same else INVALID_TXN_STATE

    def _end(self, known: Transaction, *, commit: bool) -> None:
        known.phase = Phase.COMMITTING if commit else Phase.ABORTING
        left = len(known.partitions) + len(known.groups)
        epoch = known.epoch

        def marked() -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                known.partitions, known.groups = {}, {}
                known.phase, known.committed_last = Phase.EMPTY, commit

        def mark_partition(where: TopicPartition) -> None:
            self._end_in_partition(where, known.producer_id, epoch, commit)
            marked()

        def mark_group(group: str) -> None:
            self._end_in_group(group, known.producer_id, commit)
            marked()

        for where in known.partitions:
            self._later(self._marker_seconds(), lambda where=where: mark_partition(where))  # type: ignore[misc]
        for group in known.groups:
            self._later(self._marker_seconds(), lambda group=group: mark_group(group))  # type: ignore[misc]
        if not left:
            marked()
