"""The models of docs/proof and their mutants: which rule is left out, and which promise breaks then.

A rule that is left out only together with another one is one of two that protect the same promise: each is enough.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Mutant:
    """A model without some of its rules, or in a world in which an assumption does not hold.

    `without`: the constants that are FALSE. `caught_by`: the promise that breaks. `bounds`: other values of constants.
    """

    without: tuple[str, ...]
    caught_by: str
    bounds: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For people."""
        return " + ".join(self.without)

    @property
    def constants(self) -> dict[str, str]:
        """What differs from the model."""
        return {**self.bounds, **dict.fromkeys(self.without, "FALSE")}


@dataclass(frozen=True, slots=True)
class Model:
    """A configuration of a module. `name`: `<Module>.cfg` or `<Module>_<part>.cfg` without the ending."""

    name: str
    mutants: tuple[Mutant, ...] = ()

    @property
    def module(self) -> str:
        """The module, without its ending."""
        return self.name.partition("_")[0]


def _mutants(caught_by: str, *constants: str, **bounds: str) -> tuple[Mutant, ...]:
    return tuple(Mutant(tuple(each.split("+")), caught_by, bounds) for each in constants)


#: Shorter calls, so that the shortest way to what breaks is found soon.
SHORT = {"Settle": "0", "Slow": "0"}

