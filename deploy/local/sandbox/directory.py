"""The sandbox's state: its hospitals, its request log and its faults."""

import random
from typing import Any

from deploy.local.sandbox.fault_plan import WITHOUT_FAULTS, Call, FaultPlan, decide
from deploy.local.sandbox.faults import NO_FAULTS, Faults
from deploy.local.sandbox.hospitals import Hospitals
from deploy.local.sandbox.rate_window import RateWindow
from deploy.local.sandbox.request_log import RequestLog


class Directory:
    """Hospitals, request log and faults. Not thread-safe: it belongs to one event loop."""

    def __init__(self) -> None:
        self.hospitals = Hospitals()
        self.request_log = RequestLog()
        self._random = random.Random()  # noqa: S311 - faults need repeatable numbers, not secrets
        self._window: RateWindow | None = None
        self._faults = NO_FAULTS
        self._has_faults = False

    @property
    def faults(self) -> Faults:
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        """Takes effect with the next call. A seed restarts the random numbers; a changed rate limit starts at 0."""
        if faults.seed is not None:
            self._random.seed(faults.seed)
        if self._window is None or faults.rate_limit != self._faults.rate_limit:
            self._window = RateWindow(faults.rate_limit) if faults.rate_limit else None
        self._faults = faults
        self._has_faults = faults.active

    def inject(self, **changes: object) -> None:
        """Changes the named faults and leaves the others: ``inject(latency_ms=50, lose_answer=0.2)``.
        Raises ``pydantic.ValidationError`` for an unknown name or a value out of range."""
        named = {name: getattr(self.faults, name) for name in self.faults.model_fields_set - {"seed"}}
        self.faults = Faults.model_validate(named | changes)

    def plan(self, call: Call, now: float) -> FaultPlan:
        """The faults of this call, which arrived at ``now`` (monotonic, s)."""
        if not self._has_faults:
            return WITHOUT_FAULTS
        if self._window is not None and self._faults.outage == "none":
            call = call.waiting(self._window.wait_at(now))
        return decide(call, self._faults, self._random.random)

    def counts(self) -> dict[str, Any]:
        """``{hospitals, batches}`` as counts."""
        return {"hospitals": len(self.hospitals), "batches": self.hospitals.batches()}
