"""The metrics of rewards. Money in them is for dashboards: floats in units of the asset. The ledger counts money exactly.

``tests/unit/test_metric_labels.py`` compares the closed sets of values with the enumerations: features import this module, so
it cannot import them.
"""

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from prizewire_chassis.metrics import INVARIANT
from prizewire_chassis.metrics.definitions import OTHER, bounded, closed, counter, gauge
from prizewire_contracts.codes import RefusalCode, RetryRefusal
from prizewire_contracts.events.rewards import RoundRefusal
from prizewire_money import AssetRegistry

CAMPAIGNS_SHOWN: Final = 20
"""The most campaigns that have series of their own."""
ASSET: Final = bounded("the code of an asset", most=50)
CAMPAIGN: Final = bounded(
    f"the id of a campaign: one of the {CAMPAIGNS_SHOWN} with the most funded money, the largest of each asset first and "
    f"ended campaigns last; {OTHER} is the sum of the rest",
    most=CAMPAIGNS_SHOWN + 1,
)
CAMPAIGN_NAME: Final = bounded(
    f"the name of the campaign, which never changes; several campaigns may have one name. {OTHER} for the sum of the rest",
    most=CAMPAIGNS_SHOWN + 1,
)
OF_POOL: Final = {"campaign": CAMPAIGN, "name": CAMPAIGN_NAME, "asset": ASSET}
HOLD_CLASSES: Final = ("identity", "account", "device", "velocity", "amount", "other")
HOLD_CLASS: Final = closed(HOLD_CLASSES, meaning="what a rule against abuse looks at")
CAPS: Final = ("cap_player", "cap_player_day", "cap_campaign_day", "cap_campaign", "own_settings")
CAP: Final = closed(CAPS)
CAMPAIGN_STATES: Final = ("draft", "active", "paused", "exhausted", "ended")
PAYOUT_STATE: Final = closed(("paid", "failed", "rejected", "cancelled", "returned"))
WAITING_CLAIM: Final = closed(("open", "held"))

