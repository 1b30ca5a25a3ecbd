"""Events as CloudEvents 1.0 records in Kafka's binary mode."""

import json
from datetime import datetime

import pytest

from shared.contract.cloud_events import UndecodableEvent, UnknownEventType, decode, encode, header
from shared.contract.events import JobCancelRequested

EVENT = JobCancelRequested(tenant="north", job_id="j-1", round=2, occurred_at="2026-03-02T09:00:00.5+01:00")
NAMED = [("ce_type", b"JobCancelRequested")]


def test_a_record_carries_the_required_attributes_of_cloud_events():
    """specversion, id, type and source are required; time, schema and content type are ours as well."""
    headers = dict(encode(EVENT, "status").headers)
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_id": b"j-1:JobCancelRequested:2",
        "ce_type": b"JobCancelRequested",
        "ce_source": b"/hospital-bulk/status",
        "ce_time": headers["ce_time"],
        "ce_dataschema": b"urn:hospital-bulk:schemas:v1/JobCancelRequested.json",
        "content-type": b"application/json",
    }
    assert datetime.fromisoformat(headers["ce_time"].decode()) == EVENT.occurred_at


def test_a_record_is_keyed_and_its_value_is_plain_json():
    """A consumer needs no library of ours."""
    fields = encode(EVENT, "status").fields()
    assert fields["key"] == b"j-1"
    assert json.loads(fields["value"])["round"] == 2
    assert set(fields) == {"key", "value", "headers"}


def test_a_trace_travels_along_only_when_there_is_one():
    """An empty traceparent would be invalid."""
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert header(encode(EVENT, "status", traceparent).headers, "traceparent") == traceparent
    assert header(encode(EVENT, "status").headers, "traceparent") is None


@pytest.mark.parametrize("headers", [[], [("ce_type", b"HospitalBoughtAPony")], [("ce_type", None)]])
def test_a_type_that_this_version_does_not_know_is_told_apart(headers):
    """It may come from a newer version: a reader that does not need it skips it."""
    with pytest.raises(UnknownEventType, match="ce_type"):
        decode(headers, b"{}")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "without a value"),
        (b"", "Invalid JSON"),
        (b"{broken", "Invalid JSON"),
        (b"\xff\xfe", "JobCancelRequested"),
        (b"[]", "object"),
        (b"{}", "tenant: Field required"),
        (b'{"tenant": "t", "job_id": "j", "round": 0}', "round: "),
        (b'{"tenant": "t", "job_id": "j", "version": 2}', "version: "),
    ],
)
def test_a_value_that_is_not_the_event_is_undecodable_for_a_reason(value, reason):
    """The reason goes to the dead letters, so it names the field."""
    with pytest.raises(UndecodableEvent, match=reason) as refused:
        decode(NAMED, value)
    assert not isinstance(refused.value, UnknownEventType)


def test_the_reason_does_not_repeat_the_value():
    """Dead letters' headers and logs hold no phone numbers."""
    with pytest.raises(UndecodableEvent) as refused:
        decode(NAMED, b'{"tenant": "t", "job_id": "j", "round": "+353 21 496 1234"}')
    assert "1234" not in str(refused.value)


def test_a_header_that_is_not_text_counts_as_missing():
    """Anybody may write anything into a header."""
    assert header([("ce_type", b"\xff\xff")], "ce_type") is None
    assert header([("other", b"1")], "ce_type") is None
