"""Which processes make the whole, and what each is told."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.broker.kafka import Broker
from deploy.local.broker.managed_kafka import KafkaPart
from deploy.local.ports import HOST
from deploy.local.run_settings import RunSettings
from deploy.local.supervisor.managed_process import Part
from deploy.local.supervisor.program import Program


def parts(settings: RunSettings) -> list[list[Part]]:
    """In the order of their start; a row is stopped when the rows behind it have ended. Every port has its number."""
    return [_ground(settings), [*_services(settings), _origin(settings)]]


def _ground(settings: RunSettings) -> list[Part]:
    """What the services stand on, as far as it is ours."""
    ground: list[Part] = []
    if settings.own_kafka:
        data = settings.kafka_data_dir or settings.local_dir / "kafka"
        ground.append(KafkaPart(Broker(data, settings.kafka_port), _logs(settings)))
    if settings.own_directory:
        told = {"SANDBOX_HOST": HOST, "SANDBOX_PORT": str(settings.sandbox_port)}
        ground.append(_python(settings, "sandbox", "deploy.local.sandbox", settings.sandbox_port, told, "/"))
    return ground


def _services(settings: RunSettings) -> list[Part]:
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


def _origin(settings: RunSettings) -> Part:
    told = {"ORIGIN_PORT": str(settings.origin_port)}
    told |= {f"{name.upper()}_URL": f"http://{HOST}:{port}" for name, port in _ports(settings).items()}
    return _python(settings, "origin", "deploy.origin", settings.origin_port, told, "/docs")


def _ports(settings: RunSettings) -> dict[str, int]:
    return {"ingest": settings.ingest_port, "status": settings.status_port, "processor": settings.processor_port}


def _python(settings: RunSettings, name: str, module: str, port: int, told: Mapping[str, str], ready: str) -> Program:
    # Logs are read by a person here; LOG_FORMAT=json in the environment still says otherwise.
    environment = {"LOG_FORMAT": "console", **os.environ, **told}
    command = [sys.executable, "-m", module]
    return Program(name, command, environment, _logs(settings) / f"{name}.log", f"http://{HOST}:{port}", ready)


def _logs(settings: RunSettings) -> Path:
    return settings.local_dir / "logs"
