"""Sockets to the directory, plain and through TLS: nothing of a call is delivered after it was given up."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import asynccontextmanager, closing

import pytest
from aiohttp import web

from services.processor.directory.client import DirectoryClient
from services.processor.directory.outcomes import ConnectionFailed, Listed, Unanswered
from services.processor.directory.sockets import CAN_EXPIRE, drop_unsent
from services.processor.settings import DirectorySettings
from tests.support.processor.lane_doubles import accepted

TIMEOUT = 7.5


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The files of a certificate for 127.0.0.1 and of its key, signed by itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate, and there is none here")
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "certificate.pem", folder / "key.pem"
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    named = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run([openssl, *made, *named, "-keyout", key, "-out", chain], check=True, capture_output=True)
    return chain, key


@pytest.fixture
def trusted(certificate, monkeypatch):
    """The server's side of TLS. Whoever connects trusts the certificate, as with any private authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture(params=["http", "https"])
def tls(request):
    """Both kinds of connections: None for plain ones."""
    return request.getfixturevalue("trusted") if request.param == "https" else None


@asynccontextmanager
async def empty_directory(tls):
    """A directory without hospitals; yields its URL."""

    async def nothing(_):
        return web.json_response([])

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", nothing)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class StuckServer:
    """Takes one connection and reads nothing until it is told to. Then it reads to the end and remembers it."""

    def __init__(self, tls):
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        # So small that most of a large request stays with the sender's kernel.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._go_on = threading.Event()
        self.received = 0
        self.ended_with = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def port(self):
        return self._listener.getsockname()[1]

    def _run(self):
        connection, _ = self._listener.accept()
        # What comes is counted below TLS: OpenSSL does not tell a reset from an end.
        with closing(self._listener), closing(connection), connection.dup() as below:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._go_on.wait(30)
            try:
                while data := below.recv(65536):
                    self.received += len(data)
            except OSError as error:
                self.ended_with = error

    async def read_to_the_end(self):
        self._go_on.set()
        await asyncio.to_thread(self._thread.join, 30)
        assert not self._thread.is_alive()


def client_of(url, **settings):
    return DirectoryClient(DirectorySettings(hospital_api_base_url=url, **settings))


@pytest.mark.skipif(not CAN_EXPIRE, reason="this platform has no TCP_USER_TIMEOUT")
async def test_every_connection_expires_with_the_call(tls):
    """The kernel gives up what it could not deliver within a call's time-out."""
    async with empty_directory(tls) as url, client_of(url, hospital_api_timeout=TIMEOUT) as client:
        assert await client.look_up("batch") == Listed(())
        idle = [protocol for kept in client._without_body.connector._conns.values() for protocol, _ in kept]
        timeouts = [
            protocol.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            for protocol in idle
        ]
    assert timeouts == [TIMEOUT * 1000]


async def test_a_certificate_that_nobody_trusts_is_no_connection(certificate):
    """Nothing was sent, so the row is not in doubt."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    async with empty_directory(context) as url, client_of(url) as client:
        outcome = await client.create(accepted(), lambda: True)
    assert isinstance(outcome, ConnectionFailed)
    assert "certificate" in outcome.message.lower()


async def test_dropping_breaks_the_connection_and_sends_no_more(tls):
    """Also what the TLS layer holds. A connection that is closed would go on sending: the end comes as a reset."""
    server, written = StuckServer(tls), 8 * 1024 * 1024
    context = ssl.create_default_context() if tls else None
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    writer.write(b"x" * written)
    drop_unsent(writer.transport)
    await server.read_to_the_end()
    assert isinstance(server.ended_with, ConnectionResetError)
    assert server.received < written


async def test_a_call_that_is_given_up_is_dropped(tls):
    """A directory that does not read gets only a part of the call, and then a reset."""
    server, row = StuckServer(tls), accepted().model_copy(update={"name": "n" * 8 * 1024 * 1024})
    url = f"{'https' if tls else 'http'}://127.0.0.1:{server.port}"
    async with client_of(url, hospital_api_timeout=0.5) as client:
        assert isinstance(await client.create(row, lambda: True), Unanswered)
        await server.read_to_the_end()
    assert isinstance(server.ended_with, ConnectionResetError)
    assert server.received < len(row.name)


async def test_dropping_nothing_is_no_mistake():
    """A call may be given up before it has a connection, and a connection may be gone already."""
    drop_unsent(None)
    server = StuckServer(None)
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    drop_unsent(writer.transport)
    drop_unsent(writer.transport)
    await server.read_to_the_end()
    drop_unsent(writer.transport)
