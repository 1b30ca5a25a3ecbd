"""Ends a child process with the process that started it, even after a kill -9 of the parent.

Run as a program, this module stands between the two: it asks the kernel for a signal at the parent's death, gives up
root if it has to, and replaces itself by the command, which keeps the process id. (`preexec_fn` would do the same, but
is unsafe as soon as the parent has threads.) Only Linux can do this; elsewhere the command just runs.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def die_with_parent(
    command: Sequence[str], death_signal: signal.Signals = signal.SIGKILL, user: int | None = None
) -> list[str]:
    """The command line that runs `command` so that it ends with this process. `user`: a uid; None = ours.

    The kernel watches the *thread* that starts the command, not the process. Start it from a thread that lives as long
    as the child should: best the main thread, never a worker of a pool.
    """
    uid = "" if user is None else str(user)
    return [sys.executable, "-E", "-S", __file__, str(os.getpid()), str(int(death_signal)), uid, *command]


def request_parent_death_signal(death_signal: int) -> None:
    """Asks the kernel to send this process the signal when its parent dies. Does nothing outside Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal)


def _become(parent: int, death_signal: int, user: str, command: list[str]) -> None:
    if user:
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    request_parent_death_signal(death_signal)  # after the change of user, which would undo it
    if os.getppid() != parent:  # it died before we asked
        raise SystemExit(1)
    os.execv(command[0], command)  # noqa: S606  # no shell: that is the point


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
