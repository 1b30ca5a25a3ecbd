"""The brokers as servers on the simulated network: they read requests, and answer them well, badly, late or never."""

import struct
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

from tests.simulation.kafka.cluster import BROKERS, REQUESTS, Broker, Cluster
from tests.simulation.network import Connection, Network

MOST_KEPT = 2_000
_SIZE = struct.Struct(">i")
_HEADER = struct.Struct(">hhih")
_FETCH = 1
#: The kinds of requests, by API key, whose answers are nearly always the same: metadata, and versions.
_REPEATED = frozenset({3, 18})


class Trouble(Protocol):
    """What goes wrong with requests."""

    def with_request(self, machine: str, api: int) -> "Fate | None":
        """What happens to this one; None when nothing does."""


class Fate:
    """What happens to one request.

    `code`: refused with this error, nothing done. `break_before`, `break_after`: the connection breaks before or after
    it has taken effect. `silent`: it takes effect, and is never answered. `delay`: it takes effect only after so many
    seconds; a client that does not wait so long sends it again on another connection meanwhile.
    """

    def __init__(
        self,
        name: str,
        *,
        code: int = 0,
        break_before: bool = False,
        break_after: bool = False,
        silent: bool = False,
        delay: float = 0.0,
    ) -> None:
        self.name = name
        self.code = code
        self.break_before = break_before
        self.break_after = break_after
        self.silent = silent
        self.delay = delay


class BrokerServer:
    """One broker. While it is `frozen_until` it answers nothing, and afterwards everything."""

    def __init__(self, broker: Broker, cluster: Cluster, network: Network, trouble: Trouble | None = None) -> None:
        self.address = (broker.host, broker.port)
        self.happened: Counter[str] = Counter()
        self.frozen_until = 0.0
        self._cluster = cluster
        self._network = network
        self._trouble = trouble
        self._encoded: dict[str, bytes] = {}
        network.servers[self.address] = self

    def connected(self, connection: Connection) -> None:
        connection.state["received"] = b""
        connection.state["requests"] = []
        connection.state["busy"] = False

    def disconnected(self, connection: Connection) -> None:
        """What it has received, it still carries out."""

    def received(self, connection: Connection, data: bytes) -> None:
        data = connection.state["received"] + data
        while len(data) >= 4 and len(data) >= 4 + (size := _SIZE.unpack_from(data)[0]):
            connection.state["requests"].append(data[4 : 4 + size])
            data = data[4 + size :]
        connection.state["received"] = data
        self._next(connection)

    def _next(self, connection: Connection) -> None:
        """One request of a connection after the other."""
        now = self._network.loop.now
        if connection.state["busy"] or not connection.state["requests"]:
            return
        connection.state["busy"] = True
        if self.frozen_until > now:
            self._network.later(self.frozen_until, self._take, connection)
        else:
            self._take(connection)

    def _take(self, connection: Connection) -> None:
        api, correlation, request = _read(connection.state["requests"].pop(0))
        fate = self._trouble.with_request(connection.machine.name, api) if self._trouble is not None else None
        if fate is not None:
            self.happened[f"{type(request).__name__.partition('Request')[0]} {fate.name}"] += 1
        if fate is not None and fate.delay:
            self._network.later(
                self._network.loop.now + fate.delay, self._carry_out, connection, request, correlation, fate
            )
        else:
            self._carry_out(connection, request, correlation, fate)

    def _carry_out(self, connection: Connection, request: Any, correlation: int, fate: Fate | None) -> None:
        if fate is not None and fate.break_before:
            connection.break_off()
            return
        if fate is not None and fate.code and (refusal := self._cluster.refuse(request, fate.code)) is not None:
            self._answer(connection, correlation, refusal)
            return
        self._cluster.handle(request, self._answering(connection, correlation, fate))

    def _answering(self, connection: Connection, correlation: int, fate: Fate | None) -> Callable[[Any], None]:
        def answer(response: Any) -> None:
            if fate is not None and fate.break_after:
                connection.break_off()
            elif fate is None or not fate.silent:
                self._answer(connection, correlation, response)

        return answer

    def _answer(self, connection: Connection, correlation: int, response: Any) -> None:
        body = self._encode(response)
        connection.to_client(_SIZE.pack(len(body) + 4) + _SIZE.pack(correlation) + body)
        connection.state["busy"] = False
        self._next(connection)

    def _encode(self, response: Any) -> bytes:
        """Answers that come again and again are encoded once: empty fetches are half of all."""
        if not _is_repeated(response):
            return response.encode()  # type: ignore[no-any-return]
        key = f"{response.API_KEY} {getattr(response, 'topics', None)}"
        if key not in self._encoded:
            if len(self._encoded) > MOST_KEPT:
                self._encoded.clear()
            self._encoded[key] = response.encode()
        return self._encoded[key]


def _is_repeated(response: Any) -> bool:
    if response.API_KEY == _FETCH:
        return not any(each[5] for _, partitions in response.topics for each in partitions)
    return response.API_KEY in _REPEATED


@lru_cache(MOST_KEPT)
def _decode(api: int, body: bytes) -> Any:
    return REQUESTS[api].decode(body)


def _read(frame: bytes) -> tuple[int, int, Any]:
    """The API key, the correlation id and the request. Nobody changes a request: equal ones are decoded once."""
    api, _version, correlation, length = _HEADER.unpack_from(frame)
    return api, correlation, _decode(api, frame[_HEADER.size + max(length, 0) :])


def serve(cluster: Cluster, network: Network, trouble: Trouble | None = None) -> list[BrokerServer]:
    """All brokers of the cluster on the network."""
    return [BrokerServer(broker, cluster, network, trouble) for broker in BROKERS]
