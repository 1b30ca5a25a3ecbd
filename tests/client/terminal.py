"""A command with a terminal of its own: what it writes is read, and answers are typed."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager


class Terminal:
    """A command with a terminal of its own."""

    def __init__(self, process, master):
        self.process, self._master = process, master
        self.seen = ""

    def until(self, text, times=1, seconds=30):
        """Reads until the text has appeared so often."""
        deadline = time.monotonic() + seconds
        while self.seen.count(text) < times:
            assert time.monotonic() < deadline, self.seen
            self._read(0.2)

    def end(self, seconds=30):
        """Its exit status; all that it has written is seen."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.seen
            self._read(0.2)
        while self._read(0.2):
            pass
        return self.process.returncode

    def type(self, text):
        os.write(self._master, text.encode())

    def _read(self, seconds):
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # nobody holds its other end any more
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)


def _obey_ctrl_c():
    """A script's background processes ignore Ctrl-C, and so do their children: undo that, as at a terminal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def terminal(service, *words):
    """Runs the command at a terminal."""
    master, slave = pty.openpty()
    environment = {**os.environ, "HOSPITAL_BULK_URL": service.url, "TERM": "xterm", "COLUMNS": "200"}
    command = [sys.executable, "-m", "client", *map(str, words)]
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_obey_ctrl_c,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)
