"""The broker as a part of `make run`."""

import contextlib
import os
import signal
import time
from pathlib import Path

from deploy.local.broker.kafka import Broker
from deploy.local.broker.kafka_log import is_ready, last_words

_POLL_SECONDS = 0.05


class KafkaPart:
    """Starts the broker without waiting for it; its first start downloads Kafka in sight of the person who waits."""

    name = "kafka"

    def __init__(self, broker: Broker, logs: Path) -> None:
        """`logs`: where a link to its log is put, beside the logs of the others."""
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
        self._broker.stop()  # lets go of the data directory, should the broker have ended by itself
        self._link_log()
        self._broker.launch()
        self._started = True

    def is_ready(self) -> bool:
        """Whether it takes requests."""
        return is_ready(self.log)

    def ended(self) -> str | None:
        """Its last words."""
        return last_words(self.log) if self._started and self._broker.pid is None else None

    def ask_to_stop(self) -> None:
        """SIGTERM; SIGCONT as well, since one that is stopped would not hear it."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def stop(self, patience: float) -> None:
        """Waits for its end, then kills it, which costs no data."""
        deadline = time.monotonic() + patience
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
