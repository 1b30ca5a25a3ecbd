"""A ManagedProcess that runs a command line and answers HTTP."""

import contextlib
import http.client
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.supervisor.parent_death import die_with_parent

_ANSWER_SECONDS = 3.0


class Program:
    """One child process with an HTTP address. It ends with this process, also after a kill -9 (on Linux)."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, address: str, ready: str
    ) -> None:
        """`ready`: the path that answers 200 when it can do its work."""
        self.name = name
        self.log = log
        self.address = address
        self._command = list(command)
        self._environment = dict(environment)
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Starts it. The first start begins a new log and keeps the one before; a restart appends to it."""
        if self._process is None and self.log.exists():
            self.log.replace(self.log.with_suffix(".log.before"))
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                die_with_parent(self._command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # a Ctrl-C at the terminal is for us: we stop everything in order
            )

    def is_ready(self) -> bool:
        """Whether its `ready` path answers 200 within 3 s."""
        url = urlsplit(self.address)
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", self._ready)
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def ended(self) -> str | None:
        """`exit status 1` or `signal 9`; None while it runs."""
        code = self._process.poll() if self._process else None
        if code is None:
            return None
        return f"exit status {code}" if code >= 0 else f"signal {-code}"

    def ask_to_stop(self) -> None:
        """Sends SIGTERM, and SIGCONT for a process that is frozen."""
        if self._process and self.pid:
            self._process.terminate()
            self._process.send_signal(signal.SIGCONT)

    def stop(self, timeout: float) -> None:
        """Waits for its end, then kills it with all that it started."""
        if self._process is None:
            return
        try:
            self._process.wait(max(timeout, 0))
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def kill(self) -> None:
        """Kills it with all that it started."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
