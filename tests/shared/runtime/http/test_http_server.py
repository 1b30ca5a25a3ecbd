"""Listening, and stopping without cutting anybody off."""

import asyncio
import os
import signal
import socket

import httpx
import pytest
from fastapi import FastAPI

from shared.runtime.http.http_server import bind, serve
from shared.runtime.settings import HttpSettings


def test_port_0_takes_a_free_one():
    """Several services on one machine do not meet."""
    with bind(HttpSettings()) as one, bind(HttpSettings()) as other:
        assert one.getsockname()[1] != other.getsockname()[1]


def test_a_port_that_is_taken_is_one_line_that_names_the_variable(capsys):
    """Also when the other one is only just starting."""
    with bind(HttpSettings()) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit) as stopped:
            bind(HttpSettings(http_port=port))
    assert stopped.value.code == 2
    line = capsys.readouterr().err
    assert line == f"Not started: HTTP_PORT {port} on 127.0.0.1 cannot be used: Address already in use\n"


def test_an_address_of_another_machine_is_refused_in_one_line(capsys):
    """192.0.2.1 is nobody's (RFC 5737)."""
    with pytest.raises(SystemExit):
        bind(HttpSettings(http_host="192.0.2.1"))
    assert "HTTP_PORT 0 on 192.0.2.1 cannot be used" in capsys.readouterr().err


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_ipv6_address_is_listened_on():
    """`::1` is written without brackets."""
    with bind(HttpSettings(http_host="::1")) as listening:
        assert listening.family == socket.AF_INET6


async def test_connections_send_at_once_and_drop_who_is_stuck():
    """Nagle's algorithm kept each answer's body back for 40 ms; half a file waits for nobody for ever."""
    accepted: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set_result(transport.get_extra_info("socket"))

    listening = bind(HttpSettings())
    server = await asyncio.get_running_loop().create_server(Accepting, sock=listening)
    async with server:
        _, writer = await asyncio.open_connection(*listening.getsockname())
        connection = await accepted
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # only Linux has it
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 300_000
        writer.close()


@pytest.fixture
def outlives_sigterm():
    """uvicorn raises the signal again once it has stopped; the test process is not to end by it."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("outlives_sigterm")
async def test_a_request_in_flight_is_answered_before_it_stops():
    """SIGTERM comes with every deployment; no upload is to notice."""
    app, arrived, go_on = FastAPI(), asyncio.Event(), asyncio.Event()

    @app.get("/slow")
    async def slow():
        arrived.set()
        await go_on.wait()
        return "answered"

    with bind(HttpSettings()) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/slow"
        serving = asyncio.create_task(serve(app, listening))
        async with httpx.AsyncClient() as client:
            asking = asyncio.create_task(client.get(url))
            await asyncio.wait_for(arrived.wait(), 10)
            os.kill(os.getpid(), signal.SIGTERM)
            stopped, _ = await asyncio.wait([serving], timeout=0.3)
            assert not stopped, "it stopped before the request was answered"
            go_on.set()
            assert (await asking).json() == "answered"
            await asyncio.wait_for(serving, 10)
