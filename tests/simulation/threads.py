"""A database whose transactions take simulated time: each is one step of the world, some time after it was asked for.

It stands for a database server. A transaction takes place even when the machine that asked dies meanwhile, or it does
not; and its answer may be lost.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import OperationalError

from tests.simulation.virtual_loop import VirtualLoop


class DatabaseServer:
    """Runs what a loop's machines hand to their threads. `level`: how likely each transaction meets trouble."""

    def __init__(self, loop: VirtualLoop, level: float) -> None:
        self.level = level
        self.happened: Counter[str] = Counter()
        #: Told of each transaction, just before it is asked for and before its answer is heard.
        self.on_moment: Callable[[], None] = lambda: None
        self._loop = loop
        loop.on_thread = self._run

    def _run(self, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        loop, chance, machine = self._loop, self._loop.chance, self._loop.machine
        answer: asyncio.Future[Any] = loop.create_future()
        trouble = chance.choice(("slow", "lost before", "lost after")) if chance.random() < self.level else ""
        self.happened[f"database {trouble}"] += bool(trouble)
        self.on_moment()
        takes = chance.random() * (3.0 if trouble == "slow" else 0.01)

        def act() -> None:
            if machine.dead and chance.random() < 0.5:
                return
            if trouble == "lost before":
                tell(None, OperationalError("", {}, Exception("the connection broke")))
                return
            try:
                result, error = func(*args), None
            except Exception as raised:  # noqa: BLE001 - as a thread does, for whoever waits
                result, error = None, raised
            if trouble == "lost after":
                result, error = None, OperationalError("", {}, Exception("the connection broke"))
            tell(result, error)

        def tell(result: Any, error: Exception | None) -> None:
            loop.call_later(chance.random() * 0.005, hear, result, error)

        def hear(result: Any, error: Exception | None) -> None:
            if not answer.done():
                answer.set_exception(error) if error is not None else answer.set_result(result)

        loop.call_at(loop.now + takes, act, context=loop.on(loop.world))
        return answer
