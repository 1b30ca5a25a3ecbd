"""The group coordinator: members, generations, rebalances as of Kafka's classic protocol, and committed offsets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from aiokafka import TopicPartition

NONE = 0
ILLEGAL_GENERATION = 22
INCONSISTENT_GROUP_PROTOCOL = 23
UNKNOWN_MEMBER_ID = 25
REBALANCE_IN_PROGRESS = 27

#: Runs something after so many seconds.
Later = Callable[[float, Callable[[], None]], None]


class Committed(NamedTuple):
    """A committed offset with its metadata."""

    offset: int
    metadata: str


class Joined(NamedTuple):
    """The answer to JoinGroup."""

    error: int
    generation: int
    protocol: str
    leader: str
    member: str
    members: list[tuple[str, bytes]]


@dataclass
class _Member:
    """A member. `joining` and `syncing` answer its open requests."""

    session: float
    rebalance: float
    protocols: list[tuple[str, bytes]]
    joining: Callable[[Joined], None] | None = None
    syncing: Callable[[int, bytes], None] | None = None
    #: Counts signs of life, so that a timer knows whether there was one since.
    seen: int = 0
    assignment: bytes = b""


class _State(Enum):
    EMPTY = auto()
    JOINING = auto()
    SYNCING = auto()
    STABLE = auto()


@dataclass
class Group:
    """One group."""

    members: dict[str, _Member] = field(default_factory=dict)
    generation: int = 0
    state: _State = _State.EMPTY
    leader: str = ""
    offsets: dict[TopicPartition, Committed] = field(default_factory=dict)
    #: Offsets of transactions that have not ended, by producer.
    pending: dict[int, dict[TopicPartition, Committed]] = field(default_factory=dict)
    _joins: int = 0


class Groups:
    """All groups. `initial_delay`: how long the first member of an empty group waits for others, in seconds."""

    def __init__(self, later: Later, initial_delay: float) -> None:
        self._later = later
        self._initial_delay = initial_delay
        self._groups: dict[str, Group] = {}
        self._next_member = 0

    def group(self, name: str) -> Group:
        """The group of that name."""
        return self._groups.setdefault(name, Group())

    def forget(self, name: str) -> None:
        """The group's offsets are gone, as after `offsets.retention.minutes`."""
        self.group(name).offsets.clear()

    # ---- offsets -----------------------------------------------------------------------------------------------------

    def commit(self, name: str, generation: int, member: str, offsets: dict[TopicPartition, Committed]) -> int:
        """OffsetCommit. An error code."""
        group = self.group(name)
        if generation < 0 and not member and not group.members:
            group.offsets.update(offsets)
            return NONE
        if error := self._check(group, generation, member):
            return error
        self._alive(group, member)
        if group.state is _State.SYNCING:
            return REBALANCE_IN_PROGRESS
        group.offsets.update(offsets)
        return NONE

    def commit_later(self, name: str, producer_id: int, offsets: dict[TopicPartition, Committed]) -> None:
        """TxnOffsetCommit: they count when the transaction is committed."""
        self.group(name).pending.setdefault(producer_id, {}).update(offsets)

    def end_transaction(self, name: str, producer_id: int, commit: bool) -> None:
        """The transaction's marker: its offsets count, or are dropped."""
        group = self.group(name)
        offsets = group.pending.pop(producer_id, {})
        if commit:
            group.offsets.update(offsets)

    # ---- members -----------------------------------------------------------------------------------------------------

    def join(
        self,
        name: str,
        member: str,
        session: float,
        rebalance: float,
        protocols: list[tuple[str, bytes]],
        answer: Callable[[Joined], None],
    ) -> None:
        """JoinGroup: answered when all members have joined, or their time is up."""
        group = self.group(name)
        if member and member not in group.members:
            answer(Joined(UNKNOWN_MEMBER_ID, -1, "", "", member, []))
            return
        if not member:
            self._next_member += 1
            member = f"member-{self._next_member}"
        known = group.members.setdefault(member, _Member(session, rebalance, protocols))
        same = known.protocols == protocols
        known.session, known.rebalance, known.protocols = session, rebalance, protocols
        if group.state is _State.STABLE and same and known.seen and member != group.leader:
            answer(self._joined(group, member))  # its answer was lost, and nothing has changed
            return
        known.joining = answer
        if group.state is not _State.JOINING:
            self._rebalance(group)
        self._complete_if_all_joined(group)

    def _rebalance(self, group: Group) -> None:
        first = group.state is _State.EMPTY
        group.state = _State.JOINING
        group._joins += 1
        joins = group._joins
        for member in group.members.values():
            if member.syncing is not None:
                syncing, member.syncing = member.syncing, None
                syncing(REBALANCE_IN_PROGRESS, b"")
        longest = max((member.rebalance for member in group.members.values()), default=0.0)
        self._later(self._initial_delay if first else longest, lambda: self._time_is_up(group, joins))
        if first:
            group.leader = ""

    def _time_is_up(self, group: Group, joins: int) -> None:
        if group.state is _State.JOINING and group._joins == joins:
            self._complete(group)

    def _complete_if_all_joined(self, group: Group) -> None:
        waiting_for_first = group.generation == 0 or not group.leader
        everybody = all(member.joining is not None for member in group.members.values())
        if group.state is _State.JOINING and everybody and not waiting_for_first:
            self._complete(group)

    def _complete(self, group: Group) -> None:
        group.members = {name: member for name, member in group.members.items() if member.joining is not None}
        group.generation += 1
        if not group.members:
            group.state, group.leader = _State.EMPTY, ""
            return
        group.state = _State.SYNCING
        if group.leader not in group.members:
            group.leader = next(iter(group.members))
        for name, member in group.members.items():
            answer, member.joining = member.joining, None
            if answer is not None:
                answer(self._joined(group, name))
            self._alive(group, name)

    def _joined(self, group: Group, member: str) -> Joined:
        protocol = group.members[group.leader].protocols[0][0]
        everybody = [(name, each.protocols[0][1]) for name, each in group.members.items()]
        return Joined(
            NONE, group.generation, protocol, group.leader, member, everybody if member == group.leader else []
        )

    def sync(
        self,
        name: str,
        generation: int,
        member: str,
        assignments: dict[str, bytes],
        answer: Callable[[int, bytes], None],
    ) -> None:
        """SyncGroup: answered when the leader has told who gets what."""
        group = self.group(name)
        if error := self._check(group, generation, member):
            answer(error, b"")
            return
        self._alive(group, member)
        match group.state:
            case _State.JOINING:
                answer(REBALANCE_IN_PROGRESS, b"")
            case _State.STABLE:
                answer(NONE, group.members[member].assignment)
            case _:
                group.members[member].syncing = answer
                if member == group.leader:
                    self._assign(group, assignments)

    def _assign(self, group: Group, assignments: dict[str, bytes]) -> None:
        group.state = _State.STABLE
        for name, member in group.members.items():
            member.assignment = assignments.get(name, b"")
            syncing, member.syncing = member.syncing, None
            if syncing is not None:
                syncing(NONE, member.assignment)

    def heartbeat(self, name: str, generation: int, member: str) -> int:
        """Heartbeat. An error code."""
        group = self.group(name)
        if error := self._check(group, generation, member):
            return error
        self._alive(group, member)
        return REBALANCE_IN_PROGRESS if group.state is _State.JOINING else NONE

    def leave(self, name: str, member: str) -> int:
        """LeaveGroup. An error code."""
        group = self.group(name)
        if member not in group.members:
            return UNKNOWN_MEMBER_ID
        self._remove(group, member)
        return NONE

    def _check(self, group: Group, generation: int, member: str) -> int:
        if member not in group.members:
            return UNKNOWN_MEMBER_ID
        return NONE if generation == group.generation else ILLEGAL_GENERATION

    def _alive(self, group: Group, member: str) -> None:
        known = group.members[member]
        known.seen += 1
        seen = known.seen

        def expire() -> None:
            if group.members.get(member) is known and known.seen == seen and known.joining is None:
                self._remove(group, member)

        self._later(known.session, expire)

    def _remove(self, group: Group, member: str) -> None:
        gone = group.members.pop(member)
        if gone.joining is not None:
            gone.joining(Joined(UNKNOWN_MEMBER_ID, -1, "", "", member, []))
        if gone.syncing is not None:
            gone.syncing(UNKNOWN_MEMBER_ID, b"")
        if not group.members:
            group.generation += 1
            group.state, group.leader = _State.EMPTY, ""
        elif group.state is _State.JOINING:
            self._complete_if_all_joined(group)
        else:
            self._rebalance(group)
