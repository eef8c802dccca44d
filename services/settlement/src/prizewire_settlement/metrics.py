"""Every metric of settlement. Features import this module, so it cannot import their enumerations: a test compares them."""

from collections.abc import Mapping
from typing import Final

from prizewire_chassis.metrics.definitions import closed, counter, gauge, histogram
from prizewire_contracts.codes import RefusalCode

OPEN_STATES: Final = ("OPEN", "CLOSED", "RESOLVED", "SETTLED")
ROUNDS = gauge(
    "prizewire_settlement_rounds",
    "Rounds that have not ended, by state, each counted up to 1,000,000. A settled round waits for the end of its dispute window.",
    unit="rounds",
    labels={"state": closed(OPEN_STATES)},
)
RESOLUTION_SECONDS = histogram(
    "prizewire_settlement_round_resolution_seconds",
    "Time from the first report of a match's end to the first round.settled of its round: from the time that the game server "
    "named in match.completed, or, for a result of several parts, from the time at which the first part was processed if that "
    "is earlier. A round that an admin resolved without a report is not counted.",
    unit="seconds",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400),
)
ROUNDS_SETTLED = counter(
    "prizewire_settlement_rounds_settled_total", "Rounds whose prizes were worked out.", unit="rounds"
)
ROUNDS_CORRECTED = counter(
    "prizewire_settlement_rounds_corrected_total",
    "Settlements that superseded one of the same round.",
    unit="settlements",
)
ROUNDS_VOIDED = counter(
    "prizewire_settlement_rounds_voided_total", "Rounds that do not count any more.", unit="rounds"
)
RESULTS_INCOMPLETE = gauge(
    "prizewire_settlement_results_incomplete",
    "Rounds that wait for parts of a result for longer than RESULTS_INCOMPLETE_AFTER_S.",
    unit="rounds",
)
RESULTS_INCOMPLETE_AGE = gauge(
    "prizewire_settlement_results_incomplete_age_seconds",
    "Age of the first part of the result that waits longest among those; 0 where there is none.",
    unit="seconds",
)
ROUNDS_REFUSED = gauge(
    "prizewire_settlement_rounds_refused",
    "Rounds whose newest settlement rewards can never book, or that it disowned. Anything but zero needs an admin.",
    unit="rounds",
)
LINES = counter(
    "prizewire_settlement_lines_total", "Prize lines of settled and corrected rounds.", unit="prize lines"
)
ROUNDS_FINALIZED = counter(
    "prizewire_settlement_rounds_finalized_total",
    "Rounds that became final after their dispute window.",
    unit="rounds",
)
REFUSED = counter(
    "prizewire_settlement_reports_refused_total",
    "Match reports that were not applied, by reason.",
    unit="reports",
    labels={"reason": closed(RefusalCode)},
)


def show_rounds(states: Mapping[str, int]) -> None:
    """Set the number of rounds in each state that is not an end; 0 for a state without rounds."""
    for state in OPEN_STATES:
        ROUNDS.labels(state).set(states.get(state, 0))
