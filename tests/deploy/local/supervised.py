"""Supervises fake programs as `make run` does the services: `supervised.py DIRECTORY NAME:PORT:BEHAVIOUR+… ...`.

The first program is a row of its own, and is stopped last.
"""

import os
import signal
import sys
from pathlib import Path

from deploy.local.supervisor.not_started import NotStarted
from deploy.local.supervisor.program import Program
from deploy.local.supervisor.supervisor import Supervisor, say

FAKE_PROGRAM = Path(__file__).with_name("fake_program.py")


def program(directory: Path, text: str) -> Program:
    name, port, behaviours = text.split(":")
    command = [sys.executable, str(FAKE_PROGRAM), port, *behaviours.split("+")]
    return Program(name, command, os.environ, directory / f"{name}.log", f"http://127.0.0.1:{port}", "/")


def main(directory: str, *wanted: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    first, *others = (program(Path(directory), text) for text in wanted)
    supervisor = Supervisor([[first], others])
    try:
        supervisor.start()
        say("up")
        supervisor.watch()
    except KeyboardInterrupt:
        say("stopped by a signal")
    except NotStarted as reason:
        sys.exit(str(reason))
    finally:
        supervisor.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
