"""Every metric of settlement."""

from prometheus_client import Counter

__all__ = ["LINES", "REFUSED", "ROUNDS_FINALIZED", "ROUNDS_SETTLED"]

ROUNDS_SETTLED = Counter("prizewire_settlement_rounds_settled_total", "Rounds whose prizes were worked out.")
LINES = Counter("prizewire_settlement_lines_total", "Prize lines of settled rounds.")
ROUNDS_FINALIZED = Counter(
    "prizewire_settlement_rounds_finalized_total", "Rounds that became final after their dispute window."
)
REFUSED = Counter(
    "prizewire_settlement_reports_refused_total",
    "Match reports that were not applied, by reason.",
    ["reason"],
)
