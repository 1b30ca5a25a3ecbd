"""Traces: their context travels with every event, and they are exported when somebody wants them."""

import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry import trace

from shared.runtime.telemetry import configure_tracing, current_traceparent, tracer_provider

#: https://www.w3.org/TR/trace-context/#traceparent-header
W3C = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@pytest.fixture(autouse=True)
def nobody_collects(monkeypatch):
    """No exporter unless a test wants one."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def collector():
    """A collector of traces: its URL and what it was sent."""
    received = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


def test_outside_any_span_there_is_no_traceparent():
    """An event then carries no such header."""
    assert current_traceparent() is None


def test_inside_a_span_it_is_the_span_as_the_w3c_writes_it():
    """Other teams' tools read it."""
    configure_tracing("tests")
    with trace.get_tracer("tests").start_as_current_span("upload") as span:
        traceparent = current_traceparent()
    assert W3C.fullmatch(traceparent)
    assert f"{span.get_span_context().trace_id:032x}" in traceparent


@pytest.mark.parametrize(
    ("variable", "path"), [("OTEL_EXPORTER_OTLP_ENDPOINT", "/v1/traces"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/")]
)
def test_spans_are_exported_where_an_endpoint_is_set(monkeypatch, collector, variable, path):
    """With the service's name, so that they can be told apart."""
    url, received = collector
    monkeypatch.setenv(variable, url if variable.endswith("OTLP_ENDPOINT") else f"{url}{path}")
    provider = tracer_provider("ingest")
    with provider.get_tracer("tests").start_as_current_span("upload"):
        pass
    provider.shutdown()
    ((where, what),) = received
    assert where == path
    assert b"hospital-bulk-ingest" in what
