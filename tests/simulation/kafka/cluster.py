"""A Kafka cluster in memory: partitions, transactions and groups, and the answer to each request that aiokafka sends.

Requests and answers are aiokafka's own structures. The versions are the newest that need no more than is modelled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.protocol.admin import (
    ApiVersionRequest_v0,
    CreateTopicsRequest_v1,
    DescribeGroupsRequest_v1,
)
from aiokafka.protocol.commit import OffsetCommitRequest_v3, OffsetFetchRequest_v3
from aiokafka.protocol.coordination import FindCoordinatorRequest_v1
from aiokafka.protocol.fetch import FetchRequest_v4
from aiokafka.protocol.group import HeartbeatRequest_v1, JoinGroupRequest_v2, LeaveGroupRequest_v1, SyncGroupRequest_v1
from aiokafka.protocol.metadata import MetadataRequest_v5
from aiokafka.protocol.offset import OffsetRequest_v3
from aiokafka.protocol.produce import ProduceRequest_v3
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest_v0,
    AddPartitionsToTxnRequest_v0,
    EndTxnRequest_v0,
    InitProducerIdRequest_v0,
    TxnOffsetCommitRequest_v0,
)

from tests.simulation.kafka.groups import Committed, Groups, Joined
from tests.simulation.kafka.log import READ_COMMITTED, OutOfOrder, PartitionLog, read_head
from tests.simulation.kafka.transactions import Transactions

OFFSET_OUT_OF_RANGE: Final = 1
UNKNOWN_TOPIC_OR_PARTITION: Final = 3
OUT_OF_ORDER_SEQUENCE: Final = 45
TOPIC_ALREADY_EXISTS: Final = 36
LATEST: Final = -1

REQUESTS: Final = {
    kind.API_KEY: kind
    for kind in (
        ProduceRequest_v3,
        FetchRequest_v4,
        OffsetRequest_v3,
        MetadataRequest_v5,
        OffsetCommitRequest_v3,
        OffsetFetchRequest_v3,
        FindCoordinatorRequest_v1,
        JoinGroupRequest_v2,
        HeartbeatRequest_v1,
        LeaveGroupRequest_v1,
        SyncGroupRequest_v1,
        DescribeGroupsRequest_v1,
        ApiVersionRequest_v0,
        CreateTopicsRequest_v1,
        InitProducerIdRequest_v0,
        AddPartitionsToTxnRequest_v0,
        AddOffsetsToTxnRequest_v0,
        EndTxnRequest_v0,
        TxnOffsetCommitRequest_v0,
    )
}

Answer = Callable[[Any], None]
Later = Callable[[float, Callable[[], None]], None]


@dataclass(frozen=True)
class Broker:
    """A broker of the cluster."""

    node: int
    host: str
    port: int


#: The first leads all partitions; the second coordinates groups and transactions.
BROKERS: Final = (Broker(1, "10.1.0.1", 9092), Broker(2, "10.1.0.2", 9092))
LEADER, COORDINATOR = BROKERS


class Cluster:
    """The cluster. `later` runs something after some seconds; `marker_seconds`: see Transactions."""

    def __init__(
        self, later: Later, marker_seconds: Callable[[], float] = lambda: 0.0, initial_delay: float = 0.0
    ) -> None:
        self.topics: dict[str, list[PartitionLog]] = {}
        self.groups = Groups(later, initial_delay)
        self.transactions = Transactions(later, self._end_in_partition, self.groups.end_transaction, marker_seconds)
        #: The other coordinator is that of groups.
        self.transaction_coordinator = COORDINATOR
        self._later = later
        #: Fetches that wait for records: what they would like to read, and what wakes them.
        self._waiting: dict[PartitionLog, dict[Callable[[], None], None]] = {}

    # ---- what the simulation does itself -----------------------------------------------------------------------------

    def create_topic(self, name: str, partitions: int) -> None:
        """Creates a topic."""
        self.topics[name] = [PartitionLog() for _ in range(partitions)]

    def log(self, where: TopicPartition) -> PartitionLog:
        """The log of a partition. Raises LookupError when there is none."""
        return self.topics[where.topic][where.partition]

    def changed(self, log: PartitionLog) -> None:
        """Readers can see more of it."""
        for wake in list(self._waiting.pop(log, ())):
            wake()

    def _end_in_partition(self, where: TopicPartition, producer_id: int, epoch: int, commit: bool) -> None:
        log = self.log(where)
        log.end_transaction(producer_id, epoch, commit=commit)
        self.changed(log)

    # ---- requests ----------------------------------------------------------------------------------------------------

    def handle(self, request: Any, answer: Answer) -> None:
        """Does what a request asks for, and answers it, at once or later."""
        _HANDLERS[request.API_KEY](self, request, answer)

    def refuse(self, request: Any, code: int) -> Any:
        """The answer with an error code, with nothing done. None when such a request is not refused."""
        make = _REFUSALS.get(request.API_KEY)
        return None if make is None else make(request, code)

    def _versions(self, request: Any, answer: Answer) -> None:
        answer(request.RESPONSE_TYPE(0, [(key, kind.API_VERSION, kind.API_VERSION) for key, kind in REQUESTS.items()]))

    def _metadata(self, request: Any, answer: Answer) -> None:
        names = list(self.topics) if request.topics is None else request.topics
        topics = [
            (
                0 if name in self.topics else UNKNOWN_TOPIC_OR_PARTITION,
                name,
                False,
                [(0, index, LEADER.node, [1], [1], []) for index in range(len(self.topics.get(name, ())))],
            )
            for name in names
        ]
        # A rack: aiokafka keeps brokers in sets, and in Python 3.11 the hash of None is an address in memory.
        brokers = [(each.node, each.host, each.port, "rack") for each in BROKERS]
        answer(request.RESPONSE_TYPE(0, brokers, "simulated", LEADER.node, topics))

    def _create_topics(self, request: Any, answer: Answer) -> None:
        errors = []
        for name, partitions, *_ in request.create_topic_requests:
            errors.append((name, TOPIC_ALREADY_EXISTS if name in self.topics else 0, None))
            if name not in self.topics:
                self.create_topic(name, partitions)
        answer(request.RESPONSE_TYPE(errors))

    def _find_coordinator(self, request: Any, answer: Answer) -> None:
        broker = self.transaction_coordinator if request.coordinator_type else COORDINATOR
        answer(request.RESPONSE_TYPE(0, 0, None, broker.node, broker.host, broker.port))

    def _produce(self, request: Any, answer: Answer) -> None:
        topics = []
        for topic, partitions in request.topics:
            errors = []
            for partition, data in partitions:
                where = TopicPartition(topic, partition)
                errors.append((partition, *self._append(where, data), -1))
            topics.append((topic, errors))
        answer(request.RESPONSE_TYPE(topics, 0))

    def _append(self, where: TopicPartition, data: bytes) -> tuple[int, int]:
        head = read_head(data)
        if head.transactional and (error := self.transactions.may_produce(head.producer_id, head.epoch, where)):
            return error, -1
        log = self.log(where)
        try:
            offset = log.append(data)
        except OutOfOrder:
            return OUT_OF_ORDER_SEQUENCE, -1
        self.changed(log)
        return 0, offset

    def _fetch(self, request: Any, answer: Answer, *, may_wait: bool = True) -> None:
        topics, found = [], False
        for topic, partitions in request.topics:
            read = []
            for partition, offset, _most in partitions:
                log = self.log(TopicPartition(topic, partition))
                if not log.start <= offset <= log.end:
                    read.append((partition, OFFSET_OUT_OF_RANGE, -1, -1, [], b""))
                    found = True
                    continue
                data, aborted = log.read(offset, request.isolation_level)
                found = found or bool(data)
                read.append((partition, 0, log.end, log.last_stable, aborted, data))
            topics.append((topic, read))
        if found or not may_wait:
            answer(request.RESPONSE_TYPE(0, topics))
        else:
            self._wait(request, answer)

    def _wait(self, request: Any, answer: Answer) -> None:
        answered = False

        def wake() -> None:
            nonlocal answered
            if not answered:
                answered = True
                for log in logs:
                    self._waiting.get(log, {}).pop(wake, None)
                self._fetch(request, answer, may_wait=False)

        logs = [self.log(TopicPartition(topic, each[0])) for topic, partitions in request.topics for each in partitions]
        for log in logs:
            self._waiting.setdefault(log, {})[wake] = None
        self._later(request.max_wait_time / 1000, wake)

    def _list_offsets(self, request: Any, answer: Answer) -> None:
        topics = []
        for topic, partitions in request.topics:
            found = []
            for partition, timestamp in partitions:
                log = self.log(TopicPartition(topic, partition))
                end = log.last_stable if request.isolation_level == READ_COMMITTED else log.end
                found.append((partition, 0, -1, end if timestamp == LATEST else log.start))
            topics.append((topic, found))
        answer(request.RESPONSE_TYPE(0, topics))

    # ---- groups ------------------------------------------------------------------------------------------------------

    def _join(self, request: Any, answer: Answer) -> None:
        def joined(result: Joined) -> None:
            answer(request.RESPONSE_TYPE(0, *result))

        session, rebalance = request.session_timeout / 1000, request.rebalance_timeout / 1000
        self.groups.join(request.group, request.member_id, session, rebalance, request.group_protocols, joined)

    def _sync(self, request: Any, answer: Answer) -> None:
        self.groups.sync(
            request.group,
            request.generation_id,
            request.member_id,
            dict(request.group_assignment),
            lambda error, assignment: answer(request.RESPONSE_TYPE(0, error, assignment)),
        )

    def _heartbeat(self, request: Any, answer: Answer) -> None:
        error = self.groups.heartbeat(request.group, request.generation_id, request.member_id)
        answer(request.RESPONSE_TYPE(0, error))

    def _leave(self, request: Any, answer: Answer) -> None:
        answer(request.RESPONSE_TYPE(0, self.groups.leave(request.group, request.member_id)))

    def _describe(self, request: Any, answer: Answer) -> None:
        groups = []
        for name in request.groups:
            group = self.groups.group(name)
            members = [(member, "", "", b"", b"") for member in group.members]
            groups.append((0, name, group.state.name, "consumer", "range", members))
        answer(request.RESPONSE_TYPE(0, groups))

    def _commit(self, request: Any, answer: Answer) -> None:
        error = self.groups.commit(
            request.consumer_group,
            request.consumer_group_generation_id,
            request.consumer_id,
            _offsets(request.topics),
        )
        answer(self.refuse(request, error))

    def _fetch_offsets(self, request: Any, answer: Answer) -> None:
        offsets = self.groups.group(request.consumer_group).offsets
        wanted = request.topics
        if wanted is None:
            by_topic: dict[str, list[int]] = {}
            for at in offsets:
                by_topic.setdefault(at.topic, []).append(at.partition)
            wanted = list(by_topic.items())
        nothing = Committed(-1, "")
        topics = [
            (topic, [(index, *offsets.get(TopicPartition(topic, index), nothing), 0) for index in partitions])
            for topic, partitions in wanted
        ]
        answer(request.RESPONSE_TYPE(0, topics, 0))

    # ---- transactions ------------------------------------------------------------------------------------------------

    def _init_producer(self, request: Any, answer: Answer) -> None:
        if request.transactional_id is None:
            answer(request.RESPONSE_TYPE(0, 0, self.transactions.new_producer(), 0))
            return
        timeout = request.transaction_timeout_ms / 1000
        answer(request.RESPONSE_TYPE(0, *self.transactions.init(request.transactional_id, timeout)))

    def _add_partitions(self, request: Any, answer: Answer) -> None:
        wanted = [TopicPartition(topic, index) for topic, partitions in request.topics for index in partitions]
        error = self.transactions.add(
            request.transactional_id, request.producer_id, request.producer_epoch, wanted, None
        )
        answer(self.refuse(request, error))

    def _add_offsets(self, request: Any, answer: Answer) -> None:
        error = self.transactions.add(
            request.transactional_id, request.producer_id, request.producer_epoch, [], request.group_id
        )
        answer(self.refuse(request, error))

    def _commit_offsets(self, request: Any, answer: Answer) -> None:
        error = self.transactions.may_commit_offsets(
            request.transactional_id, request.producer_id, request.producer_epoch, request.group_id
        )
        if not error:
            self.groups.commit_later(request.group_id, request.producer_id, _offsets(request.topics))
        answer(self.refuse(request, error))

    def _end_transaction(self, request: Any, answer: Answer) -> None:
        error = self.transactions.end(
            request.transactional_id,
            request.producer_id,
            request.producer_epoch,
            commit=bool(request.transaction_result),
        )
        answer(self.refuse(request, error))


def _offsets(topics: list[tuple[str, list[tuple[int, int, str]]]]) -> dict[TopicPartition, Committed]:
    return {
        TopicPartition(topic, partition): Committed(offset, metadata or "")
        for topic, partitions in topics
        for partition, offset, metadata in partitions
    }


_HANDLERS: Final[dict[int, Callable[[Cluster, Any, Answer], None]]] = {
    0: Cluster._produce,
    1: Cluster._fetch,
    2: Cluster._list_offsets,
    3: Cluster._metadata,
    8: Cluster._commit,
    9: Cluster._fetch_offsets,
    10: Cluster._find_coordinator,
    11: Cluster._join,
    12: Cluster._heartbeat,
    13: Cluster._leave,
    14: Cluster._sync,
    15: Cluster._describe,
    18: Cluster._versions,
    19: Cluster._create_topics,
    22: Cluster._init_producer,
    24: Cluster._add_partitions,
    25: Cluster._add_offsets,
    26: Cluster._end_transaction,
    28: Cluster._commit_offsets,
}


def _each_partition(request: Any, code: int) -> list[tuple[str, list[tuple[int, int]]]]:
    return [
        (topic, [(each[0] if isinstance(each, tuple) else each, code) for each in partitions])
        for topic, partitions in request.topics
    ]


#: How each kind of request is answered with an error code alone.
_REFUSALS: Final[dict[int, Callable[[Any, int], Any]]] = {
    0: lambda request, code: request.RESPONSE_TYPE(
        [(topic, [(each[0], code, -1, -1) for each in partitions]) for topic, partitions in request.topics], 0
    ),
    8: lambda request, code: request.RESPONSE_TYPE(0, _each_partition(request, code)),
    9: lambda request, code: request.RESPONSE_TYPE(0, [], code),
    10: lambda request, code: request.RESPONSE_TYPE(0, code, None, -1, "", -1),
    11: lambda request, code: request.RESPONSE_TYPE(0, code, -1, "", "", request.member_id, []),
    12: lambda request, code: request.RESPONSE_TYPE(0, code),
    13: lambda request, code: request.RESPONSE_TYPE(0, code),
    14: lambda request, code: request.RESPONSE_TYPE(0, code, b""),
    22: lambda request, code: request.RESPONSE_TYPE(0, code, -1, -1),
    24: lambda request, code: request.RESPONSE_TYPE(0, _each_partition(request, code)),
    25: lambda request, code: request.RESPONSE_TYPE(0, code),
    26: lambda request, code: request.RESPONSE_TYPE(0, code),
    28: lambda request, code: request.RESPONSE_TYPE(0, _each_partition(request, code)),
}
