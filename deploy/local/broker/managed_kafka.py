"""The broker as a ManagedProcess of `make run`."""

import contextlib
import os
import signal
import time
from pathlib import Path

from deploy.local.broker.kafka import Broker
from deploy.local.broker.kafka_log import failure_reason, is_ready

_POLL_SECONDS = 0.05


class ManagedKafka:
    """Starts the broker without waiting for it. The very first start downloads Kafka and prints its progress."""

    name = "kafka"

    def __init__(self, broker: Broker, logs: Path) -> None:
        """`logs`: the directory that gets a link to the broker's log."""
        self._broker = broker
        self._logs = logs
        self._started = False

    @property
    def address(self) -> str:
        """host:port."""
        return self._broker.bootstrap

    @property
    def log(self) -> Path:
        """The broker's own log."""
        return self._broker.log

    def start(self) -> None:
        """Raises NotStarted."""
        self._broker.stop()  # releases the data directory if the broker ended by itself
        self._link_log()
        self._broker.launch()
        self._started = True

    def is_ready(self) -> bool:
        """Whether it takes requests."""
        return is_ready(self.log)

    def ended(self) -> str | None:
        """Why it ended, from its log; None while it runs or was never started."""
        return failure_reason(self.log) if self._started and self._broker.pid is None else None

    def ask_to_stop(self) -> None:
        """Sends SIGTERM, and SIGCONT for a process that is frozen."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def stop(self, timeout: float) -> None:
        """Waits for its end; after `timeout` seconds it is killed. No data is lost."""
        deadline = time.monotonic() + timeout
        while self._broker.pid and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self._broker.kill()

    def kill(self) -> None:
        """Kills it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if pid := self._broker.pid:
            os.kill(pid, number)

    def _link_log(self) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (self._logs / "kafka.log").symlink_to(os.path.relpath(self.log, self._logs))
