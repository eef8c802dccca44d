"""The metrics of rewards. Amounts are not among them: the ledger counts money exactly."""

from collections.abc import Mapping
from typing import TypeVar

from prometheus_client import Counter, Gauge

ROUNDS_BOOKED = Counter(
    "prizewire_rewards_rounds_booked_total", "Rounds whose prizes were taken from a pool."
)
ROUNDS_UNFUNDED = Counter("prizewire_rewards_rounds_unfunded_total", "Rounds that had to wait for money.")
ROUNDS_CORRECTED = Counter(
    "prizewire_rewards_rounds_corrected_total", "Rounds whose lines a correction changed."
)
ROUNDS_VOIDED = Counter("prizewire_rewards_rounds_voided_total", "Rounds whose money went back to the pool.")
ROUND_WORK = Gauge(
    "prizewire_rewards_round_work", "Steps of round work that wait, on the lines of large rounds."
)
PARTS_MISSING = Gauge(
    "prizewire_rewards_parts_missing",
    "Settlements with missing parts that have waited longer than allowed. A value above zero needs a person.",
)
PARTS_OLDEST = Gauge(
    "prizewire_rewards_parts_oldest_seconds",
    "Seconds that the oldest part has waited for the others; 0 if no part waits.",
)
LINES_BOOKED = Counter(
    "prizewire_rewards_lines_booked_total", "Prize lines that were credited or made pending."
)
FEE_WITHDRAWALS = Counter(
    "prizewire_rewards_fee_withdrawals_total", "Decided withdrawals of fees.", ["outcome"]
)
PAYEE_ASSIGNMENTS = Counter(
    "prizewire_rewards_payee_assignments_total",
    "Decisions about payee assignments: proposed, confirmed, ended or withdrawn.",
    ["outcome"],
)
DISOWNMENTS = Counter(
    "prizewire_rewards_disownments_total",
    "Disownments of rounds by state: filed, approved or rejected. An approved one took a round back.",
    ["outcome"],
)
DISOWNED_EVENTS = Counter(
    "prizewire_rewards_disowned_events_total",
    "Events of settlement that had no effect because two admins had disowned the round.",
)
PAYOUTS_REQUESTED = Counter(
    "prizewire_rewards_payouts_requested_total", "Requested payouts, by the kind of requester.", ["by"]
)
PAYOUT_BATCHES = Counter(
    "prizewire_rewards_payout_batches_total",
    "Files of operators' payouts: filed, repeated (nothing was new), refused, or dry_run.",
    ["outcome"],
)
PAYOUTS_ENDED = Counter("prizewire_rewards_payouts_ended_total", "Payouts that reached a state.", ["state"])
RECEIVABLES_NETTED = Counter(
    "prizewire_rewards_receivables_netted_total", "Credits from which a debt was recovered."
)
RECEIVABLES_OPENED = Counter("prizewire_rewards_receivables_opened_total", "Debts that corrections left.")
ROUNDS_REFUSED = Counter(
    "prizewire_rewards_rounds_refused_total",
    "Settlement versions that can never be booked, by code. Settlement shows their rounds until they are resettled or voided.",
    ["code"],
)
MISMATCHES = Counter(
    "prizewire_rewards_refused_total",
    "Authentic events that do not fit the state of rewards. A value above zero needs a person.",
    ["code"],
)
ROLLED_UP = Counter(
    "prizewire_rewards_ledger_rolled_up_total", "Movements added to balances of unbounded accounts."
)
WATCHED = Counter(
    "prizewire_rewards_invariant_looked_at_total",
    "Items that the job has checked for an invariant.",
    ["name"],
)
WATCHED_WHOLE = Counter(
    "prizewire_rewards_invariant_whole_total",
    "How often the job has checked all items of an invariant.",
    ["name"],
)
LEDGER_BEHIND = Gauge("prizewire_rewards_ledger_behind", "Transfers after the checkpoint of balances.")
CLAIMS = Counter("prizewire_rewards_claims_total", "Claims that reached a state.", ["state"])
CLAIMS_WAITING = Gauge(
    "prizewire_rewards_claims_waiting",
    "Claims that wait: open for their players, or held for a decision.",
    ["state"],
)
CLAIMS_PAST_DEADLINE = Gauge(
    "prizewire_rewards_claims_past_deadline",
    "Claims whose deadline has passed: to expire, or held without a decision. A claim that stays in this count is stuck.",
    ["state"],
)
CLAIMS_OVERDUE = Counter(
    "prizewire_rewards_claims_overdue_total",
    "Held claims that were not decided in time, by the rule of their campaign. Each needed a person.",
    ["rule"],
)
RISK_FINDINGS = Counter(
    "prizewire_rewards_risk_findings_total",
    "Findings of risk rules in claims, by rule and verdict.",
    ["rule", "verdict"],
)
LINES_HELD = Counter(
    "prizewire_rewards_lines_held_total",
    "Held prize lines by cap; own_settings for a winner who wrote the settings.",
    ["cap"],
)
PLAYER_EVENTS_REFUSED = Counter(
    "prizewire_rewards_player_events_refused_total",
    "Refused events about players, by code: the source may not report the facts, or did not sign the event.",
    ["code"],
)
ENTRIES = Counter(
    "prizewire_rewards_entries_total",
    "Entries into rounds that reached a state. A refused entry counts at each try.",
    ["state"],
)
TOPUPS = Counter(
    "prizewire_rewards_topups_total",
    "Bookings of top-ups: credited, refund, dispute, dispute_won.",
    ["what"],
)
PAYOUT_RETRIES = Counter(
    "prizewire_rewards_payout_retries_total",
    "Retries of ended payouts that operators requested: filed, or the code of the refusal.",
    ["outcome"],
)
AUTO_WITHDRAWALS = Counter(
    "prizewire_rewards_auto_withdrawals_total",
    "Due automatic withdrawals: requested, or the code of the refusal.",
    ["outcome"],
)


State = TypeVar("State", bound=str)


def count_entries(entries: Mapping[State, int]) -> None:
    """Add numbers of entries by the state that they changed to."""
    for state, count in entries.items():
        ENTRIES.labels(state).inc(count)


def count_topups(booked: Mapping[str, int]) -> None:
    """Add numbers of bookings of top-ups, by kind."""
    for kind, count in booked.items():
        TOPUPS.labels(kind).inc(count)


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
    """Add committed numbers of rounds. ``work`` is not counted here: it has the gauge ``ROUND_WORK``."""
    del work
    ROUNDS_BOOKED.inc(rounds)
    ROUNDS_UNFUNDED.inc(unfunded)
    ROUNDS_CORRECTED.inc(corrected)
    ROUNDS_VOIDED.inc(voided)
    LINES_BOOKED.inc(lines)
    PAYOUTS_REQUESTED.labels("direct").inc(payouts)
    RECEIVABLES_NETTED.inc(netted)
    RECEIVABLES_OPENED.inc(owed)
