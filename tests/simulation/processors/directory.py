"""A hospital directory on the simulated network: it speaks HTTP, keeps hospitals, and a log of what it did.

It keeps to what docs/limits.md assumes: what a call creates, it creates at most the settle time after the call has
arrived, and nothing after it has answered 500.
"""

import json
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tests.simulation.network import Address, Connection, Network
from tests.support.history import Activation, Creation

ADDRESS: Final[Address] = ("10.2.0.1", 8900)
URL: Final = "http://10.2.0.1:8900"
_REASONS: Final = {200: "OK", 201: "Created", 302: "Found", 404: "Not Found"}

CREATE, LOOK_UP, ACTIVATE = "create", "look_up", "activate"


@dataclass(frozen=True)
class CallFate:
    """What happens to one call.

    `creates`: now, later (within the settle time), or never. `status`: of the answer; None: there is none. `resets`:
    the connection breaks in place of an answer. `delay`: until the answer or the reset, in seconds.
    """

    name: str
    creates: str = "now"
    status: int | None = 201
    resets: bool = False
    delay: float = 0.0
    body: str = "own"  # or page, no_id, part
    retry_after: int | None = None


class Trouble(Protocol):
    """What goes wrong with calls."""

    def with_call(self, machine: str, kind: str) -> CallFate | None:
        """What happens to this one; None when nothing does."""


class _NoTrouble:
    def with_call(self, machine: str, kind: str) -> CallFate | None:
        return None


@dataclass(frozen=True)
class Character:
    """How a directory is. `settle`: how long after its arrival a call may still create, in seconds."""

    settle: float = 1.0
    #: Refuses a hospital that it holds already, with 409.
    conflicts: bool = False
    #: Answers a look-up of an unknown batch with 404 in JSON, else with an empty list.
    unknown_is_404: bool = False
    #: Writes names in another case and with other spaces.
    refolds: bool = False
    #: Writes names in its own words.
    rewrites: bool = False
    #: So many rows in a hundred are refused.
    refused: int = 2
    #: How long it usually takes at most, in seconds.
    latency: float = 0.0
    #: Mutant: a call is delivered twice.
    doubles: bool = False


_SICK: Final = (
    CallFate("sick: 503", creates="never", status=503),
    CallFate("sick: never answered", creates="never", status=None),
    CallFate("sick: reset", creates="never", resets=True),
)


@dataclass
class Call:
    """A call that has arrived."""

    machine: str
    kind: str
    batch_id: str
    body: dict[str, Any]
    key: str


