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


def numbers(queue: RowQueue, count: int) -> list[int]:
    """The next so many rows, taken."""
    taken = []
    for _ in range(count):
        row = next(queue.heads(TOPIC))
        queue.take(row)
        row.state = State.IN_FLIGHT
        taken.append(row.event.row)
    return taken


def test_after_a_skip_rows_are_taken_from_both_sides_of_another_place():
    """What the directory cannot take often stands together, and what it can take too."""
    queue, rows = waiting(*range(100, 200))
    assert numbers(queue, 1) == [100]
    queue.skip_ahead(TOPIC)
    assert numbers(queue, 5) == [161, 162, 160, 163, 159]
    assert queue.last_within(TOPIC, 3) is rows[66].place
    late = make_row(accepted(300))
    queue.append(late)
    assert sorted(numbers(queue, 95)) == [*range(101, 159), *range(164, 200), 300]
    assert not queue.any(TOPIC)
    assert queue.last_within(TOPIC, 3) is None


def test_skips_soon_find_a_small_part_that_the_directory_takes():
    """One row in ten, wherever they stand together."""
    for first in range(0, 100, 10):
        queue, rows = waiting(*range(2, 102))
        good = set(rows[first : first + 10])
        skips = 0
        while next(queue.heads(TOPIC)) not in good:
            queue.skip_ahead(TOPIC)
            skips += 1
        assert skips <= 12


def test_a_probe_is_a_fresh_row_or_else_the_retry_that_failed_least():
    """Wherever it stands among the retries."""
    queue, (fresh,) = waiting(2)
    worst, least = make_row(accepted(3), backoff_count=3), make_row(accepted(4), backoff_count=1)
    queue.append_retry(worst)
    queue.append_retry(least)
    assert queue.probes(TOPIC) == [fresh]
    queue.take(fresh)
    assert queue.probes(TOPIC) == [least, worst]
    queue.take(least)
    assert list(queue.heads(TOPIC)) == [worst]
