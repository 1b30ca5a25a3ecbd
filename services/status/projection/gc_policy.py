"""Garbage that only the collector finds: cycles, as a request or an error leaves them. Collected in quiet moments.

Events come by the thousand, and not one of them is a cycle. To look through a batch of them for one stops the event
loop for a twentieth of a second, and costs a third of the projection's CPU where it is done as often as Python does.
"""

import gc
from typing import Final

#: More objects than two batches of events are made of, one being read and one written. In a crowd that never ends this
#: many have to be kept before somebody looks.
_NEVER_QUIET: Final = 300_000
#: As many objects as are looked through in a few milliseconds.
_WORTH_IT: Final = 5_000


def leave_for_quiet_moments() -> None:
    """From now on. What the process holds already, most of it imported, is never looked through again."""
    gc.freeze()
    gc.set_threshold(_NEVER_QUIET, 20, 50)


def collect_in_quiet() -> None:
    """While no events are in memory: then there is little to look through."""
    if gc.get_count()[0] > _WORTH_IT:
        gc.collect(1)
