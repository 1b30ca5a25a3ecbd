"""The settings of `make run`, from the environment."""

from pathlib import Path

from pydantic import Field

from deploy.local.paths import local_dir
from deploy.local.ports import free_port, is_taken
from deploy.local.supervisor.not_started import NotStarted
from shared.runtime.settings import Port, Settings


class RunSettings(Settings):
    """Ports (0 = a free one), the directory for data and logs, and servers that run already.

    With `KAFKA_BOOTSTRAP_SERVERS` or `HOSPITAL_API_BASE_URL` that Kafka or that directory is used, and none started.
    """

    local_dir: Path = Field(default_factory=local_dir)
    origin_port: Port = 8000
    sandbox_port: Port = 8900
    kafka_port: Port = 9092
    #: Only the origin calls these three: another free port is as good when one is taken.
    ingest_port: Port = 8001
    status_port: Port = 8002
    processor_port: Port = 8003
    kafka_data_dir: Path | None = None
    kafka_bootstrap_servers: str | None = None
    hospital_api_base_url: str | None = None
    ingest_database_url: str | None = None
    status_database_url: str | None = None

    @property
    def own_kafka(self) -> bool:
        """Whether a broker is started here."""
        return self.kafka_bootstrap_servers is None

    @property
    def own_directory(self) -> bool:
        """Whether the sandbox hospital directory is started here."""
        return self.hospital_api_base_url is None

    def with_free_ports(self) -> "RunSettings":
        """These settings with a number for every port. Raises NotStarted that names each needed port that is taken."""
        wanted = {"origin_port": "the page and the API"}
        if self.own_directory:
            wanted["sandbox_port"] = "the sandbox directory"
        if self.own_kafka:
            wanted["kafka_port"] = "Kafka"
        taken = [
            f"port {getattr(self, name)} for {purpose} is taken (set {name.upper()} to another, or stop what uses it)"
            for name, purpose in wanted.items()
            if getattr(self, name) and is_taken(getattr(self, name))
        ]
        if taken:
            raise NotStarted(f"Nothing was started: {'; '.join(taken)}.")
        ports = [name for name in type(self).model_fields if name.endswith("_port")]
        return self.model_copy(update={name: _usable(getattr(self, name)) for name in ports})


def _usable(port: int) -> int:
    return port if port and not is_taken(port) else free_port()
