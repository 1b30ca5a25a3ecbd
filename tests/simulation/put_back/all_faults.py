"""All faults that can be put back."""

from tests.simulation.put_back import commits, doubts, permits, projections, turns, uploads

FAULTS = (*permits.FAULTS, *doubts.FAULTS, *commits.FAULTS, *turns.FAULTS, *uploads.FAULTS, *projections.FAULTS)
