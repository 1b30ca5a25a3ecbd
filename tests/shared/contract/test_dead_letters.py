"""Every record has a dead letter that Kafka takes: else a reader would wait for ever to write it."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.cloud_events import header
from shared.contract.dead_letters import KEPT_BYTES, LARGEST_KEPT, LONGEST_REASON, OURS, dead_letter
from shared.contract.topics import MAX_MESSAGE_BYTES

WHERE = ("hospital.rows.express", 3, 7)
LARGE = MAX_MESSAGE_BYTES - 600


def fits(letter):
    """Kafka's client counts the record, the broker its batch."""
    key, value, headers = letter
    size = DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, headers)
    return size <= MAX_MESSAGE_BYTES and (key is not None or value is not None)


some_bytes = st.one_of(st.none(), st.binary(max_size=20), st.integers(0, LARGE).map(lambda size: b"x" * size))
names = st.one_of(st.sampled_from(sorted(OURS)), st.text(max_size=20))


@given(some_bytes, some_bytes, st.lists(st.tuples(names, st.binary(max_size=30)), max_size=9), st.text())
def test_any_record_has_one_that_kafka_takes(key, value, headers, reason):
    """However large it is, whatever its headers are called, and whatever the reason quotes."""
    assert fits(dead_letter(key, value, headers, WHERE, 50 * reason))


@pytest.mark.parametrize("large", ["key", "value", "header"])
def test_what_is_too_large_to_be_copied_is_shortened_and_says_so(large):
    """It is still at its own place."""
    filling = b"x" * LARGE
    parts = {"key": b"k", "value": b"v", large: filling}
    headers = [("ce_type", filling)] if large == "header" else []
    key, value, said = letter = dead_letter(parts["key"], parts["value"], headers, WHERE, "not JSON")
    assert fits(letter)
    assert (key, value) == tuple(parts[name][:KEPT_BYTES] for name in ("key", "value"))
    assert int(header(said, "shortened_from")) > LARGEST_KEPT
    assert tuple(header(said, name) for name in ("topic", "partition", "offset")) == ("hospital.rows.express", "3", "7")


def test_many_headers_with_our_names_are_counted_as_they_are_written():
    """Each becomes longer by `original-`: a record that just fitted would not fit any more."""
    count = 60_000
    letter = dead_letter(b"k", b"v", [("offset", b"1")] * count, WHERE, "not JSON")
    assert fits(letter)


def test_a_record_with_neither_key_nor_value_has_one():
    """Kafka's client refuses to write such a record."""
    assert dead_letter(None, None, [], WHERE, "no value")[:2] == (None, b"")
    assert dead_letter(b"job:3", None, [], WHERE, "no value")[:2] == (b"job:3", None)


def test_a_reason_that_quotes_the_record_breaks_no_line():
    """It is printed, a line for each."""
    assert header(dead_letter(None, b"", [], WHERE, "a\nb\x1b[31m\ud800")[2], "reason") == "a b [31m "


def test_a_reason_that_quotes_all_of_the_record_is_cut():
    """A list of dead letters shows one a line."""
    assert header(dead_letter(None, b"", [], WHERE, "x" * LARGE)[2], "reason") == "x" * LONGEST_REASON
