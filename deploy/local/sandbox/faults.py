"""The faults that can be injected, all off by default, and all settable while the sandbox runs."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Probability = float
Rewrite = Literal["none", "upper", "trim", "street"]


class NameRule(BaseModel):
    """Rows whose name contains ``contains`` always get ``status`` (null: are created) after ``latency_ms`` more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contains: str = Field(min_length=1)
    status: int | None = Field(default=None, ge=400, le=599)
    latency_ms: float = Field(default=0, ge=0)


class RateLimit(BaseModel):
    """At most ``requests`` are admitted during any ``period_seconds``; the others get 429 with Retry-After."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: int = Field(ge=1)
    period_seconds: float = Field(default=1.0, gt=0)


class Faults(BaseModel):
    """The faults of ``/hospitals``; ``/admin`` has none. Probabilities are 0 to 1; times are ms unless the name says
    otherwise. One random number decides about the six faults of a creation: together they are at most 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Every call.
    latency_ms: float = Field(default=0, ge=0, description="before anything happens")
    jitter_ms: float = Field(default=0, ge=0, description="up to this much more, evenly spread")
    outage: Literal["none", "unavailable", "dropped"] = Field(
        default="none", description="503, or the connection is closed"
    )
    token: str | None = Field(default=None, description="401 without `Authorization: Bearer <token>`")
    rate_limit: RateLimit | None = None
    too_many: Probability = Field(default=0, ge=0, le=1, description="429 at random, nothing done")
    retry_after_seconds: int = Field(default=1, ge=0, description="Retry-After of a random 429 and of an outage's 503")
    drip_ms: float = Field(default=0, ge=0, description="between any two bytes of an answer's body")

    # Creations (POST /hospitals/); one random number decides about the next six.
    error_before: Probability = Field(default=0, ge=0, le=1, description="500, nothing created")
    error_after: Probability = Field(default=0, ge=0, le=1, description="500, yet created")
    hang_before: Probability = Field(default=0, ge=0, le=1, description="no answer ever, nothing created")
    hang_after: Probability = Field(default=0, ge=0, le=1, description="no answer ever, yet created")
    lose_answer: Probability = Field(default=0, ge=0, le=1, description="created, connection closed without an answer")
    late: Probability = Field(default=0, ge=0, le=1, description="connection closed, created `late_ms` later")
    late_ms: float = Field(default=1_000, ge=0)
    name_rules: tuple[NameRule, ...] = Field(default=(), description="the first that matches decides")
    rewrite: Rewrite = Field(
        default="none", description="how stored and echoed names and addresses differ from the sent ones"
    )

    # Look-ups (every GET) and activations (PATCH).
    lookup_errors: Probability = Field(default=0, ge=0, le=1, description="500")
    lookup_hangs: Probability = Field(default=0, ge=0, le=1, description="no answer ever")
    lookup_hides_newest: int = Field(
        default=0, ge=0, description="so many newest hospitals are missing from a batch's list"
    )
    activation_errors: Probability = Field(default=0, ge=0, le=1, description="500, nothing activated")

    seed: int | None = Field(default=None, description="when set: random numbers begin again from this seed")

    @model_validator(mode="after")
    def _probabilities_fit(self) -> Self:
        chances = (self.error_before, self.error_after, self.hang_before, self.hang_after, self.lose_answer, self.late)
        if sum(chances) > 1 + 1e-9:
            raise ValueError(
                f"error_before + error_after + hang_before + hang_after + lose_answer + late make {sum(chances):g}: "
                "lower some, together they may be 1 at most"
            )
        if self.lookup_errors + self.lookup_hangs > 1 + 1e-9:
            raise ValueError("lookup_errors + lookup_hangs may be 1 at most: lower one")
        return self

    @property
    def active(self) -> bool:
        """True when anything but the seed differs from the default."""
        return bool(self.model_dump(exclude_defaults=True, exclude={"seed"}))


NO_FAULTS = Faults()
