"""The order in which a lane's rows get their turn."""

from services.processor.lane.row import State
from services.processor.lane.row_queue import WaitingRows
from tests.support.processor.lane_doubles import accepted, make_row

TOPIC = "rows"


def waiting(*numbers: int) -> tuple[WaitingRows, list]:
    rows = [make_row(accepted(number)) for number in numbers]
    queue = WaitingRows([TOPIC])
    for row in rows:
        queue.append(row)
    return queue, rows


def test_fresh_rows_go_before_those_that_come_again():
    """A row that fails for itself must not keep the others waiting."""
    queue, (first, second) = waiting(2, 3)
    queue.take(first)
    queue.append_again(first)
    assert list(queue.first(TOPIC)) == [second, first]


def test_what_was_not_sent_through_nobodys_fault_comes_again_first():
    """Before those that failed."""
    queue = WaitingRows([TOPIC])
    failed, withheld = make_row(accepted(2)), make_row(accepted(3))
    queue.append_again(failed)
    queue.append_again(withheld, front=True)
    assert list(queue.first(TOPIC)) == [withheld]


def test_rows_that_are_elsewhere_by_now_are_passed_over():
    """Cancelled, or in doubt."""
    queue, (gone, there) = waiting(2, 3)
    gone.state = State.DONE
    assert list(queue.first(TOPIC)) == [there]
    there.state = State.DONE
    assert list(queue.first(TOPIC)) == []
    assert queue.last_within(TOPIC, 5) is None


def test_the_furthest_place_within_reach_is_what_a_horizon_has_to_cover():
    """Of the fresh rows as many as are within reach; of those that come again, which may lie anywhere, too."""
    queue, rows = waiting(2, 3, 4, 5)
    assert queue.last_within(TOPIC, 2) is rows[1].place
    assert queue.last_within(TOPIC, 9) is rows[3].place
    far = make_row(accepted(9))
    queue.append_again(far)
    assert queue.last_within(TOPIC, 2) is far.place
