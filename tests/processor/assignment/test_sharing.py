"""Who gets which lanes: as few move as can, nobody has two more than another, and what is still held is waited for."""

import json
from types import SimpleNamespace

import pytest
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

from services.processor.assignment.sharing import LaneSharing, share_out

TOPICS = ("express", "bulk", "jobs")
wishes = st.dictionaries(st.text(min_size=1, max_size=3), st.frozensets(st.integers(0, 40)), min_size=1, max_size=9)


@given(st.integers(1, 40), wishes)
def test_every_lane_has_one_owner_and_all_have_as_many(lanes, wanted):
    """Give or take one; whoever wants lanes gets none that do not exist."""
    shares = share_out(range(lanes), wanted)
    assert sorted(lane for share in shares.values() for lane in share) == list(range(lanes))
    sizes = {len(share) for share in shares.values()}
    assert max(sizes) - min(sizes) <= 1
    assert shares.keys() == wanted.keys()


@given(st.integers(1, 40), st.integers(1, 9))
def test_an_assignment_is_stable(lanes, members):
    """A rebalance for nothing moves nothing."""
    shares = share_out(range(lanes), dict.fromkeys((f"m{n}" for n in range(members)), frozenset()))
    assert share_out(range(lanes), {member: frozenset(share) for member, share in shares.items()}) == shares


def test_who_leaves_leaves_the_others_what_they_have():
    """Only its own lanes move."""
    assert share_out(range(6), {"a": frozenset({0, 1}), "c": frozenset({4, 5})}) == {"a": [0, 1, 2], "c": [3, 4, 5]}


def test_who_comes_gets_one_from_each():
    """And nothing moves between the others."""
    wanted = {"a": frozenset({0, 1, 2}), "b": frozenset({3, 4, 5}), "c": frozenset()}
    assert share_out(range(6), wanted) == {"a": [0, 1], "b": [3, 4], "c": [2, 5]}


def cluster(**partitions):
    return SimpleNamespace(partitions_for_topic=lambda topic: set(range(partitions.get(topic, 6))))


def member(topics=TOPICS, **says):
    return ConsumerProtocolMemberMetadata(0, list(topics), json.dumps(says).encode())


def assigned(answers):
    return {name: dict(answer.assignment) for name, answer in answers.items()}


def of_all(*lanes):
    return {topic: [*lanes] for topic in TOPICS}


def awaited(answers):
    found = {}
    for name, answer in answers.items():
        sharing = LaneSharing()
        sharing.on_assignment(answer)
        found[name] = sharing.awaited
    return found


def test_all_topics_of_a_lane_have_one_owner():
    """A lane is one index of all of them."""
    answers = LaneSharing().assign(cluster(), {"a": member(wants=[5]), "b": member(wants=[0, 1])})
    assert assigned(answers) == {
        "a": of_all(2, 3, 5),
        "b": of_all(0, 1, 4),
    }


def test_what_another_member_holds_is_waited_for():
    """It hands it over. What nobody holds has an owner that is gone: its lease is all that there is to wait for."""
    members = {"a": member(wants=[0, 1, 2, 3], holds=[0, 1, 2, 3]), "b": member(wants=[], holds=[])}
    answers = LaneSharing().assign(cluster(), members)
    assert assigned(answers)["b"]["bulk"] == [3, 4, 5]
    assert awaited(answers) == {"a": frozenset(), "b": frozenset({3})}


def test_who_leaves_gets_nothing_and_is_waited_for():
    """It goes on with its lanes until then."""
    members = {
        "a": member(wants=[0, 1, 2], holds=[0, 1, 2], leaves=True),
        "b": member(wants=[3, 4, 5], holds=[3, 4, 5]),
    }
    answers = LaneSharing().assign(cluster(), members)
    assert assigned(answers) == {"a": of_all(), "b": of_all(0, 1, 2, 3, 4, 5)}
    assert awaited(answers) == {"a": frozenset(), "b": frozenset({0, 1, 2})}


def test_who_leaves_last_keeps_its_lanes():
    """Nobody else could have them."""
    answers = LaneSharing().assign(cluster(), {"a": member(wants=[0], holds=[0], leaves=True)})
    assert assigned(answers)["a"]["bulk"] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("members", "partitions"),
    [
        ({"a": member(), "b": member(TOPICS[:2])}, {}),
        ({"a": member(), "b": member()}, {"bulk": 9}),
    ],
    ids=["one of 0.1.0, which does not read hospital.jobs here", "a topic that has grown"],
)
def test_while_an_installation_changes_it_is_aiokafkas_range(members, partitions):
    """What each version expects of the other."""
    expected = RangePartitionAssignor.assign(cluster(**partitions), members)
    assert assigned(LaneSharing().assign(cluster(**partitions), members)) == assigned(expected)


@pytest.mark.parametrize("user_data", [None, b"", b"\xff", b"[]", b'{"wants": 3, "holds": ["x"]}'])
def test_a_member_that_says_nothing_we_know_wants_nothing(user_data):
    """It is another client, or another version: it gets its share, as aiokafka's range would give it."""
    strange = ConsumerProtocolMemberMetadata(0, list(TOPICS), user_data)
    answers = LaneSharing().assign(cluster(), {"a": strange, "b": strange})
    assert assigned(answers) == assigned(RangePartitionAssignor.assign(cluster(), {"a": strange, "b": strange}))
    assert set(awaited(answers).values()) == {frozenset()}
    sharing = LaneSharing()
    sharing.on_assignment(strange)
    assert sharing.awaited == frozenset()
