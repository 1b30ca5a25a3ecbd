"""Which service answers which path of the one origin. nginx has the same two lines."""

from typing import Final

INGEST_PATHS: Final = frozenset({"/api/v1/hospitals/bulk", "/api/v1/hospitals/validate"})


def service_for(path: str) -> str:
    """`ingest` for exactly the two paths that take a file, `status` for everything else."""
    return "ingest" if path in INGEST_PATHS else "status"
