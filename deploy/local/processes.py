"""The processes of `make run`, and the environment of each."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.broker.kafka import Broker
from deploy.local.broker.managed_kafka import ManagedKafka
from deploy.local.ports import HOST
from deploy.local.run_settings import RunSettings
from deploy.local.supervisor.managed_process import ManagedProcess
from deploy.local.supervisor.program import Program


def managed_processes(settings: RunSettings) -> list[list[ManagedProcess]]:
    """All processes in rows: first Kafka and the sandbox, then the rest. `settings`: with a number for every port."""
    return [_dependencies(settings), [*_services(settings), _origin(settings)]]


def _dependencies(settings: RunSettings) -> list[ManagedProcess]:
    """What the services depend on, unless the settings name another Kafka or directory."""
    dependencies: list[ManagedProcess] = []
    if settings.own_kafka:
        data = settings.kafka_data_dir or settings.local_dir / "kafka"
        dependencies.append(ManagedKafka(Broker(data, settings.kafka_port), _logs(settings)))
    if settings.own_directory:
        variables = {"SANDBOX_HOST": HOST, "SANDBOX_PORT": str(settings.sandbox_port)}
        dependencies.append(_python(settings, "sandbox", "deploy.local.sandbox", settings.sandbox_port, variables, "/"))
    return dependencies


def _services(settings: RunSettings) -> list[ManagedProcess]:
    data = settings.local_dir / "data"
    data.mkdir(parents=True, exist_ok=True)
    common = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers or f"{HOST}:{settings.kafka_port}",
        "HOSPITAL_API_BASE_URL": settings.hospital_api_base_url or f"http://{HOST}:{settings.sandbox_port}",
        "INGEST_DATABASE_URL": settings.ingest_database_url or f"sqlite:///{data.resolve() / 'ingest.db'}",
        "STATUS_DATABASE_URL": settings.status_database_url or f"sqlite:///{data.resolve() / 'status.db'}",
        "HTTP_HOST": HOST,
    }
    return [
        _python(settings, name, f"services.{name}", port, common | {"HTTP_PORT": str(port)}, "/health/ready")
        for name, port in _ports(settings).items()
    ]


def _origin(settings: RunSettings) -> ManagedProcess:
    variables = {"ORIGIN_PORT": str(settings.origin_port)}
    variables |= {f"{name.upper()}_URL": f"http://{HOST}:{port}" for name, port in _ports(settings).items()}
    return _python(settings, "origin", "deploy.origin", settings.origin_port, variables, "/docs")


def _ports(settings: RunSettings) -> dict[str, int]:
    return {"ingest": settings.ingest_port, "status": settings.status_port, "processor": settings.processor_port}


def _python(
    settings: RunSettings, name: str, module: str, port: int, variables: Mapping[str, str], ready: str
) -> Program:
    # Logs are read by a person here; LOG_FORMAT=json in the environment still says otherwise.
    environment = {"LOG_FORMAT": "console", **os.environ, **variables}
    command = [sys.executable, "-m", module]
    return Program(name, command, environment, _logs(settings) / f"{name}.log", f"http://{HOST}:{port}", ready)


def _logs(settings: RunSettings) -> Path:
    return settings.local_dir / "logs"
