"""A real Apache Kafka on this machine, with nothing but Python: `python -m deploy.local kafka`.

    with Broker(Path("/some/dir")) as broker:
        ...  # broker.bootstrap is "127.0.0.1:PORT"

One process in KRaft mode, on 127.0.0.1 only. Its data survives a restart, a kill -9, and a change of the port. It ends
with the process that started it, however that ends (on Linux).
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, Self

from pydantic import Field

from deploy.local.broker.class_cache import class_cache_options
from deploy.local.broker.data_lock import DataLock
from deploy.local.broker.jars import class_path, kafka_version, locked_jars
from deploy.local.broker.java import java_command, java_environment
from deploy.local.broker.kafka_log import failure_reason, is_ready, port_was_taken
from deploy.local.broker.kafka_properties import server_properties
from deploy.local.paths import local_dir
from deploy.local.ports import HOST, free_port, is_taken
from deploy.local.supervisor.not_started import NotStarted
from deploy.local.supervisor.parent_death import die_with_parent
from shared.runtime.settings import Port, Settings, load

_READY_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0
_TRAINING_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_ATTEMPTS: Final = 3


class BrokerNotStarted(NotStarted):
    """The broker is not running; the line says why."""


class PortTaken(BrokerNotStarted):
    """Another program took a port after it was found free and before Kafka had it: try again."""


class Broker:
    """One local broker. `port` 0 takes a free one and keeps it over restarts.

    Start it from a thread that lives as long as the broker should (see supervisor/parent_death.py). `stop` and `kill`
    may run in any thread.
    """

    def __init__(self, data_dir: Path, port: int = 0, jars_dir: Path | None = None) -> None:
        self.data_dir = data_dir.resolve()
        self.port = port
        self._jars_dir = jars_dir or local_dir() / "jars"
        self._jars = locked_jars()
        self._choose_port = port == 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: DataLock | None = None
        self._java_options: list[str] | None = None
        self._server_options: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """Its address as host:port; the port is known after `launch`."""
        return f"{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """The file with its log; that of the start before is kept beside it."""
        return self.data_dir / "kafka.log"

    @property
    def version(self) -> str:
        """The version of Kafka."""
        return kafka_version(self._jars)

    @property
    def pid(self) -> int | None:
        """Java's process id, None when it is not running."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Launches it and returns when it takes requests, about 3 s later (the very first start fetches 43 MB).

        Raises NotStarted with one line that says why.
        """
        for attempts_left in reversed(range(_ATTEMPTS)):
            try:
                self.launch()
                return self.wait_until_ready()
            except PortTaken:
                if not attempts_left:
                    raise
        return None

    async def start_async(self) -> None:
        """As `start`, but the event loop goes on; a new data directory blocks it for 1 s."""
        self.launch()
        await asyncio.to_thread(self.wait_until_ready)

    def launch(self) -> None:
        """Starts the process, after formatting its data directory if that is new. Raises NotStarted."""
        if self.pid:
            raise BrokerNotStarted(f"The broker is already running on {self.bootstrap}")
        jars = class_path(self._jars_dir, self._jars)
        if self._java_options is None:
            self._java_options = class_cache_options(self._jars_dir, jars, self._training_run)
        lock = DataLock(self.data_dir)
        try:
            self._take_port()
            self._format_once(jars, lock)
            self._process = self._run(
                jars, "kafka.Kafka", [str(self._properties(self._log_dir))], lock, self._server_options
            )
        except BaseException:
            lock.release()
            raise
        self._lock = lock

    def wait_until_ready(self) -> None:
        """Returns when it takes requests. Raises BrokerNotStarted when it died or is not ready after 60 s."""
        deadline = time.monotonic() + _READY_SECONDS
        while not is_ready(self.log):
            if self.pid is None:
                self._raise_failure()
            if time.monotonic() > deadline:
                self.kill()
                raise BrokerNotStarted(f"Kafka was not ready after {_READY_SECONDS:.0f} s; its log: {self.log}")
            time.sleep(_POLL_SECONDS)
        self._choose_port = False

    def wait(self) -> str:
        """Waits until it ends by itself and says why, in one line."""
        status = self._process.wait() if self._process else 0
        reason = f"killed by signal {-status}" if status < 0 else failure_reason(self.log)
        return f"Kafka ended: {reason}; its log: {self.log}"

    def stop(self) -> None:
        """Stops it cleanly, and by force after 5 s. No harm when it is not running."""
        self._signal(signal.SIGCONT, signal.SIGTERM)
        self._wait_or_kill(_STOP_SECONDS)

    def kill(self) -> None:
        """Kills it with signal 9, as a power cut would."""
        self._signal(signal.SIGKILL)
        self._wait_or_kill(_STOP_SECONDS)

    def pause(self) -> None:
        """Freezes it: connections stay open, nothing is answered. Returns when it stands still."""
        self._signal(signal.SIGSTOP)
        if self._process:
            # A busy process goes on for a while after the signal; the status is left for whoever waits for its end.
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Lets a frozen one go on."""
        self._signal(signal.SIGCONT)

    def _training_run(self, java_options: list[str]) -> None:
        """Starts and stops another broker with these options of Java, in a temporary directory."""
        with tempfile.TemporaryDirectory(prefix="kafka-") as directory:
            other = Broker(Path(directory), jars_dir=self._jars_dir)
            other._java_options, other._server_options = [], java_options
            with contextlib.suppress(NotStarted):  # the start of this broker will raise the same, with the reason
                other.start()
            other._signal(signal.SIGTERM)
            other._wait_or_kill(_TRAINING_SECONDS)

    def _signal(self, *numbers: signal.Signals) -> None:
        if self._process:
            for number in numbers:
                self._process.send_signal(number)

    def _wait_or_kill(self, timeout: float) -> None:
        if self._process:
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._lock:
            self._lock.release()
        self._process = self._lock = None

    def _raise_failure(self) -> NoReturn:
        self._wait_or_kill(_STOP_SECONDS)
        if port_was_taken(self.log):
            raise PortTaken(f"Kafka lost port {self.port} or its controller's to another program: start it again")
        raise BrokerNotStarted(f"Kafka did not start: {failure_reason(self.log)}; its log: {self.log}")

    def _take_port(self) -> None:
        if self._choose_port:
            self.port = free_port()
        elif is_taken(self.port):
            raise BrokerNotStarted(f"Port {self.port} is taken: stop what listens there, or set KAFKA_PORT to another")

    @property
    def _log_dir(self) -> Path:
        return self.data_dir / "log"

    def _format_once(self, jars: str, lock: DataLock) -> None:
        """Formats a new log directory under another name, and renames it when it is complete."""
        if self._log_dir.exists():
            return
        new = self.data_dir / f"log.{uuid.uuid4().hex[:8]}.new"
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        arguments = ["format", f"--cluster-id={cluster}", f"--config={self._properties(new)}"]
        if self._run(jars, "kafka.tools.StorageTool", arguments, lock).wait() != 0:
            raise BrokerNotStarted(f"Kafka could not format {new}: {failure_reason(self.log)}; its log: {self.log}")
        new.rename(self._log_dir)

    def _properties(self, log_dir: Path) -> Path:
        path = self.data_dir / "server.properties"
        path.write_text(server_properties(self.port, free_port(), log_dir))
        return path

    def _run(
        self,
        jars: str,
        main_class: str,
        arguments: Sequence[str],
        lock: DataLock,
        more_options: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.before"))
        with self.log.open("wb") as log:
            return subprocess.Popen(
                die_with_parent(
                    java_command(jars, main_class, arguments, [*(self._java_options or []), *more_options])
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data_dir,
                env=java_environment(),
                pass_fds=[lock.fileno],
                start_new_session=True,  # Ctrl-C at the terminal must reach this process only, which stops Java cleanly
            )


class BrokerSettings(Settings):
    """Where the local broker listens and keeps its data."""

    kafka_port: Port = 9092
    kafka_data_dir: Path = Field(default_factory=lambda: local_dir() / "kafka")


def main() -> None:
    """Runs the broker in the foreground until Ctrl-C, SIGTERM, or its own end. Exit status 1 when it did not run."""
    settings = load(BrokerSettings)
    broker = Broker(settings.kafka_data_dir, settings.kafka_port)
    _on_signals(signal.default_int_handler)
    try:
        _serve(broker)
    except KeyboardInterrupt:
        return
    except NotStarted as reason:
        raise SystemExit(str(reason)) from None
    finally:
        _on_signals(signal.SIG_IGN)  # a second Ctrl-C must not leave the broker behind
        broker.stop()


def _serve(broker: Broker) -> NoReturn:
    broker.start()
    print(f"Kafka {broker.version} ready on {broker.bootstrap}, data in {broker.data_dir}", flush=True)
    raise BrokerNotStarted(broker.wait())


def _on_signals(handler: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


if __name__ == "__main__":
    main()
