"""The order in which a lane's rows are sent."""

from services.processor.lane.row import State
from services.processor.lane.row_queue import RowQueue
from tests.support.processor.lane_doubles import accepted, make_row

TOPIC = "rows"


def waiting(*numbers: int) -> tuple[RowQueue, list]:
    rows = [make_row(accepted(number)) for number in numbers]
    queue = RowQueue([TOPIC])
    for row in rows:
        queue.append(row)
    return queue, rows


def test_fresh_rows_go_before_retries():
    """A row that fails for itself must not keep the others waiting."""
    queue, (first, second) = waiting(2, 3)
    queue.take(first)
    queue.append_retry(first)
    assert list(queue.heads(TOPIC)) == [second, first]


def test_what_was_not_sent_is_retried_before_what_failed():
    """Nothing went wrong with it."""
    queue = RowQueue([TOPIC])
    failed, not_sent = make_row(accepted(2)), make_row(accepted(3))
    queue.append_retry(failed)
    queue.append_retry(not_sent, front=True)
    assert list(queue.heads(TOPIC)) == [not_sent]


def test_rows_that_are_not_ready_any_more_are_skipped():
    """Cancelled, or in doubt."""
    queue, (gone, there) = waiting(2, 3)
    gone.state = State.DONE
    assert list(queue.heads(TOPIC)) == [there]
    there.state = State.DONE
    assert list(queue.heads(TOPIC)) == []
    assert queue.last_within(TOPIC, 5) is None


def test_a_horizon_has_to_cover_the_furthest_place_of_the_next_rows():
    """Of so many fresh rows, and of as many retries, which may be anywhere."""
    queue, rows = waiting(2, 3, 4, 5)
    assert queue.last_within(TOPIC, 2) is rows[1].place
    assert queue.last_within(TOPIC, 9) is rows[3].place
    far = make_row(accepted(9))
    queue.append_retry(far)
    assert queue.last_within(TOPIC, 2) is far.place
