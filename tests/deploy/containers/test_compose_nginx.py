"""deploy/nginx: which call goes where, and what nginx says itself."""

import json
import re
from http import HTTPStatus
from pathlib import Path

import pytest

from deploy.origin.routes import INGEST_PATHS
from services.ingest.settings import IngestSettings
from services.processor.settings import ProcessorSettings
from services.status.settings import StatusSettings

ROOT = Path(__file__).parents[3]
CONFIGURATION = (ROOT / "deploy" / "nginx" / "nginx.conf").read_text()
PROBLEMS = (ROOT / "deploy" / "nginx" / "problems.conf").read_text()
LOCATIONS = {
    match["match"]: match["body"]
    for match in re.finditer(r"location (?P<match>[^{]+?)\s*\{(?P<body>(?:[^{}]|\{\"[^\n]*)*)\}", CONFIGURATION)
}


def service_of(location: str) -> str:
    """Where a location sends its calls, as host:port."""
    found = re.search(r"set \$service (\S+);", LOCATIONS[location])
    assert found, f"{location} goes nowhere"
    return found[1]


def test_exactly_the_uploads_go_to_ingest() -> None:
    """nginx and the local origin send the same paths to the same service."""
    to_ingest = {match for match in LOCATIONS if "$service ingest:" in LOCATIONS[match]}
    assert to_ingest == {f"= {path}" for path in INGEST_PATHS}


def test_uploads_pass_as_they_come() -> None:
    """nginx keeps no copy of a file, so a slow upload is ingest's to judge."""
    assert all("proxy_request_buffering off;" in LOCATIONS[f"= {path}"] for path in INGEST_PATHS)


@pytest.mark.parametrize("location", ["= /docs", "^~ /docs/", "= /openapi.json", "= /health", "= /health/ready"])
def test_what_is_about_all_services_goes_to_the_origin(location: str) -> None:
    """One document of both APIs, one answer about the health of all."""
    assert service_of(location) == "origin:8000"


def test_everything_else_goes_to_status() -> None:
    """Also the page, and the activation under /hospitals/bulk/batch/."""
    assert service_of("/") == "status:8002"


def test_metrics_stay_inside() -> None:
    """Prometheus asks the services themselves."""
    assert LOCATIONS["= /metrics"].strip() == "return 404;"


@pytest.mark.parametrize(
    ("settings", "location"), [(IngestSettings, "= /api/v1/hospitals/bulk"), (StatusSettings, "/")]
)
def test_services_are_where_their_settings_put_them(
    settings: type[IngestSettings | StatusSettings], location: str
) -> None:
    """The ports of nginx, of the images and of the settings are the same."""
    port = settings.model_fields["http_port"].default
    name = service_of(location).partition(":")[0]
    assert service_of(location) == f"{name}:{port}"
    assert f"ENV HTTP_PORT={port}\n" in dockerfile_stage(name)


def test_the_processor_listens_where_the_origin_looks() -> None:
    """It has no location here, so the image and the settings are compared alone."""
    port = ProcessorSettings.model_fields["http_port"].default
    assert f"ENV HTTP_PORT={port}\n" in dockerfile_stage("processor")


def dockerfile_stage(name: str) -> str:
    """The lines of one target of deploy/Dockerfile."""
    return (ROOT / "deploy" / "Dockerfile").read_text().partition(f"FROM runtime AS {name}\n")[2].partition("\nFROM")[0]


def test_services_are_found_again_under_a_new_address() -> None:
    """A container that starts again may have another address: only names in variables are looked up again."""
    assert re.search(r"^\s*resolver 127\.0\.0\.11 valid=\ds", CONFIGURATION, re.MULTILINE)
    assert set(re.findall(r"proxy_pass (.*?);", CONFIGURATION)) == {"http://$service"}


def test_an_answer_may_take_five_minutes() -> None:
    """As long as the longest thing that the services do in one request."""
    assert "proxy_read_timeout 300s;" in CONFIGURATION
    assert "proxy_http_version 1.1;" in CONFIGURATION


def test_bodies_may_be_as_large_as_ingest_takes() -> None:
    """compose's default is the service's own."""
    compose = (ROOT / "docker-compose.yml").read_text()
    default = IngestSettings.model_fields["max_upload_bytes"].default
    assert f"MAX_UPLOAD_BYTES: ${{MAX_UPLOAD_BYTES:-{default}}}" in compose


def problem(status: int) -> dict[str, object]:
    """The body that nginx sends with a status."""
    found = re.search(r"return 200 '(.*)';", CONFIGURATION)
    assert found
    text = found[1].replace("$status", str(status))
    for name, entries in re.findall(r"map \$status (\$\w+) \{(.*?)\n\}", PROBLEMS, re.DOTALL):
        said = re.search(rf'^\s+{status} "?(.*?)"?;$', entries, re.MULTILINE) or re.search(
            r'default "?(.*?)"?;', entries
        )
        assert said
        text = text.replace(name, said[1])
    body: dict[str, object] = json.loads(text)
    return body


@pytest.mark.parametrize("status", [400, 404, 405, 408, 413, 414, 500, 503, 504])
def test_what_nginx_refuses_reads_like_what_a_service_refuses(status: int) -> None:
    """A client has one shape of error to read (RFC 9457), whoever it comes from."""
    assert re.search(rf"error_page [\d ]*\b{status}\b[\d ]* /\.problem;", CONFIGURATION)
    body = problem(status)
    assert set(body) == {"type", "title", "status", "detail", "error_type"}
    assert body["title"] == HTTPStatus(status).phrase
    assert body["status"] == status
    assert body["type"] == f"urn:hospital-bulk:problem:{body['error_type']}"


def test_a_service_that_is_away_is_503_and_worth_another_try() -> None:
    """nginx would call it 502; with `make run` it is 503, and so it is here."""
    assert "error_page 502 =503 /.problem;" in CONFIGURATION
    assert problem(503)["error_type"] == "service_unavailable"
    assert re.search(r"map \$status \$problem_retry_after \{\n    503 \d+;", PROBLEMS)