ROUNDS_BOOKED = counter(
    "prizewire_rewards_rounds_booked_total", "Rounds whose prizes were taken from a pool.", unit="rounds"
)
ROUNDS_UNFUNDED = counter(
    "prizewire_rewards_rounds_unfunded_total", "Rounds that had to wait for money.", unit="rounds"
)
ROUNDS_CORRECTED = counter(
    "prizewire_rewards_rounds_corrected_total", "Rounds whose lines a correction changed.", unit="rounds"
)
ROUNDS_VOIDED = counter(
    "prizewire_rewards_rounds_voided_total", "Rounds whose money went back to the pool.", unit="rounds"
)
ROUND_WORK = gauge(
    "prizewire_rewards_round_work",
    "Steps of round work that wait, on the lines of large rounds.",
    unit="steps",
)
PARTS_MISSING = gauge(
    "prizewire_rewards_parts_missing",
    "Settlements with missing parts that have waited longer than allowed. A value above zero needs a person.",
    unit="settlements",
)
PARTS_OLDEST = gauge(
    "prizewire_rewards_parts_oldest_seconds",
    "How long the oldest part has waited for the others; 0 if no part waits.",
    unit="seconds",
)
LINES_BOOKED = counter(
    "prizewire_rewards_lines_booked_total",
    "Prize lines that were credited or made pending.",
    unit="prize lines",
)
PRIZES_PAID = counter(
    "prizewire_rewards_prizes_paid_total",
    "Prize lines whose money became their winner's for good: the first credit to the wallet that no dispute window can undo. "
    "A prize that is claimed counts when its claim is approved. A prize that is paid out directly counts at the same credit, "
    "which its payout follows: prizewire_rewards_payouts_ended_total counts the payout. So each prize counts once. It stays "
    "counted where its payout fails, is retried or is returned, and where a correction takes it back; it does not count again "
    "where a later correction gives it again.",
    unit="prize lines",
    labels={"asset": ASSET},
)
PRIZES_PAID_AMOUNT = counter(
    "prizewire_rewards_prizes_paid_amount_total",
    "Money of prizes that was credited to winnings for good, in units of the asset. What a correction adds to a prize counts; "
    "what it takes back is not subtracted: prizewire_rewards_pool_paid is the sum without it.",
    unit="units of the asset",
    labels={"asset": ASSET},
)
CAMPAIGNS = gauge(
    "prizewire_rewards_campaigns",
    "Campaigns by state.",
    unit="campaigns",
    labels={"state": closed(CAMPAIGN_STATES)},
)
POOL_FUNDED = gauge(
    "prizewire_rewards_pool_funded",
    "Money that came into the pool, withdrawn money included, in units of the asset.",
    unit="units of the asset",
    labels=OF_POOL,
)
POOL_REMAINING = gauge(
    "prizewire_rewards_pool_remaining",
    "The balance of the pool: money that the campaign can still grant, in units of the asset.",
    unit="units of the asset",
    labels=OF_POOL,
)
POOL_RESERVED = gauge(
    "prizewire_rewards_pool_reserved",
    "The balances of the reserves of the campaign's rounds: fees of rounds that are not final, and prizes that are held or not "
    "booked yet, in units of the asset. Pending and claimable prizes are in neither reserve nor pool.",
    unit="units of the asset",
    labels=OF_POOL,
)
POOL_PAID = gauge(
    "prizewire_rewards_pool_paid",
    "Prizes of the campaign that were credited to winnings for good, less what corrections took back, in units of the asset. "
    "What players owe after a correction counts until it is recovered. Fees do not count.",
    unit="units of the asset",
    labels=OF_POOL,
)
POOL_UNFUNDED = gauge(
    "prizewire_rewards_pool_unfunded",
    "Prizes and fees of rounds that wait for the pool, in units of the asset.",
    unit="units of the asset",
    labels=OF_POOL,
)
POOL_MISSING = gauge(
    "prizewire_rewards_pool_missing",
    "Money with which the pool covers all rounds that wait, in units of the asset: what they need, less what the pool has. It is "
    "`missing` of GET /api/campaigns.",
    unit="units of the asset",
    labels=OF_POOL,
)
POOL_LOW = gauge(
    "prizewire_rewards_pool_low",
    "1 while the pool is below the low-water mark of a campaign that is active, paused or exhausted, or empty in an active campaign "
    "without a mark; else 0. For the sum of smaller campaigns the number of such campaigns.",
    unit="campaigns",
    labels=OF_POOL,
)
FEE_WITHDRAWALS = counter(
    "prizewire_rewards_fee_withdrawals_total",
    "Decided withdrawals of fees.",
    unit="withdrawals",
    labels={"outcome": closed(("approved", "rejected"))},
)
PAYEE_ASSIGNMENTS = counter(
    "prizewire_rewards_payee_assignments_total",
    "Decisions about payee assignments: proposed, confirmed, ended or withdrawn.",
    unit="decisions",
    labels={"outcome": closed(("proposed", "confirmed", "ended", "withdrawn"))},
)
DISOWNMENTS = counter(
    "prizewire_rewards_disownments_total",
    "Disownments of rounds by state: filed, approved or rejected. An approved one took a round back.",
    unit="disownments",
    labels={"outcome": closed(("filed", "approved", "rejected"))},
)
DISOWNED_EVENTS = counter(
    "prizewire_rewards_disowned_events_total",
    "Events of settlement that had no effect because two admins had disowned the round.",
    unit="events",
)
PAYOUTS_REQUESTED = counter(
    "prizewire_rewards_payouts_requested_total",
    "Requested payouts, by the kind of requester.",
    unit="payouts",
    labels={"by": closed(("direct", "player", "auto_withdraw", "operator", "batch"))},
)
PAYOUT_BATCHES = counter(
    "prizewire_rewards_payout_batches_total",
    "Files of operators' payouts: filed, repeated (nothing was new), refused, or dry_run.",
    unit="files",
    labels={"outcome": closed(("filed", "repeated", "refused", "dry_run"))},
)
PAYOUTS_ENDED = counter(
    "prizewire_rewards_payouts_ended_total",
    "Payouts that reached a final state. A returned payout was counted as paid before.",
    unit="payouts",
    labels={"state": PAYOUT_STATE},
)
RECEIVABLES_NETTED = counter(
    "prizewire_rewards_receivables_netted_total",
    "Credits from which a debt was recovered.",
    unit="credits",
)
RECEIVABLES_OPENED = counter(
    "prizewire_rewards_receivables_opened_total", "Debts that corrections left.", unit="debts"
)
ROUNDS_REFUSED = counter(
    "prizewire_rewards_rounds_refused_total",
    "Settlement versions that can never be booked, by code. Settlement shows their rounds until they are resettled or voided.",
    unit="settlement versions",
    labels={"code": closed(RoundRefusal)},
)
MISMATCHES = counter(
    "prizewire_rewards_refused_total",
    "Authentic events that do not fit the state of rewards. A value above zero needs a person.",
    unit="events",
    labels={"code": closed(RefusalCode)},
)
ROLLED_UP = counter(
    "prizewire_rewards_ledger_rolled_up_total",
    "Movements added to balances of unbounded accounts.",
    unit="movements",
)
WATCHED = counter(
    "prizewire_rewards_invariant_looked_at_total",
    "Items that the job has checked for an invariant.",
    unit="items",
    labels={"name": INVARIANT},
)
WATCHED_WHOLE = counter(
    "prizewire_rewards_invariant_whole_total",
    "How often the job has checked all items of an invariant.",
    unit="checks",
    labels={"name": INVARIANT},
)
LEDGER_BEHIND = gauge(
    "prizewire_rewards_ledger_behind", "Transfers after the checkpoint of balances.", unit="transfers"
)
CLAIMS = counter(
    "prizewire_rewards_claims_total",
    "Claims that a player, a rule, a person or a deadline moved to a state. A held claim counts again when it is decided. "
    "Claims that a correction ended do not count.",
    unit="claims",
    labels={"state": closed(("held", "approved", "rejected", "expired"))},
)
CLAIMS_MADE = counter(
    "prizewire_rewards_claims_made_total",
    "Claims that players made, each once, whether it was approved, held or rejected.",
    unit="claims",
)
CLAIMS_WAITING = gauge(
    "prizewire_rewards_claims_waiting",
    "Claims that wait: open for their players, or held for a decision.",
    unit="claims",
    labels={"state": WAITING_CLAIM},
)
CLAIMS_PAST_DEADLINE = gauge(
    "prizewire_rewards_claims_past_deadline",
    "Claims whose deadline has passed: to expire, or held without a decision. A claim that stays in this count is stuck.",
    unit="claims",
    labels={"state": WAITING_CLAIM},
)
CLAIMS_HELD = gauge(
    "prizewire_rewards_claims_held",
    "Claims that are held for a decision, by the class of the rule with the most weight.",
    unit="claims",
    labels={"class": HOLD_CLASS},
)
CLAIMS_OVERDUE = counter(
    "prizewire_rewards_claims_overdue_total",
    "Held claims that were not decided in time, by the rule of their campaign. Each needed a person.",
    unit="claims",
    labels={"rule": closed(("release", "reject"))},
)
RISK_FINDINGS = counter(
    "prizewire_rewards_risk_findings_total",
    "Findings of risk rules in claims, by rule and verdict.",
    unit="findings",
    labels={
        "rule": closed(("velocity", "amount", "new_account", "collusion", "kyc", "own_settings")),
        "verdict": closed(("hold", "reject")),
    },
)
ABUSE_HOLDS = counter(
    "prizewire_rewards_abuse_holds_total",
    "Claims and prize lines that a rule against abuse held, by the class of the rule: for a claim, that with the most weight.",
    unit="claims and prize lines",
    labels={"class": HOLD_CLASS},
)
LINES_HELD = counter(
    "prizewire_rewards_lines_held_total",
    "Held prize lines by cap; own_settings for a winner who wrote the settings.",
    unit="prize lines",
    labels={"cap": CAP},
)
PRIZES_HELD = gauge(
    "prizewire_rewards_prizes_held",
    "Prize lines that wait for the decision of a person, by the cap that holds them; own_settings for a winner who wrote the settings.",
    unit="prize lines",
    labels={"cap": CAP},
)
PRIZES_HELD_AMOUNT = gauge(
    "prizewire_rewards_prizes_held_amount",
    "Money of the prize lines that wait for the decision of a person, in units of the asset.",
    unit="units of the asset",
    labels={"asset": ASSET},
)
PRIZES_HELD_OLDEST = gauge(
    "prizewire_rewards_prizes_held_oldest_seconds",
    "Time since the round of the oldest held prize line was booked; 0 where none is held.",
    unit="seconds",
)
PLAYER_EVENTS_REFUSED = counter(
    "prizewire_rewards_player_events_refused_total",
    "Refused events about players, by code: the source may not report the facts, or did not sign the event.",
    unit="events",
    labels={"code": closed(RefusalCode)},
)
ENTRIES = counter(
    "prizewire_rewards_entries_total",
    "Entries into rounds that reached a state. A refused entry counts at each try.",
    unit="entries",
    labels={"state": closed(("paid", "refused", "refunded", "earned", "closed"))},
)
TOPUPS = counter(
    "prizewire_rewards_topups_total",
    "Bookings of top-ups: credited, refund, dispute, dispute_won.",
    unit="bookings",
    labels={"what": closed(("credited", "refund", "dispute", "dispute_won"))},
)
PAYOUT_RETRIES = counter(
    "prizewire_rewards_payout_retries_total",
    "Retries of ended payouts that operators requested: filed, or the code of the refusal.",
    unit="retries",
    labels={"outcome": closed(("filed", *RetryRefusal))},
)
AUTO_WITHDRAWALS = counter(
    "prizewire_rewards_auto_withdrawals_total",
    "Due automatic withdrawals: requested, or the code of the refusal.",
    unit="withdrawals",
    labels={"outcome": bounded("requested, or the stable code of the refusal", most=30)},
)


