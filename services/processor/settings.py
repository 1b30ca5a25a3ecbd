"""What the processor is told by the environment."""

import socket
from typing import Annotated
from uuid import uuid4

from pydantic import Field, HttpUrl, PositiveFloat, PositiveInt, SecretStr, model_validator

from services.processor.memory.sizes import window_bytes
from shared.runtime.settings import (
    HttpSettings,
    KafkaSettings,
    LogSettings,
    Port,
    RateLimitSettings,
    SettleTimeSettings,
)


class CallSettings(SettleTimeSettings):
    """How long a call may have an effect."""

    @property
    def settled_seconds(self) -> float:
        """So long after the first byte of a call nothing of it can be created any more."""
        return self.hospital_api_timeout + self.hospital_api_settle_seconds


class DirectorySettings(RateLimitSettings, CallSettings):
    """How the hospital directory may be treated. Times in seconds."""

    hospital_api_base_url: HttpUrl = HttpUrl("http://127.0.0.1:8900")
    hospital_api_token: SecretStr | None = None
    hospital_api_max_connections: Annotated[int, Field(ge=1, le=1000)] = 64

    retry_max_attempts: PositiveInt = 3
    retry_min_wait: PositiveFloat = 2.0
    retry_max_wait: PositiveFloat = 10.0

    circuit_breaker_failure_threshold: PositiveInt = 5
    circuit_breaker_recovery_timeout: PositiveFloat = 60.0

    @model_validator(mode="after")
    def _waits_in_order(self) -> "DirectorySettings":
        if self.retry_min_wait > self.retry_max_wait:
            raise ValueError("RETRY_MIN_WAIT is longer than RETRY_MAX_WAIT")
        return self


class LaneSettings(CallSettings):
    """How the lanes hold, commit and lease their rows."""

    window_rows: Annotated[int, Field(ge=10, le=20_000)] = 10_000
    #: The least time from one commit to the next; it stretches up to five times while commits take long.
    commit_interval_ms: Annotated[int, Field(ge=10, le=5_000)] = 100
    #: How long Kafka waits for a processor's heartbeat before it gives its lanes to others.
    session_timeout_ms: Annotated[int, Field(ge=1_000, le=300_000)] = 10_000


class ProcessorSettings(KafkaSettings, HttpSettings, LogSettings, DirectorySettings, LaneSettings):
    """Everything the processor is told."""

    http_port: Port = 8003
    #: What the whole process may take, in megabytes (10^6). It bounds the rows in all windows.
    processor_memory_mb: PositiveInt = 384
    instance_id: str = Field(default_factory=lambda: f"{socket.gethostname()}-{uuid4().hex[:8]}")

    @model_validator(mode="after")
    def _memory_holds_any_record(self) -> "ProcessorSettings":
        window_bytes(self.processor_memory_mb, self.kafka_topic_partitions)
        return self

    @property
    def window_bytes(self) -> int:
        """What the rows in all windows may take, in bytes."""
        return window_bytes(self.processor_memory_mb, self.kafka_topic_partitions)