MODELS = (
    Model(
        "Lane",
        (
            *_mutants(
                "OneSender",
                "Rule_Lease",
                "Rule_LeaseFromBegin",
                "Rule_NewOwnerWaits",
                "Rule_ReleasedAfterLease",
                **SHORT,
            ),
            *_mutants("OneResult", "Rule_Fencing", "Rule_ReadAfterFence", "Rule_FencedIsDiscarded", **SHORT, Lease="1"),
            *_mutants("NoHospitalTwice", "Rule_AskedLast", **SHORT, Lease="1"),
            *_mutants("NothingWithoutPermit", "Rule_LookUpAfterLease"),
        ),
    ),
    # One processor, which is killed and takes over again, and two rows.
    Model(
        "Lane_rows",
        (
            *_mutants("NoHospitalTwice", "Rule_LookUpBegan"),
            *_mutants("OneResult", "Rule_BitmapSkips"),
            *_mutants("DoneHasResult", "Rule_UnknownEndsLane", N="1"),
            *_mutants(
                "NoHospitalTwice",
                "Rule_OnlyBelowHorizon",
                "Rule_LowerHorizon+Rule_HorizonOnlyGrows",
                "Rule_HorizonKeepsDoubt",
                "Rule_HorizonKeepsUnread",
                "Rule_LookUpInherited",
                "Rule_UnreadableIsDoubt",
                "Rule_SettleOwnCalls",
                "Rule_FromFirstByte",
                "Rule_ErrorIsNotAbsence",
                "Rule_HoldingIsFinal+Rule_ReleasedWithdraws",
                "Assume_UserTimeout",
                "Assume_Settled",
                "Assume_NotAfter500",
                N="1",
            ),
            *_mutants("NoHospitalTwice", "Assume_ClocksTogether", N="1", Slow="0", Drift="1"),
        ),
    ),
    Model("Lane_live"),
    Model("Lane_drift"),
    Model(
        "Transactions",
        (
            *_mutants(
                "OneResult",
                "Rule_ResentIsUnknown",
                "Rule_SlowIsUnknown+Assume_ResendsAreSeen",
                "Rule_OneTransaction",
                "Rule_ReadCommitted",
                "Assume_EpochChecked",
            ),
            *_mutants(
                "DoneHasResult",
                "Rule_ErrorIsUnknown",
                "Rule_AcksAwaited",
                "Rule_TakeoverFences",
                "Rule_TakeoverReads",
            ),
        ),
    ),
    Model(
        "Window",
        (
            *_mutants("MetadataFits", "Rule_ByDelivered"),
            *_mutants("HandedOutOnce", "Rule_KeepsRestored"),
            *_mutants("NoneTwice", "Rule_Seeks"),
            *_mutants("NothingSkipped", "Assume_SameRecords"),
        ),
    ),
    Model(
        "Membership",
        _mutants(
            "LaneIsServed",
            "Rule_ProvesMembership",
            "Rule_FencedComesBack",
            "Rule_UnknownComesBack",
            "Rule_FailureRepeats",
        ),
    ),
    Model(
        "Offsets",
        (
            *_mutants("OneResult", "Rule_ForgottenStops", "Rule_SetAllFirst", "Assume_OperatorKnows"),
            *_mutants("NoFalseStop", "Rule_WholeGroup", "Rule_EndsFirst", "Rule_CommitFirst"),
            *_mutants("NoSilentLoss", "Rule_NoSilentReset", "Assume_NoneDeletedBefore"),
        ),
    ),
    Model(
        "Rounds",
        (
            *_mutants("NoHospitalTwice", "Rule_MayExist"),
            *_mutants("OneResult", "Rule_FirstRequestCounts"),
            *_mutants("RoundsInOrder", "Rule_RetryAfterFinish"),
            *_mutants("FinishedIsTrue", "Rule_ResolvedInTime"),
            *_mutants("NoWrongAnswer", "Assume_PeopleLook"),
            *_mutants(
                "JobEnds",
                "Rule_RetryPassed",
                "Rule_HigherRoundWins",
                "Rule_FoundStays",
                "Rule_FinishedByHand",
                "Rule_AttemptLimit",
            ),
        ),
    ),
    Model(
        "Rounds_rows",
        (
            *_mutants("JobEnds", "Rule_ResultsKnown"),
            *_mutants("FinishedIsTrue", "Rule_FinishWhenAll"),
            *_mutants("NotFinishedAgain", "Rule_CaughtUp"),
            *_mutants("OneResult", "Rule_OneTransaction"),
        ),
    ),
    Model(
        "Rounds_cancel",
        (
            *_mutants("OnlyCancelled", "Rule_CancelOfRound"),
            *_mutants("NoWrongAnswer", "Rule_DoubtFirst"),
            *_mutants("CancelHolds", "Rule_ReadBeforeSending", "Assume_HeardInTime"),
        ),
    ),
    Model(
        "Upload",
        (
            *_mutants(
                "OneJob",
                "Rule_ReservedBefore",
                "Rule_ProducerFirst",
                "Rule_UnknownIsAbandoned",
                "Rule_NeverExpires",
                "Rule_FenceFirst",
                "Rule_WholeEnd",
                "Rule_StoredOffset",
                "Assume_Fencing",
            ),
            *_mutants("FreeMeansNothing", "Rule_ByJobId"),
            *_mutants("AllOrNothing", "Rule_AcksAwaited", "Rule_OneTransaction"),
        ),
    ),
    Model(
        "Projection",
        (
            *_mutants(
                "TablesAreTrue",
                "Rule_OneTransaction",
                "Rule_CompareAndSet",
                "Rule_Difference",
                "Rule_HigherRoundWins",
            ),
            *_mutants("AllIsRead", "Rule_StoredOffset"),
        ),
    ),
    Model(
        "Activations",
        (
            *_mutants(
                "EachIsAnswered",
                "Rule_LaneOwns",
                "Rule_EachWaitsAlone",
                "Rule_LeastFailedFirst",
                "Rule_AttemptLimit",
            ),
            *_mutants("HealthyAreActivated", "Rule_OutageIsNoAttempt"),
            *_mutants("OneAnswer", "Rule_AnswerWithOffset"),
        ),
    ),
    Model(
        "Turns",
        (
            *_mutants(
                "RowsEnd",
                "Rule_RepeatsGoLast",
                "Rule_BulkHasATurn",
                "Rule_LeastFailedProbe",
            ),
            *_mutants("LookUpsEnd", "Rule_LeastFailedRepeat"),
            *_mutants("RepeatsAreTried", "Rule_RepeatsHaveATurn"),
        ),
    ),
    Model("Turns_looks", _mutants("OnlyRowsStopRows", "Rule_BreakerByKind")),
    Model("Turns_alone", _mutants("OneBatchOpensNothing", "Rule_SubjectOnce")),
)
