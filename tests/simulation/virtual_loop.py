"""An asyncio event loop in which no time passes by itself: it jumps to the next timer.

All machines of a simulation share one loop. A callback belongs to the machine in whose context it was scheduled, so
each machine has its own clocks, can freeze while the others go on, and can be killed. Callbacks of one machine run in
asyncio's order. Which machine goes first, and how late a timer fires, comes from the seed.

Real sockets, threads and child processes are refused.
"""

import asyncio
import contextvars
import heapq
import itertools
import random
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

#: A timer fires at least so much late, in seconds: never a rounding error too early.
LEAST_LATENESS = 2e-5
#: So many callbacks of one machine at one moment: it spins, and the time would never pass.
SPINNING = 20_000


class Spinning(RuntimeError):
    """A machine goes on computing without end, and waits for nothing."""


class Machine:
    """A computer with its clocks: `rate` is their speed, the offsets are what they show at the beginning, in seconds.

    `jitter`: how late its timers fire at most.
    """

    def __init__(
        self, name: str, *, rate: float = 1.0, monotonic_at: float = 0.0, wall_at: float = 0.0, jitter: float = 0.0
    ) -> None:
        self.name = name
        self.rate = rate
        self.jitter = jitter
        self.wall_at = wall_at
        self.monotonic_at = monotonic_at
        self.ready: deque[events.Handle] = deque()
        self.frozen = False
        self.dead = False
        self.waits_for_turn = False
        #: After so many callbacks `VirtualLoop.on_count` is called; never while it is negative.
        self.count_down = -1

    def monotonic(self, at: float) -> float:
        """What its monotonic clock shows at a moment of the simulation."""
        return self.monotonic_at + at * self.rate

    def moment(self, monotonic: float) -> float:
        """The moment of the simulation at which its monotonic clock shows that."""
        return (monotonic - self.monotonic_at) / self.rate

    def wall(self, at: float) -> float:
        """What its wall clock shows, in seconds since the epoch."""
        return self.wall_at + at * self.rate


_MACHINE: contextvars.ContextVar[Machine] = contextvars.ContextVar("machine")


class _Task(asyncio.Task):  # type: ignore[type-arg]
    """Its place in a set must not depend on its address in memory: the same seed has to give the same run."""

    def __init__(self, *args: Any, loop: "VirtualLoop", **kwargs: Any) -> None:
        self._number = next(loop.waitables)
        super().__init__(*args, loop=loop, **kwargs)

    def __hash__(self) -> int:
        return self._number


