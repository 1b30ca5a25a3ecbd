"""What a response or a transport failure means."""

import json

import httpx
import pytest

from client.errors import Busy, NeverSent, NoAnswer, Refused, UnexpectedResponse
from client.responses import parse, translate_transport_errors
from client.schemas import CommandResponse


def answer(status, document=None, headers=None, text=""):
    """An answer to a request, with a JSON body or other text."""
    content = text if document is None else json.dumps(document)
    request = httpx.Request("GET", "http://hospital.example/api/v1/hospitals/jobs?limit=1")
    return httpx.Response(status, content=content, headers=headers, request=request)


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 415, 422])
def test_a_problem_document_is_final(status):
    """In the service's own words."""
    with pytest.raises(Refused, match="No such job") as raised:
        parse(answer(status, {"detail": "No such job", "error_type": "not_found"}), CommandResponse)
    assert raised.value.document()["error_type"] == "not_found"


@pytest.mark.parametrize("status", [408, 429, 500, 503, 504])
def test_some_statuses_are_temporary(status):
    """With the service's Retry-After, when it sends one."""
    with pytest.raises(Busy, match="later") as raised:
        parse(answer(status, {"detail": "later"}, {"Retry-After": "7"}), CommandResponse)
    assert raised.value.retry_after == 7


def test_a_key_that_is_in_progress_is_temporary():
    """The first request with it will have an answer soon."""
    with pytest.raises(Busy):
        parse(answer(409, {"detail": "in progress", "error_type": "in_progress"}), CommandResponse)


def test_a_proxys_bad_gateway_is_temporary_and_the_directorys_refusal_is_final():
    """The first means that the service is away, the second is what it was asked for."""
    with pytest.raises(Busy, match="HTTP status 502"):
        parse(answer(502, text="<html>Bad Gateway</html>"), CommandResponse)
    with pytest.raises(Refused, match="no such batch"):
        parse(answer(502, {"detail": "no such batch", "error_type": "activation_failed"}), CommandResponse)


@pytest.mark.parametrize("status", [200, 301, 404])
def test_an_answer_of_something_else_is_called_so(status):
    """With the address, since that is what has to be looked at."""
    with pytest.raises(
        UnexpectedResponse, match=r"http://hospital\.example/api/v1/hospitals/jobs gave .* Is --url right"
    ):
        parse(answer(status, text="<html>It works!</html>"), CommandResponse)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx.ConnectError("refused"), NeverSent),
        (httpx.ConnectTimeout(""), NeverSent),
        (httpx.ReadTimeout(""), NoAnswer),
        (httpx.ReadError(""), NoAnswer),
        (httpx.WriteError(""), NoAnswer),
        (httpx.RemoteProtocolError("Server disconnected"), NoAnswer),
        (httpx.LocalProtocolError("Too little data for declared Content-Length"), NoAnswer),
    ],
)
def test_a_failure_says_whether_anything_can_have_happened(failure, kind):
    """Only a connection that never was is certain."""
    failure.request = httpx.Request("GET", "http://hospital.example/")
    with pytest.raises(kind), translate_transport_errors():
        raise failure