State = TypeVar("State", bound=str)


def begin_assets(assets: Iterable[str]) -> None:
    """Have the counters of paid prizes begin at 0: one that first appears with 1 shows no increase to Prometheus."""
    for asset in assets:
        PRIZES_PAID.labels(asset)
        PRIZES_PAID_AMOUNT.labels(asset)


def count_entries(entries: Mapping[State, int]) -> None:
    """Add numbers of entries by the state that they changed to."""
    for state, count in entries.items():
        ENTRIES.labels(state).inc(count)


def count_topups(booked: Mapping[str, int]) -> None:
    """Add numbers of bookings of top-ups, by kind."""
    for kind, count in booked.items():
        TOPUPS.labels(kind).inc(count)


def count_paid(paid: Iterable[tuple[str, int, int]], *, assets: AssetRegistry) -> None:
    """Add committed credits of prizes: (asset, prizes credited for the first time, minor units of all credits)."""
    for asset, prizes, amount in paid:
        PRIZES_PAID.labels(asset).inc(prizes)
        PRIZES_PAID_AMOUNT.labels(asset).inc(amount / assets[asset].scale)


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
    paid: Iterable[tuple[str, int, int]],
    assets: AssetRegistry,
) -> None:
    """Add committed numbers of rounds. ``work`` is not counted here: it has the gauge ``ROUND_WORK``. ``paid`` is as in
    ``count_paid``.
    """
    del work
    count_paid(paid, assets=assets)
    ROUNDS_BOOKED.inc(rounds)
    ROUNDS_UNFUNDED.inc(unfunded)
    ROUNDS_CORRECTED.inc(corrected)
    ROUNDS_VOIDED.inc(voided)
    LINES_BOOKED.inc(lines)
    PAYOUTS_REQUESTED.labels("direct").inc(payouts)
    RECEIVABLES_NETTED.inc(netted)
    RECEIVABLES_OPENED.inc(owed)


def show_held_claims(held: Mapping[str, int]) -> None:
    """Set the number of held claims of each class; 0 for a class without one."""
    for name in HOLD_CLASSES:
        CLAIMS_HELD.labels(name).set(held.get(name, 0))
