"""Ties a child process to the one that starts it, so that not even a kill -9 of the parent leaves it behind.

Run as a program of its own between the two: it asks the kernel for a signal when the parent dies, gives up root if it
is told to, and becomes the command, so the process id is the command's. (`preexec_fn` would do the same, but is unsafe
as soon as the parent has threads.) Only Linux can do this; elsewhere the command just runs.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def tethered(
    command: Sequence[str], death_signal: signal.Signals = signal.SIGKILL, user: int | None = None
) -> list[str]:
    """The command line that runs `command` tied to this process, as `user` (a uid; None = the same).

    The kernel watches the *thread* that starts it: start it from one that lives as long as the child should, best the
    main thread, never from a worker of a pool.
    """
    uid = "" if user is None else str(user)
    return [sys.executable, "-E", "-S", __file__, str(os.getpid()), str(int(death_signal)), uid, *command]


def tie_to_parent(death_signal: int) -> None:
    """From now on the kernel sends us this signal when the process that started us dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal)


def _become(parent: int, death_signal: int, user: str, command: list[str]) -> None:
    if user:
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    tie_to_parent(death_signal)  # after the change of user, which would undo it
    if os.getppid() != parent:  # it died before we asked
        raise SystemExit(1)
    os.execv(command[0], command)  # noqa: S606  # no shell: that is the point


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
