"""deploy/observability: alerts only ask for what the services say."""

import re
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
import yaml

from services.ingest import metrics as _ingest  # noqa: F401 - registers what the service counts
from services.ingest.settings import IngestSettings
from services.processor import metrics as _processor  # noqa: F401
from services.processor.settings import ProcessorSettings
from services.status import metrics as _status  # noqa: F401
from services.status.settings import StatusSettings
from shared.contract.events import BreakerState

PLACE = Path(__file__).parents[3] / "deploy" / "observability"
RULES: list[dict[str, Any]] = yaml.safe_load((PLACE / "alerts.yml").read_text())["groups"][0]["rules"]
SCRAPED: list[dict[str, Any]] = yaml.safe_load((PLACE / "prometheus.yml").read_text())["scrape_configs"]
PORTS = {
    name: settings.model_fields["http_port"].default
    for name, settings in {"ingest": IngestSettings, "status": StatusSettings, "processor": ProcessorSettings}.items()
}


def names_that_exist() -> set[str]:
    """Every metric of the services, as Prometheus will know it."""
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
    return {
        family.name + ending
        for family in prometheus_client.REGISTRY.collect()
        for ending in endings.get(family.type, ("",))
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_exist(rule: dict[str, Any]) -> None:
    """An alert on a name that nobody writes would be silent for ever."""
    asked = set(re.findall(r"hospital_\w+(?![\w=\"])", re.sub(r"\{[^}]*\}", "", rule["expr"])))
    assert asked - names_that_exist() == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    """Whoever is woken by it begins with a sentence, not with a search."""
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["action"]


def test_the_breaker_is_asked_for_by_a_state_that_it_has() -> None:
    """The state is a label's value, which the metric's name does not prove."""
    expression = next(rule["expr"] for rule in RULES if rule["alert"] == "DirectoryUnavailable")
    state = re.search(r'hospital_processor_breaker="(\w+)"', expression)
    assert state
    assert state[1] in {state.value for state in BreakerState}


def test_every_service_is_scraped_where_it_listens() -> None:
    """Each copy behind the name, on the service's own port."""
    found = {job["job_name"]: job["dns_sd_configs"][0] for job in SCRAPED}
    assert {name: (entry["names"], entry["port"]) for name, entry in found.items()} == {
        name: ([name], port) for name, port in PORTS.items()
    }
