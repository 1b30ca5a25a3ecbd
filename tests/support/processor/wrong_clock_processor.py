"""`services.processor` whose wall clock is ahead by $CLOCK_AHEAD seconds. It is run as a module, like the service."""

import os
import time

_time = time.time


def wrong_time() -> float:
    """The wall clock as this process knows it."""
    return _time() + float(os.environ["CLOCK_AHEAD"])


if __name__ == "__main__":
    time.time = wrong_time  # before anything of the service takes it as its clock

    from services.processor.program import main

    main()
