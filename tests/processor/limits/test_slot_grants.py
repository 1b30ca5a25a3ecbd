"""A slot has one user at most, whatever happens to the records that give it away."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.processor.limits.rate_slots import RateSlots, SlotTime
from services.processor.limits.slot_grants import LONGEST_GRANT_SECONDS, Demand, SlotGrants
from shared.contract.events import BreakerState, LaneReport, ProcessorReported, RateSlotGrant, RateSlotsReport

SLOTS = RateSlots(10, 1.0)


class Process:
    """What one process reads, believes and writes. Its wall clock is `ahead` of the time in `now`, a list of one."""

    def __init__(self, name, now, ahead=0.0, unread=()):
        self.name, self.now, self.ahead, self.unread = name, now, ahead, list(unread)
        self.time = SlotTime(lambda: now[0], lambda: now[0] + self.ahead)
        self.grants = SlotGrants(SLOTS, name, self.time, 6, lambda: now[0])

    def read(self, count=None):
        for report in self.unread[:count]:
            self.grants.apply(report)
        del self.unread[:count]

    def report(self, *, wants=True):
        return reported(self.name, self.grants.report(Demand.LASTING if wants else Demand.NONE))

    def usable(self):
        """All slots that it would use from now on."""
        found, slot = [], SLOTS.usable_from(self.time.now())
        while (slot := self.grants.next_slot(slot)) is not None:
            found.append(slot)
            slot += 1
        return found


def reported(instance, slots=None, lanes=()):
    lanes = tuple(LaneReport(partition=lane) for lane in lanes)
    return ProcessorReported(instance=instance, breaker=BreakerState.CLOSED, lanes=lanes, rate_slots=slots)


def give(first, end, *to, time=1000.0):
    return RateSlotsReport(
        processor="giver", interval=SLOTS.interval, time=time, grant=RateSlotGrant(first=first, end=end, to=to)
    )


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["read", "read", "report", "report", "write", "write", "again", "time", "clock", "restart"]),
        st.integers(0, 2),
        st.floats(0, 1),
    ),
    max_size=60,
)


@given(ACTIONS)
@settings(max_examples=300)
def test_no_slot_has_two_users(actions):
    """Reports come late, again and in any order; clocks jump; processes start, and find the compacted topic."""
    now, topic, unwritten, users = [1000.0], [], [], {}
    processes = [Process(f"p{index}", now) for index in range(3)]

    def write(report):
        topic.append((now[0], report))
        for each in processes:
            each.unread.append(report)

    for number, (what, index, share) in enumerate(actions):
        process = processes[index]
        match what:
            case "read":
                process.read(round(share * len(process.unread)) + 1)
            case "report":
                unwritten.append(process.report(wants=share < 0.8))
            case "write" if unwritten:
                write(unwritten.pop(round(share * (len(unwritten) - 1))))
            case "again" if topic:
                write(topic[round(share * (len(topic) - 1))][1])
            case "time":
                now[0] += 8 * share
            case "clock":
                process.ahead = 20 * share - 10
            case "restart":
                kept = [report for at, report in topic if at > now[0] - LONGEST_GRANT_SECONDS]
                name = f"p{index}-{number}"
                processes[index] = Process(name, now, process.ahead, kept)
        for each in processes:
            for slot in each.usable():
                assert users.setdefault(slot, each.name) == each.name, f"slot {slot}"


def test_the_first_grant_of_a_slot_counts():
    """Of a later one what is left counts."""
    process = Process("me", [1000.0])
    first = SLOTS.at(1000.0) + 10
    process.grants.apply(reported("a", give(first + 2, first + 4, "other")))
    process.grants.apply(reported("b", give(first, first + 6, "me")))
    assert process.usable() == [first, first + 1, first + 4, first + 5]


def test_slots_go_to_all_in_turn():
    """By their number, so that short grants are fair too."""
    process = Process("me", [1000.0])
    process.grants.apply(reported("a", give(10_000, 10_008, "x", "me", "", "y")))
    assert process.usable() == [slot for slot in range(10_000, 10_008) if slot % 4 == 1]


def test_a_grant_of_the_far_future_keeps_nobody_from_sending():
    """Somebody's mistake, or another version's idea."""
    process = Process("me", [1000.0])
    for grant in (give(0, 2**50, "other"), give(2**50, 2**50 + 1, "other"), give(9600, 9700)):
        process.grants.apply(reported("giver", grant))
    process.grants.apply(process.report())
    assert process.usable()


def test_a_report_is_not_written_again_before_it_could_be_read():
    """Otherwise a topic that is read late would be filled."""
    now = [1000.0]
    process = Process("me", now)
    assert process.grants.is_urgent(Demand.LASTING)
    report = process.report()
    assert not process.grants.is_urgent(Demand.LASTING)
    now[0] += 1.01
    assert process.grants.is_urgent(Demand.LASTING)
    process.grants.apply(report)
    assert not process.grants.is_urgent(Demand.LASTING)
    now[0] += 2
    assert process.grants.is_urgent(Demand.LASTING), "the next slots have to be given away"


def test_one_that_has_no_work_any_more_says_so_at_once():
    """Its slots would be lost until its next report. While it may have more in a moment, it only gives none away."""
    process = Process("me", [1000.0])
    process.grants.apply(process.report())
    process.now[0] += 10
    assert process.grants.is_urgent(Demand.NEW)
    assert not process.grants.is_urgent(Demand.PAST)
    assert process.grants.is_urgent(Demand.NONE)
    process.grants.apply(reported("me", process.grants.report(Demand.NONE)))
    assert not process.grants.is_urgent(Demand.NONE)


def test_the_next_process_with_the_same_instance_id_is_another():
    """It uses nothing of what its predecessor was granted, and its predecessor gets no more."""
    now = [1000.0]
    former = Process("former", now)
    report = former.report()
    process = Process("me", now)
    process.grants.apply(reported("same", report.rate_slots))
    assert not process.usable()
    mine = reported("same", process.grants.report(Demand.LASTING))
    process.grants.apply(mine)
    assert process.grants.report(Demand.LASTING).grant is None
    now[0] += 3
    assert process.grants.report(Demand.LASTING).grant.to == ("me",)


def test_slot_time_never_goes_back():
    """It follows the wall clock ahead, and whatever it hears of."""
    now, wall = [0.0], [1000.0]
    time = SlotTime(lambda: now[0], lambda: wall[0])
    assert time.now() == 1000
    now[0], wall[0] = 1.0, 900.0
    assert time.now() == 1001
    time.heard(990.0)
    assert time.now() == 1001
    time.heard(1100.0)
    assert time.now() == 1100
    time.heard(9e10)
    assert time.now() == 1100, "nobody's mistake can put all others beyond what can be written"
    now[0], wall[0] = 2.0, 2000.0
    assert time.now() == 2000
