"""How Python's garbage collector and thread switching are set for each kind of process.

Events, rows and hospitals come by the ten thousand, and none of them is part of a cycle. Looking through them for
cycles as often as Python does by default costs up to half of the CPU and stops the event loop for 20 to 100 ms.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: Objects that may be made before the collector looks: more than two batches of events, one read and one written.
_RARELY: Final = 300_000
#: As many objects as the collector looks through in a few milliseconds.
_FEW: Final = 5_000
#: Threads of a database driver need the interpreter for moments only: a busy event loop yields it after this many s.
_SWITCH_SECONDS: Final = 0.0005


@contextmanager
def no_collection() -> Iterator[None]:
    """While modules are imported: imports leave no garbage, and looking for it costs a quarter of their CPU."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def tune_for_requests() -> None:
    """For a server with a database in threads. What is imported by now is never looked through again."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.freeze()


def tune_for_batches() -> None:
    """For a server that also reads events by the thousand: call `collect_between_batches` when none are in memory."""
    tune_for_requests()
    gc.set_threshold(_RARELY, 20, 50)


def tune_for_rows() -> None:
    """For a processor: tens of thousands of rows wait in its windows."""
    gc.set_threshold(50_000, 20, 50)


def tune_for_hospitals() -> None:
    """For the sandbox directory: its hospitals are many and stay; looking costs a tenth of a call."""
    gc.set_threshold(100_000, 50, 100)


def collect_between_batches() -> None:
    """Collects what is young, when there is enough of it. Takes a few milliseconds while no batch is in memory."""
    if gc.get_count()[0] > _FEW:
        gc.collect(1)
