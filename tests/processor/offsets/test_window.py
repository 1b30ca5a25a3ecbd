"""The window: rows finish in any order, and no commit says more than is true."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.processor.offsets.watermark import EVERYTHING, MAX_METADATA_BYTES, Watermark, read_watermark
from services.processor.offsets.window import Place, Window

FULL = 20_000


class WindowMachine(RuleBasedStateMachine):
    """A topic with gaps, a window over it, and a broker that keeps every commit."""

    @initialize(start=st.integers(0, 5))
    def begin(self, start: int) -> None:
        self.log: list[int] = []
        self.end = start
        self.finished: set[int] = set()
        self.unfinished: dict[int, Place] = {}
        self.window = Window(Watermark(start, start))
        self.commits = [(Watermark(start, start), frozenset[int]())]

    @rule(gap=st.integers(0, 50), count=st.integers(1, 20))
    def write(self, gap: int, count: int) -> None:
        """Records come behind a gap: aborted ones, or a transaction's marker."""
        self.end += gap
        self.log += range(self.end, self.end + count)
        self.end += count

    @rule(count=st.integers(1, 30))
    def deliver(self, count: int) -> None:
        coming = [offset for offset in self.log if offset >= self.window.position][:count]
        for offset in coming:
            place = self.window.admit(offset)
            assert (place is None) == (offset in self.finished), "what was done is not handed out again, all else is"
            if place is not None:
                self.unfinished[offset] = place

    @rule()
    def pass_what_is_never_delivered(self) -> None:
        following = [offset for offset in self.log if offset >= self.window.position]
        self.window.moved_to(following[0] if following else self.end)

    @precondition(lambda self: self.unfinished)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(self.unfinished)))
        self.window.finish(self.unfinished.pop(offset))
        self.finished.add(offset)

    @rule()
    def commit(self) -> None:
        self.commits.append((self.window.watermark(), frozenset(self.finished)))

    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """Whichever commit the broker kept last: results and watermark are those of one moment."""
        mark, finished = data.draw(st.sampled_from(self.commits[-5:]))
        self.window = Window(read_watermark(mark.offset, mark.metadata()))
        self.finished, self.unfinished = set(finished), {}
        self.commits = [(mark, finished)]

    @invariant()
    def no_watermark_lies_about_a_row(self) -> None:
        mark = self.window.watermark()
        assert all(offset in self.finished for offset in self.log if offset < mark.offset)
        behind = [offset for offset in self.log if offset >= mark.offset]
        said_done = {offset for number, offset in enumerate(behind) if mark.done >> number & 1}
        assert said_done == {offset for offset in behind if offset in self.finished}
        assert mark.done.bit_length() <= max(mark.delivered, 0)
        assert read_watermark(mark.offset, mark.metadata()) == mark

    @invariant()
    def what_it_counts_is_what_it_holds(self) -> None:
        assert self.window.unfinished == len(self.unfinished)
        assert self.window.offset <= self.window.position


TestWindow = WindowMachine.TestCase
TestWindow.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize(
    "is_done",
    [
        pytest.param(lambda number: number > 0, id="all but the first"),
        pytest.param(lambda number: number == FULL - 1, id="only the last"),
        pytest.param(lambda number: number % 2 == 1, id="every other"),
        pytest.param(lambda number: (number * 2_654_435_761) % 7 in (1, 3, 4), id="without a pattern"),
    ],
)
def test_the_metadata_of_a_full_window_is_small_enough(is_done):
    """The broker refuses more than 4,096 bytes, and the producer is dead for good. Offsets are as large as can be."""
    start = EVERYTHING - 900_000
    window = Window(Watermark(start, EVERYTHING - 1))
    places = [window.admit(start + 40 * number) for number in range(FULL)]
    for number, place in enumerate(places):
        if number and is_done(number):
            window.finish(place)
    text = window.watermark(released=True).metadata()
    assert len(text.encode()) <= MAX_METADATA_BYTES
    assert read_watermark(start, text) == window.watermark(released=True)


