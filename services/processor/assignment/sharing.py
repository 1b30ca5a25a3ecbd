"""Who gets which lanes: every processor tells what it has, and the leader of the group moves as few as it can.

Kafka asks one member, the leader, to share the partitions out. What the members say goes with their requests to join,
what the leader says with its answer. aiokafka's range assignor says nothing, and a lane's number decides who gets it.
Ours bears the same name and gives the same ranges to processors that have no lanes yet, so versions can be mixed.

    a member says     which lanes it wants to keep, which of them it holds, and whether it leaves
    the leader says   which of its new lanes another member still holds: that one will hand them over
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

VERSION: Final = 0

Lanes = frozenset[int]
NONE: Final[Lanes] = frozenset()


class LaneSharing(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """The assignor of one processor's consumer.

    `wanted` and `held` are asked whenever the group is joined: the lanes to keep, and those that nobody else may take
    over before we have handed them over.
    """

    name = "range"

    def __init__(self) -> None:
        self.wanted: Callable[[], Iterable[int]] = tuple
        self.held: Callable[[], Iterable[int]] = tuple
        #: Set when this processor is to stop: it gets no lanes then, if anybody else is there.
        self.leaves = False
        #: Whether the lanes that we were assigned last were shared out by a leader that has been told so.
        self.leaving_is_known = False
        self._told = False
        #: Of the lanes that we were assigned last: those that another processor is about to hand over.
        self.awaited: Lanes = NONE

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What we say when we join."""
        self._told = self.leaves
        says = {"wants": sorted(self.wanted()), "holds": sorted(self.held()), "leaves": self.leaves}
        return ConsumerProtocolMemberMetadata(VERSION, list(topics), json.dumps(says).encode())

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Shares the lanes out. By aiokafka's rule when topics or members differ: while an installation is updated."""
        topics = {tuple(sorted(member.subscription)) for member in members.values()}
        numbers = {tuple(sorted(cluster.partitions_for_topic(topic) or ())) for each in topics for topic in each}
        if len(topics) != 1 or len(numbers) != 1:
            return RangePartitionAssignor.assign(cluster, members)  # type: ignore[no-any-return]
        said = {member: _read(metadata.user_data) for member, metadata in members.items()}
        leaving = {member for member, says in said.items() if says.get("leaves")}
        staying = sorted(members.keys() - leaving) or sorted(members)
        shares = share_out(numbers.pop(), {member: _lanes(said[member], "wants") for member in staying})
        holds = {member: _lanes(says, "holds") for member, says in said.items()}
        [subscription] = topics
        return {
            member: _assignment(subscription, shares.get(member, []), _held_by_others(holds, member))
            for member in members
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """What the leader says."""
        self.awaited = _lanes(_read(assignment.user_data), "awaits")
        self.leaving_is_known = self._told


def share_out(lanes: Iterable[int], wanted: Mapping[str, Lanes]) -> dict[str, list[int]]:
    """As many lanes for everybody, or one more. Each keeps what it wants as far as that goes; the others get the rest.

    `wanted`: by member. Whoever has most may have one more. Nobody wants anything: the same as aiokafka's range.
    """
    free = dict.fromkeys(sorted(lanes))
    least, more = divmod(len(free), len(wanted))
    shares: dict[str, list[int]] = {}
    room: dict[str, int] = {}
    for place, member in enumerate(sorted(wanted, key=lambda each: (-len(wanted[each]), each))):
        room[member] = least + (place < more)
        shares[member] = [lane for lane in sorted(wanted[member]) if lane in free][: room[member]]
        for lane in shares[member]:
            del free[lane]
    rest = iter(free)
    for member in sorted(wanted):
        shares[member] += [next(rest) for _ in range(room[member] - len(shares[member]))]
    return {member: sorted(share) for member, share in shares.items()}


def _assignment(topics: tuple[str, ...], lanes: list[int], held: Lanes) -> ConsumerProtocolMemberAssignment:
    says = {"awaits": sorted(held.intersection(lanes))}
    return ConsumerProtocolMemberAssignment(VERSION, [(topic, lanes) for topic in topics], json.dumps(says).encode())


def _held_by_others(holds: Mapping[str, Lanes], member: str) -> Lanes:
    return NONE.union(*(lanes for other, lanes in holds.items() if other != member))


def _read(user_data: bytes | None) -> dict[str, Any]:
    """What somebody says; nothing when that is a client that we do not know."""
    try:
        says = json.loads(user_data or b"{}")
    except ValueError:
        return {}
    return says if isinstance(says, dict) else {}


def _lanes(says: Mapping[str, Any], what: str) -> Lanes:
    lanes = says.get(what, ())
    return frozenset(lanes) if isinstance(lanes, list) and all(isinstance(each, int) for each in lanes) else NONE