class _Future(asyncio.Future):  # type: ignore[type-arg]
    """As `_Task`."""

    def __init__(self, *, loop: Any) -> None:
        self._number = next(loop.waitables)
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop. `chance` decides what real machines leave to chance. `connect` and `sock_connect` are the network's."""

    def __init__(self, chance: random.Random, wall_at: float = 1_800_000_000.0) -> None:
        super().__init__()
        self.chance = chance
        self.now = 0.0
        #: Where the simulation itself runs: the servers, the clerks, and who checks them.
        self.world = Machine("world", wall_at=wall_at)
        self.network: Any = None
        #: Takes what is to run in a thread. Without it there are none.
        self.on_thread: Callable[..., asyncio.Future[Any]] | None = None
        self.on_count: Callable[[Machine], None] = lambda _machine: None
        #: Errors that nobody caught.
        self.errors: list[str] = []
        #: What killed machines leave behind: whatever is freed would run its `finally`.
        self.graveyard: list[Any] = []
        #: Numbers its tasks and futures, for their places in sets.
        self.waitables = itertools.count()
        self._timers: list[tuple[float, int, asyncio.TimerHandle, Machine]] = []
        #: How many timers were set.
        self.timers_set = 0
        self._runnable: list[Machine] = []
        self._at_this_moment = 0
        self.set_task_factory(lambda loop, work, **options: _Task(work, loop=loop, **options))
        self.set_exception_handler(self._note)

    def _note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.errors.append(f"{self.machine.name}: {context['message']}: {error!r}")

    # ---- machines and clocks -----------------------------------------------------------------------------------------

    @property
    def machine(self) -> Machine:
        """On which machine the code runs that asks."""
        return _MACHINE.get(self.world)

    def time(self) -> float:
        return _MACHINE.get(self.world).monotonic(self.now)

    def wall_time(self) -> float:
        """The wall clock of the machine on which the code runs, in seconds since the epoch."""
        return _MACHINE.get(self.world).wall(self.now)

    def on(self, machine: Machine) -> contextvars.Context:
        """A context on a machine."""
        context = contextvars.copy_context()
        context.run(_MACHINE.set, machine)
        return context

    def start(self, machine: Machine, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Starts a task on a machine."""
        return self.on(machine).run(self.create_task, work)

    def freeze(self, machine: Machine) -> None:
        """Nothing of the machine runs until `thaw`; its clocks go on."""
        machine.frozen = True

    def thaw(self, machine: Machine) -> None:
        """It goes on, with everything that has become due meanwhile."""
        machine.frozen = False
        self._make_runnable(machine)

    def kill(self, machine: Machine) -> None:
        """Nothing of the machine ever runs again, not even a `finally`."""
        machine.dead = True
        self.graveyard.append(machine)

    # ---- what BaseEventLoop leaves to its subclasses -----------------------------------------------------------------

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = events.Handle(callback, args, self, context)
        machine = handle._context.get(_MACHINE, self.world)
        machine.ready.append(handle)
        if not machine.waits_for_turn:
            self._make_runnable(machine)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        machine = handle._context.get(_MACHINE, self.world)
        at = machine.moment(when)
        if machine is not self.world:
            at += LEAST_LATENESS
        if machine.jitter:
            at += self.chance.random() * machine.jitter
        self.timers_set += 1
        heapq.heappush(self._timers, (at, self.timers_set, handle, machine))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is dropped when its time comes."""

    def create_future(self) -> "asyncio.Future[Any]":
        return _Future(loop=self)

    def _make_runnable(self, machine: Machine) -> None:
        if machine.ready and not (machine.frozen or machine.dead or machine.waits_for_turn):
            machine.waits_for_turn = True
            self._runnable.append(machine)

    def _run_once(self) -> None:
        if not self._runnable:
            self._jump()
            return
        runnable = self._runnable
        index = self.chance.randrange(len(runnable)) if len(runnable) > 1 else 0
        machine = runnable.pop(index)
        machine.waits_for_turn = False
        ready = machine.ready
        for _ in range(len(ready)):
            if machine.count_down >= 0:
                machine.count_down -= 1
                if machine.count_down < 0:
                    self.on_count(machine)
            if machine.frozen or machine.dead or not ready:
                break
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()
        self._at_this_moment += 1
        if self._at_this_moment > SPINNING:
            raise Spinning(f"{machine.name} spins: {list(ready)[:3]}")
        self._make_runnable(machine)

    def _jump(self) -> None:
        """To the next timer, and all that are due with it."""
        timers = self._timers
        while timers and (timers[0][2]._cancelled or timers[0][3].dead):
            self._drop(heapq.heappop(timers))
        if not timers:
            raise RuntimeError("nothing is to happen any more")
        self.now = max(self.now, timers[0][0])
        self._at_this_moment = 0
        while timers and timers[0][0] <= self.now:
            entry = heapq.heappop(timers)
            _, _, handle, machine = entry
            if handle._cancelled or machine.dead:
                self._drop(entry)
            else:
                machine.ready.append(handle)
                self._make_runnable(machine)

    def _drop(self, entry: tuple[float, int, asyncio.TimerHandle, Machine]) -> None:
        if entry[3].dead:
            self.graveyard.append(entry)

    def _write_to_self(self) -> None:
        """Nobody has to be woken: there is one thread."""

    # ---- the network -------------------------------------------------------------------------------------------------

    async def sock_connect(self, sock: Any, address: Any) -> None:
        await self.network.connect_socket(sock, address)

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        *,
        sock: Any = None,
        **_options: Any,
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        return await self.network.connect(protocol_factory, host, port, sock)  # type: ignore[no-any-return]

    async def getaddrinfo(self, host: Any, port: Any, **_options: Any) -> NoReturn:
        raise RuntimeError(f"the simulation has no names: {host}:{port}")

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        if self.on_thread is None:
            raise RuntimeError(f"the simulation has no threads: {func}")
        return self.on_thread(func, *args)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""
