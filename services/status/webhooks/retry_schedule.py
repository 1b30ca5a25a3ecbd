"""When a message that was not taken is posted again. Pure: no clock."""

from typing import Final

#: Seconds from a try to the next. The last one stays.
_DELAYS: Final = (5.0, 30.0, 120.0, 600.0, 3_600.0)
#: For so long after its job has finished a message is tried, in seconds. Once in any case.
GIVE_UP_SECONDS: Final = 86_400.0


def delay_after(tries: int) -> float:
    """How long after so many tries in vain the next one follows, in seconds."""
    return _DELAYS[min(tries, len(_DELAYS)) - 1]
