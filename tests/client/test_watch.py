"""A job is followed to its end, over streams that break and services that have none."""

import json

import httpx
import pytest

from client.api import Api, open_client
from client.errors import NoAnswer, Refused
from client.retry import RetryPolicy
from client.watch import ConnectionLost, JobWatch
from tests.client.fake_service import JOB_ID, ended, job


class Script:
    """Answers to the two questions in order, the last one again and again; what was asked is kept."""

    def __init__(self, states, streams=()):
        self.states, self.streams = list(states), list(streams)
        self.requests: list[httpx.Request] = []

    def answer(self, request):
        self.requests.append(request)
        answers = self.streams if request.url.path.endswith("/events") else self.states
        given = answers.pop(0) if len(answers) > 1 else answers[0] if answers else httpx.Response(404, json={})
        if isinstance(given, Exception):
            raise given
        return given if isinstance(given, httpx.Response) else httpx.Response(200, json=given)

    def resumed(self):
        """The Last-Event-ID of each stream that was asked for."""
        return [each.headers.get("last-event-id") for each in self.requests if each.url.path.endswith("/events")]


class Stream(httpx.SyncByteStream):
    """Events, and then its end: a good one or a broken connection."""

    def __init__(self, *events, breaks=False):
        self.events, self.breaks = events, breaks

    def __iter__(self):
        yield b": here\n\n"
        for number, data in self.events:
            text = data if isinstance(data, str) else json.dumps(data)
            yield f"id: {number}\nevent: progress\ndata: {text}\n\n".encode()
        if self.breaks:
            raise httpx.ReadError("broken")


def stream(*events, breaks=False):
    return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=Stream(*events, breaks=breaks))


def watched(script, seconds=120.0):
    """All updates of the job, as counts of hospitals or the words of an error."""
    now = [0.0]

    def sleep(duration):
        now[0] += duration

    policy = RetryPolicy(seconds=seconds, sleep=sleep, clock=lambda: now[0])
    with open_client("http://hospital.example", None, httpx.MockTransport(script.answer)) as client:
        updates = list(JobWatch(Api(client, policy), JOB_ID).updates())
    return [str(each.error) if isinstance(each, ConnectionLost) else each.processed_hospitals for each in updates]


def at(processed):
    return job(processed_hospitals=processed)


def test_events_are_updates_until_the_job_has_ended():
    """Its end is asked for once more, in full."""
    script = Script([at(0), ended()], [stream((1, at(10)), (2, at(20)), (3, ended()))])
    assert watched(script) == [0, 10, 20, 40]
    assert len(script.requests) == 3


def test_a_stream_that_breaks_is_resumed_where_it_broke():
    """After the last event that was seen."""
    script = Script(
        [at(0), ended()], [stream((1, at(10)), (2, at(20)), breaks=True), stream((3, at(30)), (4, ended()))]
    )
    [*updates, last] = watched(script)
    assert updates[:3] == [0, 10, 20]
    assert "broke" in updates[3]
    assert (updates[4:], last) == ([30], 40)
    assert script.resumed() == [None, "2"]


def test_a_stream_that_the_server_ends_is_asked_for_again():
    """It ends those of slow readers, and all when it stops."""
    script = Script([at(0), ended()], [stream((1, at(10))), stream((2, ended()))])
    assert watched(script) == [0, 10, 40]
    assert script.resumed() == [None, "1"]


@pytest.mark.parametrize(
    "none",
    [httpx.Response(404, json={"detail": "Not Found"}), httpx.Response(200, text="<html>"), stream()],
    ids=["no such path", "no stream", "an empty one"],
)
def test_without_a_stream_it_asks_again_and_again(none):
    """A service or a proxy that knows no event streams is no hindrance."""
    script = Script([at(0), at(10), at(10), at(20), ended()], [none])
    assert watched(script) == [0, 10, 10, 20, 40]
    assert len(script.resumed()) == 1


def test_an_event_without_the_job_makes_us_ask():
    """Its shape may change; that something has changed is what counts."""
    script = Script([at(0), at(10), ended()], [stream((1, {"changed": True}), (2, "more"))])
    assert watched(script) == [0, 10, 40]


def test_a_service_that_is_away_for_a_while_is_waited_for():
    """Each failure is reported."""
    away = httpx.Response(503, json={"detail": "The database is currently down."})
    script = Script([at(0), away, away, at(10), ended()], [httpx.Response(404, json={})])
    assert watched(script) == [0, *["The database is currently down."] * 2, 10, 40]


def test_a_service_that_stays_away_is_given_up():
    """The job goes on; whoever watches it gets an error."""
    script = Script([at(0)], [httpx.ReadTimeout("")])
    with pytest.raises(NoAnswer):
        watched(script, seconds=20)


def test_failures_with_updates_between_them_do_not_add_up():
    """A watch over days survives a stream that a proxy cuts every few minutes."""
    cut = [stream((number, at(number)), breaks=True) for number in range(1, 21)]
    updates = watched(Script([at(0), ended()], [*cut, stream((21, ended()))]), seconds=1)
    assert [each for each in updates if isinstance(each, int)] == [*range(21), 40]


def test_a_job_that_does_not_exist_is_said_at_once():
    """Nothing to wait for."""
    with pytest.raises(Refused, match="There is no job"):
        watched(Script([httpx.Response(404, json={"detail": "There is no job 6f1c."})]))


def test_a_job_that_has_ended_gives_one_update():
    """No stream is opened for it."""
    script = Script([ended()])
    assert watched(script) == [40]
    assert len(script.requests) == 1
