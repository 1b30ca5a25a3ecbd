"""A real PostgreSQL for tests on a machine without Docker: from the `pgserver` wheel, or the machine's own.

    with ThrowawayPostgres() as server:
        ...  # server.url is "postgresql://postgres@127.0.0.1:PORT/postgres"

Its data is deleted at the end, and would not survive a power cut: nothing is synced to the disk. As root it is started
as `nobody`, since PostgreSQL refuses root. It ends with the process that started it.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from deploy.local.ports import HOST, free_port
from deploy.local.supervisor.not_started import NotStarted
from deploy.local.supervisor.parent_death import die_with_parent

_READY_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.05
_NOBODY: Final = 65534
_READY: Final = "database system is ready to accept connections"
_OPTIONS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
}


class PostgresNotStarted(NotStarted):
    """The server could not be started; the text says why."""


class ThrowawayPostgres:
    """One server in a temporary directory, on a free port.

    Start it from a thread that lives as long as the server should (see supervisor/parent_death.py).
    """

    def __init__(self) -> None:
        self.port = 0
        self._temporary: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The URL of its administrative database. It needs no password: it listens on 127.0.0.1 only."""
        return f"postgresql://postgres@{HOST}:{self.port}/postgres"

    def start(self) -> None:
        """Starts it and returns when it takes connections, about 2 s later. Raises PostgresNotStarted."""
        self._temporary = Path(tempfile.mkdtemp(prefix="postgres-"))
        try:
            _give_to_server_user(self._temporary)
            binaries = self._binaries()
            self._init(binaries)
            self._launch(binaries)
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops it and deletes its data."""
        if self._process:
            self._process.send_signal(signal.SIGQUIT)  # immediate shutdown, without a checkpoint
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary = None

    @property
    def _directory(self) -> Path:
        if self._temporary is None:
            raise PostgresNotStarted("PostgreSQL was not started")
        return self._temporary

    @property
    def _log(self) -> Path:
        return self._directory / "postgres.log"

    @property
    def _data(self) -> str:
        return str(self._directory / "data")

    def _binaries(self) -> Path:
        """The first directory whose programs the server's user may run; else a copy of one that it may read."""
        for directory in _installed():
            if self._runs(directory):
                return directory
        for directory in _installed():
            copy = self._directory / "install"
            shutil.copytree(directory.parent, copy)
            if self._runs(copy / "bin"):
                return copy / "bin"
        raise PostgresNotStarted("There is no PostgreSQL here: install the wheel pgserver, or PostgreSQL itself")

    def _runs(self, directory: Path) -> bool:
        command = _server_command([str(directory / "postgres"), "--version"])
        return subprocess.run(command, capture_output=True, cwd="/", check=False).returncode == 0

    def _init(self, binaries: Path) -> None:
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        with self._log.open("wb") as log:
            command = _server_command([str(binaries / "initdb"), f"--pgdata={self._data}", *options])
            result = subprocess.run(command, stdout=log, stderr=log, cwd="/", check=False)
        if result.returncode != 0:
            raise PostgresNotStarted(f"PostgreSQL could not make its directory: {self._last_line()}")

    def _launch(self, binaries: Path) -> None:
        self.port = free_port()
        options = [f"--{name}={value}" for name, value in (_OPTIONS | {"port": str(self.port)}).items()]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                _server_command([str(binaries / "postgres"), "-D", self._data, *options]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while _READY not in self._log.read_text(errors="replace"):
            if self._process and self._process.poll() is not None:
                raise PostgresNotStarted(f"PostgreSQL did not start: {self._last_line()}")
            if time.monotonic() > deadline:
                raise PostgresNotStarted(f"PostgreSQL was not ready after {_READY_SECONDS:.0f} s: {self._last_line()}")
            time.sleep(_POLL_SECONDS)

    def _last_line(self) -> str:
        return self._log.read_text(errors="replace").strip().rpartition("\n")[2] or "it said nothing"


def _installed() -> Iterator[Path]:
    """The directories with a PostgreSQL's programs: the wheel's, then the machine's, newest first."""
    if (wheel := importlib.util.find_spec("pgserver")) and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    machine = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(machine, key=lambda path: int(path.parent.name), reverse=True)


def _server_command(command: list[str]) -> list[str]:
    return die_with_parent(command, signal.SIGQUIT, _NOBODY if os.geteuid() == 0 else None)


def _give_to_server_user(directory: Path) -> None:
    if os.geteuid() == 0:
        os.chown(directory, _NOBODY, _NOBODY)
