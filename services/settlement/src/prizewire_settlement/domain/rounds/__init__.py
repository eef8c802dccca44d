"""What happens to a round. Pure: the same round, rule, report and time give the same step."""

from prizewire_settlement.domain.rounds.progress import (
    finalize,
    report_entered,
    report_progress,
    report_voided,
    void,
)
from prizewire_settlement.domain.rounds.results import (
    PARTS_MAX,
    Placed,
    correct,
    place_completed,
    place_corrected,
    place_resolved,
    resettle,
    settle,
    wait,
)
from prizewire_settlement.domain.rounds.steps import (
    NOTHING,
    RESOLVE,
    KnownParts,
    Step,
    begin,
    cause_of,
    check_binding,
)

__all__ = [
    "NOTHING",
    "PARTS_MAX",
    "RESOLVE",
    "KnownParts",
    "Placed",
    "Step",
    "begin",
    "cause_of",
    "check_binding",
    "correct",
    "finalize",
    "place_completed",
    "place_corrected",
    "place_resolved",
    "report_entered",
    "report_progress",
    "report_voided",
    "resettle",
    "settle",
    "void",
    "wait",
]
