"""What dashboards ask for keeps its name."""

import pytest

from services.processor import metrics
from services.processor.directory.outcomes import ConnectionFailed, Created, LookupFailed, NotSent, ServiceRejected


@pytest.mark.parametrize(
    ("outcome", "label"),
    [
        (Created, "Created"),
        (ConnectionFailed, "NeverSent"),
        (LookupFailed, "Unlisted"),
        (NotSent, "Withheld"),
        (ServiceRejected, "Refused"),
    ],
)
def test_the_outcomes_of_calls_are_counted_under_their_public_labels(outcome, label):
    """Their classes got better names after 0.1.0."""
    labels = {"call": "create", "outcome": label}
    before = metrics.total(metrics.CALLS, **labels)
    metrics.calls("create", outcome.__name__).inc()
    assert metrics.total(metrics.CALLS, **labels) == before + 1