class Directory:
    """The directory. `creations` and `activations` are its own log."""

    def __init__(self, network: Network, character: Character, trouble: Trouble | None = None) -> None:
        self.creations: list[Creation] = []
        self.activations: list[Activation] = []
        self.happened: Counter[str] = Counter()
        self.calls: list[tuple[float, str, str, str]] = []
        self._network = network
        self._chance: random.Random = network.chance
        self._character = character
        self._unknown_is_404 = character.unknown_is_404
        self._trouble = trouble or _NoTrouble()
        self._batches: dict[str, list[dict[str, Any]]] = {}
        #: Batches for which some kinds of calls fail.
        self.sick: dict[str, tuple[str, ...]] = {}
        self._next_id = 1000
        network.servers[ADDRESS] = self

    def connected(self, connection: Connection) -> None:
        connection.state["received"] = b""

    def disconnected(self, connection: Connection) -> None:
        """A call that has come is carried out all the same."""

    def received(self, connection: Connection, data: bytes) -> None:
        data = connection.state["received"] + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            lines = data[:end].decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            length = int(headers.get("content-length", 0))
            if len(data) < end + 4 + length:
                break
            body, data = data[end + 4 : end + 4 + length], data[end + 4 + length :]
            self._take(connection, lines[0], headers, body)
        connection.state["received"] = data

    def _take(self, connection: Connection, line: str, headers: dict[str, str], body: bytes) -> None:
        method, path, _ = line.split(" ")
        fields = json.loads(body) if body else {}
        kind = {"POST": CREATE, "GET": LOOK_UP, "PATCH": ACTIVATE}[method]
        batch_id = fields["creation_batch_id"] if kind == CREATE else path.split("/")[3]
        call = Call(connection.machine.name, kind, batch_id, fields, headers.get("idempotency-key", ""))
        self.calls.append((self._network.loop.now, call.machine, kind, call.key or batch_id))
        fate = self._trouble.with_call(call.machine, kind) or self._usual(kind)
        if kind in self.sick.get(batch_id, ()):
            fate = self._chance.choice(_SICK)
        self.happened[f"{kind} {fate.name}"] += 1
        self._carry_out(connection, call, fate)
        if self._character.doubles and kind == CREATE and self._chance.random() < 0.05:
            self._later(self._chance.random(), lambda: self._create(call))

    def _usual(self, kind: str) -> CallFate:
        delay = self._chance.random() * self._character.latency
        return CallFate("answered", status=201 if kind == CREATE else 200, delay=delay)

    def _later(self, seconds: float, what: Any) -> None:
        self._network.later(self._network.loop.now + seconds, what)

    def _carry_out(self, connection: Connection, call: Call, fate: CallFate) -> None:
        """The effect comes at some moment before the answer; a late one after it."""
        made: list[dict[str, Any]] = []
        answers_in = fate.delay
        if fate.creates != "never":
            takes = self._chance.random() * min(answers_in, self._character.settle * 0.9)
            if fate.creates == "later":
                takes = max(self._chance.random(), self._chance.random()) * self._character.settle * 0.97
            self._later(takes, lambda: made.extend(self._effect(call)))
        self._later(answers_in, lambda: self._answer(connection, call, fate, made))

    def _effect(self, call: Call) -> list[dict[str, Any]]:
        match call.kind:
            case "create":
                return self._create(call)
            case "activate":
                self.activations.append(Activation(call.batch_id, self._network.loop.now))
                return []
            case _:
                return [dict(hospital) for hospital in self._batches.get(call.batch_id, ())]

    def _create(self, call: Call) -> list[dict[str, Any]]:
        name = str(call.body["name"])
        if name.startswith(("Refused", "Breaks")):
            return []
        known = self._batches.setdefault(call.batch_id, [])
        if self._character.conflicts and any(each["sent"] == call.body for each in known):
            return [{"conflict": True}]
        self._next_id += 1
        stored = name.upper().replace(" ", "  ") if self._character.refolds else name
        if self._character.rewrites:
            stored = f"No. {self._next_id}"
        hospital = {**call.body, "id": self._next_id, "name": stored, "active": False, "sent": call.body}
        known.append(hospital)
        self.creations.append(
            Creation(
                self._next_id,
                call.batch_id,
                name,
                str(call.body["address"]),
                call.body.get("phone"),
                self._network.loop.now,
                f"{call.machine} {call.key}",
            )
        )
        return [hospital]

    def _answer(self, connection: Connection, call: Call, fate: CallFate, made: list[dict[str, Any]]) -> None:
        if fate.resets:
            connection.break_off()
            return
        if fate.status is None:
            return
        status, body, headers = fate.status, self._body(call, fate, made), {}
        if status < 300 and call.kind == CREATE and fate.body == "own":
            status, body = self._answer_to_creation(call, made)
        elif fate.body == "own" and status == 200 and call.kind == LOOK_UP and not made and self._unknown_is_404:
            status, body = 404, {"detail": "no such batch"}
        if fate.retry_after is not None:
            headers["Retry-After"] = str(fate.retry_after)
        self._write(connection, status, body, headers)

    def _answer_to_creation(self, call: Call, made: list[dict[str, Any]]) -> tuple[int, Any]:
        if str(call.body["name"]).startswith("Refused"):
            return 422, {"detail": "refused"}
        if str(call.body["name"]).startswith("Breaks") or not made:
            return 500, {"detail": "broken"}
        if "conflict" in made[0]:
            return 409, {"detail": "it exists"}
        return 201, _shown(made[0])

    @staticmethod
    def _body(call: Call, fate: CallFate, made: list[dict[str, Any]]) -> Any:
        match fate.body:
            case "page":
                return "<html><title>Not here</title></html>"
            case "no_id":
                return {"ok": True}
            case "part":
                return {"items": [_shown(each) for each in made[:1]], "next": "/2"}
        if call.kind == LOOK_UP and fate.status == 200:
            return [_shown(each) for each in made]
        return {"detail": fate.name}

    @staticmethod
    def _write(connection: Connection, status: int, body: Any, headers: dict[str, str]) -> None:
        page = isinstance(body, str)
        data = body.encode() if page else json.dumps(body).encode()
        kind = "text/html" if page else "application/json"
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.to_client(
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(data)}\r\n{head}\r\n".encode()
            + data
        )


def _shown(hospital: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in hospital.items() if name != "sent"}
