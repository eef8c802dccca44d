"""Every metric of settlement."""

from prometheus_client import Counter, Gauge

ROUNDS_SETTLED = Counter("prizewire_settlement_rounds_settled_total", "Rounds whose prizes were worked out.")
ROUNDS_CORRECTED = Counter(
    "prizewire_settlement_rounds_corrected_total", "Settlements that superseded one of the same round."
)
ROUNDS_VOIDED = Counter("prizewire_settlement_rounds_voided_total", "Rounds that do not count any more.")
RESULTS_INCOMPLETE = Gauge(
    "prizewire_settlement_results_incomplete",
    "Rounds that wait for parts of a result for longer than RESULTS_INCOMPLETE_AFTER_S.",
)
RESULTS_INCOMPLETE_AGE = Gauge(
    "prizewire_settlement_results_incomplete_age_seconds",
    "Age of the first part of the result that waits longest among those; 0 where there is none.",
)
ROUNDS_REFUSED = Gauge(
    "prizewire_settlement_rounds_refused",
    "Rounds whose newest settlement rewards can never book, or that it disowned. Anything but zero needs an admin.",
)
LINES = Counter("prizewire_settlement_lines_total", "Prize lines of settled and corrected rounds.")
ROUNDS_FINALIZED = Counter(
    "prizewire_settlement_rounds_finalized_total", "Rounds that became final after their dispute window."
)
REFUSED = Counter(
    "prizewire_settlement_reports_refused_total",
    "Match reports that were not applied, by reason.",
    ["reason"],
)