def test_aborted_records_take_no_room_in_the_bitmap():
    """[run] With bits by offset, 40,000 aborted records inside a window made metadata that the broker refused."""
    window = Window(Watermark(0, 0))
    window.admit(0)
    window.finish(window.admit(40_001))
    mark = window.watermark()
    assert (mark.offset, mark.delivered, mark.done) == (0, 2, 0b10)
    assert len(mark.metadata()) < 60


marks = st.builds(
    Watermark,
    offset=st.integers(0, 2**62),
    horizon=st.integers(0, 2**62),
    delivered=st.integers(0, FULL),
    done=st.integers(0, 2**200),
    released=st.booleans(),
)


@given(mark=marks, where=st.integers(0), byte=st.integers(0, 127))
def test_metadata_with_one_wrong_byte_means_all_in_doubt(mark, where, byte):
    """Never "none": that would send rows twice."""
    text = mark.metadata()
    where %= len(text)
    damaged = text[:where] + chr(byte) + text[where + 1 :]
    read = read_watermark(mark.offset, damaged)
    if damaged != text:
        assert read == Watermark(mark.offset, EVERYTHING)
        assert not read.released


@given(mark=marks, kept=st.integers(0))
def test_metadata_that_is_cut_off_means_all_in_doubt(mark, kept):
    """Also when nothing is left of it, as after a tool has moved the group's offset."""
    text = mark.metadata()
    assert read_watermark(mark.offset, text[: kept % len(text)]) == Watermark(mark.offset, EVERYTHING)


@given(text=st.text())
def test_metadata_of_strangers_means_all_in_doubt(text):
    """Whatever stands there."""
    assert read_watermark(7, text) == Watermark(7, EVERYTHING)


def test_metadata_with_a_sound_checksum_over_nonsense_means_all_in_doubt():
    """A bitmap that is no base64."""
    body = "v1:-:5:1:A"
    assert read_watermark(3, f"{body}:{zlib.crc32(body.encode()):08x}") == Watermark(3, EVERYTHING)


def test_a_row_finishes_once():
    """It has one result: a second finish is an error of the caller, behind the watermark too."""
    window = Window(Watermark(0, 0))
    first, second = window.admit(0), window.admit(1)
    window.finish(second)
    with pytest.raises(ValueError, match="offset 1 is done already"):
        window.finish(second)
    window.finish(first)
    with pytest.raises(ValueError, match="offset 0 is done already"):
        window.finish(first)


def test_a_record_of_an_old_delivery_is_refused():
    """A row polled again would otherwise be sent again."""
    window = Window(Watermark(5, 5))
    window.admit(7)
    with pytest.raises(ValueError, match="offset 7 was delivered before 8"):
        window.admit(7)


def test_a_restored_horizon_holds_until_everything_below_it_is_delivered():
    """Rows that the last owner may have sent are in doubt before they are seen."""
    window = Window(Watermark(0, 10))
    window.finish(window.admit(0))
    window.shrink_horizon(iter(()))
    assert window.horizon == 10, "an idle lane would otherwise forget what it has not seen yet"
    last = window.admit(9)
    assert window.is_in_doubt(last)
    assert not window.is_in_doubt(window.admit(10))
    window.shrink_horizon(iter((last,)))
    assert window.horizon == 10


def test_the_horizon_of_an_idle_lane_is_its_offset():
    """Nothing is under way: nothing is in doubt after a crash."""
    window = Window(Watermark(0, 0))
    place = window.admit(4)
    window.extend_horizon(place)
    assert window.watermark().horizon == 5
    window.finish(place)
    window.moved_to(6)
    window.shrink_horizon(iter(()))
    assert window.watermark() == Watermark(6, 6)


def test_the_consumer_never_moves_a_window_back():
    """A position from before a seek says nothing."""
    window = Window(Watermark(8, 8))
    window.moved_to(3)
    assert window.position == 8
