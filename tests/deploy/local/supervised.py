"""Runs stand-ins as `make run` runs the services: `supervised.py DIRECTORY NAME:PORT:HABIT+HABIT ...`.

The first stand-in is the ground of the others.
"""

import os
import signal
import sys
from pathlib import Path

from deploy.local.supervisor.not_started import NotStarted
from deploy.local.supervisor.program import Program
from deploy.local.supervisor.supervisor import Supervision, say

STAND_IN = Path(__file__).with_name("stand_in.py")


def program(directory: Path, text: str) -> Program:
    name, port, habits = text.split(":")
    command = [sys.executable, str(STAND_IN), port, *habits.split("+")]
    return Program(name, command, os.environ, directory / f"{name}.log", f"http://127.0.0.1:{port}", "/")


def main(directory: str, *wanted: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    first, *others = (program(Path(directory), text) for text in wanted)
    supervision = Supervision([[first], others])
    try:
        supervision.start()
        say("up")
        supervision.watch()
    except KeyboardInterrupt:
        say("stopped by a signal")
    except NotStarted as reason:
        sys.exit(str(reason))
    finally:
        supervision.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
