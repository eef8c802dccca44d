"""This service's metrics. Amounts are not among them: money is counted in the ledger, exactly."""

from collections.abc import Mapping
from typing import TypeVar

from prometheus_client import Counter, Gauge

ROUNDS_BOOKED = Counter(
    "prizewire_rewards_rounds_booked_total", "Rounds whose prizes were taken from a pool."
)
ROUNDS_UNFUNDED = Counter("prizewire_rewards_rounds_unfunded_total", "Rounds that had to wait for money.")
ROUNDS_CORRECTED = Counter(
    "prizewire_rewards_rounds_corrected_total", "Rounds that were brought to corrected lines."
)
ROUNDS_VOIDED = Counter("prizewire_rewards_rounds_voided_total", "Rounds whose money went back to the pool.")
ROUND_WORK = Gauge(
    "prizewire_rewards_round_work", "Steps that wait to be done on the lines of large rounds, chunk by chunk."
)
PARTS_MISSING = Gauge(
    "prizewire_rewards_parts_missing",
    "Settlements of which parts have been waiting for others longer than they may. Anything but zero needs a person.",
)
PARTS_OLDEST = Gauge(
    "prizewire_rewards_parts_oldest_seconds",
    "How long the oldest part has been waiting for others; 0 if none does.",
)
LINES_BOOKED = Counter(
    "prizewire_rewards_lines_booked_total", "Prize lines that were credited or made pending."
)
FEE_WITHDRAWALS = Counter(
    "prizewire_rewards_fee_withdrawals_total", "Withdrawals of fees that were decided on.", ["outcome"]
)
DISOWNMENTS = Counter(
    "prizewire_rewards_disownments_total",
    "Disownments of rounds, by what became of them: filed, approved or rejected. An approved one took a round back.",
    ["outcome"],
)
PAYOUTS_REQUESTED = Counter(
    "prizewire_rewards_payouts_requested_total", "Payouts requested, by who filed them.", ["by"]
)
PAYOUTS_ENDED = Counter("prizewire_rewards_payouts_ended_total", "Payouts that reached a state.", ["state"])
RECEIVABLES_NETTED = Counter(
    "prizewire_rewards_receivables_netted_total", "Credits of which a debt was taken."
)
RECEIVABLES_OPENED = Counter("prizewire_rewards_receivables_opened_total", "Debts that corrections left.")
ROUNDS_REFUSED = Counter(
    "prizewire_rewards_rounds_refused_total",
    "Settlement versions that can never be booked, by code. Settlement shows their rounds until they are mended.",
    ["code"],
)
MISMATCHES = Counter(
    "prizewire_rewards_refused_total",
    "Authentic events that do not fit what rewards knows. Anything but zero needs a person.",
    ["code"],
)
ROLLED_UP = Counter("prizewire_rewards_ledger_rolled_up_total", "Movements folded into unbounded balances.")
BREACHES = Gauge(
    "prizewire_rewards_invariant_breaches",
    "Breaches of an invariant that the job knows of, 0 when none was found in what it has looked at.",
    ["name"],
)
WATCHED = Counter(
    "prizewire_rewards_invariant_looked_at_total",
    "Things that the job has looked at for an invariant.",
    ["name"],
)
WATCHED_WHOLE = Counter(
    "prizewire_rewards_invariant_whole_total",
    "How often the job has been through everything that an invariant is about.",
    ["name"],
)
LEDGER_BEHIND = Gauge(
    "prizewire_rewards_ledger_behind", "Transfers after the checkpoint that balances are held against."
)
CLAIMS = Counter("prizewire_rewards_claims_total", "Claims that reached a state.", ["state"])
CLAIMS_WAITING = Gauge(
    "prizewire_rewards_claims_waiting",
    "Claims that wait: open for their players, held for a decision.",
    ["state"],
)
CLAIMS_PAST_DEADLINE = Gauge(
    "prizewire_rewards_claims_past_deadline",
    "Claims whose deadline had passed when the jobs last looked: to expire, or held without a decision. Those that stay "
    "are stuck.",
    ["state"],
)
CLAIMS_OVERDUE = Counter(
    "prizewire_rewards_claims_overdue_total",
    "Held claims that nobody decided in time, by what their campaign then did. Each needed a person.",
    ["rule"],
)
RISK_FINDINGS = Counter(
    "prizewire_rewards_risk_findings_total",
    "What risk rules found in claims, by rule and by what it asks for.",
    ["rule", "verdict"],
)
LINES_HELD = Counter(
    "prizewire_rewards_lines_held_total",
    "Prize lines that were held, by cap, or own_settings for a winner who wrote the caps.",
    ["cap"],
)
PLAYER_EVENTS_REFUSED = Counter(
    "prizewire_rewards_player_events_refused_total",
    "Events about players that were not believed, by refusal code: a source that may not tell this, or did not sign it.",
    ["code"],
)
ENTRIES = Counter(
    "prizewire_rewards_entries_total",
    "Entries into rounds that came to a state; refused ones at each try.",
    ["state"],
)
TOPUPS = Counter(
    "prizewire_rewards_topups_total",
    "Top-ups credited, refunded, disputed and won back, once each.",
    ["what"],
)
AUTO_WITHDRAWALS = Counter(
    "prizewire_rewards_auto_withdrawals_total",
    "Due automatic withdrawals: requested, or the code of what forbade it.",
    ["outcome"],
)


State = TypeVar("State", bound=str)


def count_entries(reached: Mapping[State, int]) -> None:
    """Count entries by the state that they came to."""
    for state, count in reached.items():
        ENTRIES.labels(state).inc(count)


def count_topups(booked: Mapping[str, int]) -> None:
    """Count what was booked of top-ups."""
    for what, count in booked.items():
        TOPUPS.labels(what).inc(count)


def count_rounds(
    *,
    rounds: int,
    unfunded: int,
    lines: int,
    payouts: int,
    netted: int,
    corrected: int,
    voided: int,
    owed: int,
    work: int,
) -> None:
    """Count what was committed of rounds. ``work`` is a gauge of its own."""
    del work
    ROUNDS_BOOKED.inc(rounds)
    ROUNDS_UNFUNDED.inc(unfunded)
    ROUNDS_CORRECTED.inc(corrected)
    ROUNDS_VOIDED.inc(voided)
    LINES_BOOKED.inc(lines)
    PAYOUTS_REQUESTED.labels("direct").inc(payouts)
    RECEIVABLES_NETTED.inc(netted)
    RECEIVABLES_OPENED.inc(owed)
