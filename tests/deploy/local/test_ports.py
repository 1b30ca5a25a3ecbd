"""How local servers choose ports of 127.0.0.1."""

import socket

from deploy.local.ports import PortSequence, free_port, is_taken


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


def test_none_is_given_twice_although_nobody_listens_yet():
    """Six are chosen before the first of them is taken."""
    given = [free_port() for _ in range(500)]
    assert len(set(given)) == len(given)


def test_processes_with_different_shares_never_give_the_same():
    """However many each of them gives."""
    shares = []
    for share in range(3):
        ports = PortSequence(range(20_000, 20_030))
        ports.keep_to(share, 3)
        shares.append({ports.free_port() for _ in range(20)})
    assert not shares[0] & shares[1]
    assert not shares[1] & shares[2]
    assert all(shares)
