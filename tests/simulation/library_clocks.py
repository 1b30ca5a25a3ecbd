"""Gives aiokafka and others that read `time` by themselves the clocks of the machine on which they run.

They take no clock as an argument. So while a simulation runs, `time` and `monotonic` in their modules mean these.
Nothing of ours is replaced.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.simulation.virtual_loop import VirtualLoop

_PACKAGES = ("aiokafka", "aiohappyeyeballs", "aiohttp", "faststream", "purgatory", "tenacity")


class _Clocks:
    """Stands for the module `time`."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.monotonic = loop.time
        self.time = loop.wall_time
        self.perf_counter = loop.time


@contextmanager
def clocks_of(loop: VirtualLoop) -> Iterator[None]:
    """While it lasts, those libraries read the loop's clocks."""
    clocks = _Clocks(loop)
    stand_ins: dict[Any, Any] = {time: clocks, time.monotonic: loop.time, time.time: loop.wall_time}
    replaced: list[tuple[Any, str, Any]] = []
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] in _PACKAGES]:
        for name in ("time", "monotonic"):
            before = getattr(module, name, None)
            if before is time or before in (time.monotonic, time.time):
                replaced.append((module, name, before))
                setattr(module, name, stand_ins[before])
    try:
        yield
    finally:
        for module, name, before in replaced:
            setattr(module, name, before)
