"""Several brokers that form one cluster, each a process of its own that can be killed."""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Self

from deploy.local.broker.jars import class_path, locked_jars
from deploy.local.broker.java import java_command, java_environment
from deploy.local.broker.kafka_log import is_ready
from deploy.local.broker.kafka_properties import server_properties
from deploy.local.paths import local_dir
from deploy.local.ports import HOST, free_port
from deploy.local.supervisor.parent_death import die_with_parent
from tests.support.until import until


class Cluster:
    """`size` brokers, every topic kept by all of them, one of them may be lost; an async context manager."""

    def __init__(self, directory: Path, size: int) -> None:
        self._folders = [directory / str(node) for node in range(1, size + 1)]
        self._ports = [free_port() for _ in self._folders]
        self._controllers = [free_port() for _ in self._folders]
        self._jars = class_path(local_dir() / "jars", locked_jars())
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def bootstrap(self) -> str:
        """The addresses of all brokers."""
        return ",".join(f"{HOST}:{port}" for port in self._ports)

    async def __aenter__(self) -> Self:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        for node, folder in enumerate(self._folders, start=1):
            folder.mkdir(parents=True)
            self._write_properties(node)
            arguments = ["format", f"--cluster-id={cluster_id}", f"--config={folder / 'server.properties'}"]
            assert self._java("kafka.tools.StorageTool", arguments, folder / "format.log").wait() == 0
        for folder in self._folders:
            log = folder / "kafka.log"
            self._processes.append(self._java("kafka.Kafka", [str(folder / "server.properties")], log))
        await until("all brokers are ready", lambda: all(is_ready(each / "kafka.log") for each in self._folders), 90)
        return self

    async def __aexit__(self, *_: object) -> None:
        for node in range(1, len(self._processes) + 1):
            self.kill(node)

    def kill(self, node: int) -> None:
        """kill -9 of one broker, for good."""
        self._processes[node - 1].kill()
        self._processes[node - 1].wait()

    def _write_properties(self, node: int) -> None:
        folder, index = self._folders[node - 1], node - 1
        alone = server_properties(self._ports[index], self._controllers[index], folder / "log")
        together = {
            "node.id": node,
            "controller.quorum.voters": ",".join(
                f"{number}@{HOST}:{port}" for number, port in enumerate(self._controllers, start=1)
            ),
            "default.replication.factor": 3,
            "offsets.topic.replication.factor": 3,
            "transaction.state.log.replication.factor": 3,
            "transaction.state.log.min.isr": 2,
        }
        # Java takes the last of two lines with the same name.
        lines = "".join(f"{name}={value}\n" for name, value in together.items())
        (folder / "server.properties").write_text(alone + lines)

    def _java(self, main_class: str, arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as stream:
            return subprocess.Popen(
                die_with_parent(java_command(self._jars, main_class, arguments)),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd=log.parent,
                env=java_environment(),
            )
