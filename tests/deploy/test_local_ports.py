"""Ports of 127.0.0.1, as the local servers choose them."""

import socket

from deploy.local.ports import free_port, is_taken


def test_a_port_with_a_listener_is_taken_on_any_address():
    """A server on all addresses is in the way as much as one on ours."""
    for host in ("127.0.0.1", "0.0.0.0"):
        with socket.create_server((host, 0)) as server:
            assert is_taken(server.getsockname()[1])


def test_a_free_port_is_none_that_an_outgoing_connection_gets():
    """Else a client that keeps knocking at a stopped server could end up connected to itself."""
    port = free_port()
    assert not is_taken(port)
    assert port < 32768
