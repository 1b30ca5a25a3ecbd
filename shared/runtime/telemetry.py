"""Tracing with OpenTelemetry. Spans are exported when OTEL_EXPORTER_OTLP_ENDPOINT is set.

`traceparent` travels with every event either way.
"""

import os

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()


def configure_tracing(service: str) -> None:
    """Makes spans real, so that their context can travel, and exports them if an endpoint is set (`OTEL_*`)."""
    trace.set_tracer_provider(tracer_provider(service))


def tracer_provider(service: str) -> TracerProvider:
    """Where a service's spans come from; `shutdown()` sends what is left."""
    provider = TracerProvider(resource=Resource.create({"service.name": f"hospital-bulk-{service}"}))
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        # A tenth of a service's start, for the few that export.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def current_traceparent() -> str | None:
    """The W3C `traceparent` of the current span, None outside any."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent")
