"""Every metric of payouts, with its meaning, its unit and the values of its labels.

This module is below the features, so it repeats the names of their states; tests/integration/test_metrics.py compares them.
"""

from typing import Final

from prizewire_chassis.metrics.definitions import (
    OTHER,
    bounded,
    closed,
    counter,
    gauge,
    histogram,
    start_at_zero,
)
from prizewire_contracts.codes import PayoutCause, PayoutCode, RefusalCode, cause_for
from prizewire_contracts.rails import Outcome

NONE: Final = "none"
"""The value of a label of a payout that has no such thing: no rail yet, or no code."""
OPEN_STATES: Final = (
    "requested",
    "held",
    "approved",
    "submitting",
    "pending",
    "unknown",
    "closing_rejected",
    "closing_failed",
    "closing_cancelled",
)
"""States of a payout that has not ended."""
ENDED_STATES: Final = ("paid", "rejected", "failed", "cancelled", "returned")
"""States of a payout that has ended. One that is paid may still be returned, and is counted under both then."""
ATTEMPT_STATES: Final = (
    "opened",
    "sent",
    "accepted",
    "ambiguous",
    "effected",
    "no_effect",
    "reversed",
)
HOLDING_STATES: Final = ("leased", "built", "exported", "signed", "sent", "checking", "review")
"""States of a Stellar transaction that holds its channel."""
TRANSACTION_STATES: Final = (
    *HOLDING_STATES,
    "released",
    "refused",
    "succeeded",
    "failed",
    "dead",
    "superseded",
)
IDLE: Final = "idle"
IN_USE: Final = "in_use"
DUPLICATE_GUARDS: Final = ("request", "attempt", "slot", "rail")

RAIL: Final = bounded("a configured rail, or `none` for a payout without one", most=30)
ASSET: Final = bounded("the code of an asset", most=50)
CODE: Final = closed(
    (*PayoutCode, NONE, OTHER), meaning="why; `other` for a code that Prizewire does not know"
)
_CODES: Final = frozenset(map(str, PayoutCode))
_TIMES_S: Final = (
    1,
    2,
    5,
    10,
    30,
    60,
    120,
    300,
    600,
    1_800,
    3_600,
    3 * 3_600,
    6 * 3_600,
    12 * 3_600,
    86_400,
    2 * 86_400,
    3 * 86_400,
    7 * 86_400,
)
"""Buckets from a second to a week: a chain confirms within seconds, a bank within days."""

PAYOUT_STEPS = counter(
    "prizewire_payout_steps_total",
    "Steps that payouts took, by the state reached.",
    unit="steps",
    labels={"to": closed((*OPEN_STATES, *ENDED_STATES))},
)
ATTEMPT_STEPS = counter(
    "prizewire_attempt_steps_total",
    "Steps that attempts took, by the state reached.",
    unit="steps",
    labels={"to": closed(ATTEMPT_STATES)},
)
HOLDS = counter(
    "prizewire_payout_holds_total",
    "Holds of payouts, by the reason.",
    unit="holds",
    labels={"reason": bounded("why the payout waits for approvers: a stable code", most=40)},
)
BATCH_LINES = counter(
    "prizewire_payout_batch_lines_total",
    "Lines of batches that persons decided about, by outcome: approved, needs_another, rejected, refused (nothing was decided).",
    unit="lines",
    labels={"outcome": closed(("approved", "needs_another", "rejected", "refused"))},
)
AUTOMATIC_USED = gauge(
    "prizewire_payouts_automatic_used_ratio",
    "Used part of the present UTC day's limit for payouts without a person, by asset.",
    unit="ratio",
    labels={"asset": ASSET},
)
DENY_LIST_WRITTEN = gauge(
    "prizewire_deny_list_written_timestamp_seconds",
    "When the file of the deny list was last written, in Unix time.",
    unit="Unix time",
)
DENY_LIST_REFUSED = gauge(
    "prizewire_deny_list_refused",
    "1 while the file of the deny list cannot be read, so that the last list that could is in force.",
    unit="1 or 0",
)
SCREENINGS = counter(
    "prizewire_payout_screenings_total",
    "Answers of the screening service: `clear`, `hit`, or `unanswered` where it did not answer.",
    unit="answers",
    labels={"verdict": closed(("clear", "hit", "unanswered"))},
)
UNSCREENED_AGE = gauge(
    "prizewire_payout_unscreened_age_seconds",
    "How long the oldest approved payout has been waiting for an answer of the screening service.",
    unit="seconds",
)
PLAYER_EVENTS_REFUSED = counter(
    "prizewire_payouts_player_events_refused_total",
    "Facts of players that payouts refused, since their source may not report them or did not sign them.",
    unit="events",
    labels={"code": closed(RefusalCode)},
)
PAUSES = gauge(
    "prizewire_payout_pauses",
    "Pauses in force, by the kind of thing that they stop.",
    unit="pauses",
    labels={"scope": closed(("rail", "asset", "campaign", "competition", "player"))},
)
PAYOUTS = gauge(
    "prizewire_payouts",
    "Payouts that have not ended, by rail, asset and state.",
    unit="payouts",
    labels={"rail": RAIL, "asset": ASSET, "state": closed(OPEN_STATES)},
)
PAYOUTS_ENDED = counter(
    "prizewire_payouts_ended_total",
    "Payouts that ended, by rail, asset, final state, code, and on whose side the cause of the code is. A payout that was paid and came "
    "back is counted as paid and as returned.",
    unit="payouts",
    labels={
        "rail": RAIL,
        "asset": ASSET,
        "state": closed(ENDED_STATES),
        "code": CODE,
        "cause": closed(
            (*PayoutCause, NONE), meaning="whose the cause of the code is; `none` without a code"
        ),
    },
)
DUPLICATES_STOPPED = counter(
    "prizewire_payout_duplicates_stopped_total",
    "Second payments of one payout that a guard stopped: `request` (its id or its retry was requested again on other terms), "
    "`attempt` (an attempt that is not proved to be without effect stands before the next step), `slot` (the execution has a live "
    "payment of it, or the signer signed one that payouts did not ask for), `rail` (the rail names another payment under the key, "
    "or reports a payment of an attempt that had ended).",
    unit="payments",
    labels={"where": closed(DUPLICATE_GUARDS)},
)
AWAITING_APPROVAL = gauge(
    "prizewire_payouts_awaiting_approval", "Payouts that are held for approvers.", unit="payouts"
)
AWAITING_APPROVAL_OLDEST = gauge(
    "prizewire_payouts_awaiting_approval_oldest_seconds",
    "How long the payout that has been held for the longest time has been waiting; 0 where none waits.",
    unit="seconds",
)
CONFIRMATION_SECONDS = histogram(
    "prizewire_payout_confirmation_seconds",
    "Time from the first send of a payout to the proof of its payment.",
    unit="seconds",
    labels={"rail": RAIL},
    buckets=_TIMES_S,
)
DURATION_SECONDS = histogram(
    "prizewire_payout_duration_seconds",
    "Time from the request of a payout to the proof of its payment.",
    unit="seconds",
    labels={"rail": RAIL},
    buckets=_TIMES_S,
)
PAYOUTS_WAITING = gauge(
    "prizewire_payouts_waiting",
    "Approved payouts whose next attempt is not due yet, by the code that ended the last one: `signer_limit` means "
    "that a limit of the signer's day is used up.",
    unit="payouts",
    labels={"code": closed(PayoutCode)},
)
OLDEST_UNKNOWN = gauge(
    "prizewire_payout_unknown_age_seconds",
    "How long the oldest payout of a rail has been waiting for proof of its outcome.",
    unit="seconds",
    labels={"rail": RAIL},
)
TREASURY_BALANCE = gauge(
    "prizewire_treasury_balance",
    "What the account of a rail can pay now, in units of the asset; no series where the rail does not say.",
    unit="units of the asset",
    labels={"rail": RAIL, "asset": ASSET},
)
TREASURY_NEEDED = gauge(
    "prizewire_treasury_needed",
    "What the payouts of a rail need that are approved and not proved to be paid, in units of the asset: approved, submitting or pending.",
    unit="units of the asset",
    labels={"rail": RAIL, "asset": ASSET},
)
TREASURY_COVER = gauge(
    "prizewire_treasury_cover_ratio",
    "What the account of a rail can pay, divided by what is needed; no series where nothing is needed or the rail does not say.",
    unit="ratio",
    labels={"rail": RAIL, "asset": ASSET},
)
TREASURY_FAILURES = counter(
    "prizewire_treasury_read_failures_total",
    "Readings of what a rail's account has that failed. Its balance has no series until the next reading.",
    unit="readings",
    labels={"rail": RAIL},
)
RAIL_CIRCUIT = gauge(
    "prizewire_rail_circuit",
    "Whether payments are begun on a rail by this process: 0 closed (they are), 1 probing (one tries it), 2 open (none is).",
    unit="0, 1 or 2",
    labels={"rail": RAIL},
)
_CALL: Final = closed(("create", "look"))
RAIL_CALLS = counter(
    "prizewire_rail_calls_total",
    "Calls to rails, by outcome.",
    unit="calls",
    labels={"rail": RAIL, "call": _CALL, "outcome": closed(Outcome)},
)
RAIL_SECONDS = histogram(
    "prizewire_rail_call_seconds",
    "Time that a rail took to answer.",
    unit="seconds",
    labels={"rail": RAIL, "call": _CALL},
)
IMPOSSIBLE_OUTCOMES = counter(
    "prizewire_rail_surprises_total",
    "Impossible answers of rails, which were not applied, and fees above a quote, which were booked.",
    unit="answers",
    labels={"rail": RAIL},
)
UNPROVED = counter(
    "prizewire_payouts_unproved_total",
    "Payouts that waited for a rail's proof, since the row of an attempt was not written by payouts: somebody changed the database.",
    unit="payouts",
)
ROWS_NOT_AUTHENTIC = counter(
    "prizewire_rail_rows_not_authentic_total",
    "Readings of a row of a rail that payouts did not write itself, so that no rail was given it: somebody changed the database.",
    unit="readings",
)
QUOTES = counter(
    "prizewire_payout_quotes_total",
    "Answers of rails that were asked for a quote: `offered`, `unavailable`, `unsupported` (the rail pays no such payout, such as "
    "another pair of assets than it has a rate for), `failed` (no answer in time, or an error), `limit` "
    "(an amount that the rail does not pay at once), `wrong` (an answer that does not fit the request).",
    unit="answers",
    labels={
        "rail": RAIL,
        "outcome": closed(("offered", "unavailable", "unsupported", "failed", "limit", "wrong")),
    },
)
EVIDENCE = counter(
    "prizewire_payout_evidence_total",
    "Evidence of persons about payments, by the state it reached.",
    unit="pieces",
    labels={"state": closed(("filed", "confirmed", "refused"))},
)
EVIDENCE_CONTRADICTED = counter(
    "prizewire_payout_evidence_contradicted_total",
    "Lines of answer files that report another end than was proved: a confirmed payment as failed, or a failed one as paid.",
    unit="lines",
)
RETRIES = counter(
    "prizewire_payout_retries_total",
    "Retries of ended payouts: requested by operators, and rewards' answers (filed, refused).",
    unit="steps",
    labels={"step": closed(("requested", "filed", "refused"))},
)
EVIDENCE_WAITING = gauge(
    "prizewire_payout_evidence_waiting",
    "Evidence about payments that waits for a second person.",
    unit="pieces",
)
METHODS = counter(
    "prizewire_payout_methods_total",
    "Changes of payout methods.",
    unit="changes",
    labels={
        "change": closed(("registered", "confirmed", "defaulted", "removed", "verified", "inline", "erased"))
    },
)
VERIFICATIONS = counter(
    "prizewire_payout_method_verifications_total",
    "Steps of verifications of payout methods: begun, not_sent, wrong, confirmed. Many wrong answers mean that somebody guesses.",
    unit="steps",
    labels={"step": closed(("begun", "not_sent", "wrong", "confirmed"))},
)
ROTATED = counter(
    "prizewire_payouts_rotated_rows_total",
    "Rows whose details were encrypted again by the present key, by table.",
    unit="rows",
    labels={"table": closed(("payout_evidence", "payout_methods", "rail_rows"))},
)
STELLAR_STEPS = counter(
    "prizewire_stellar_steps_total",
    "Steps of Stellar transactions by the state they led to; `review` means that a person must look.",
    unit="steps",
    labels={"state": closed(TRANSACTION_STATES)},
)
STELLAR_SLOTS = gauge(
    "prizewire_stellar_slots",
    "Open slots of Stellar channels, by the state of the transaction that holds them; `idle` where none does.",
    unit="slots",
    labels={"state": closed((*HOLDING_STATES, IDLE))},
)
STELLAR_CHANNELS = gauge(
    "prizewire_stellar_channels",
    "Configured Stellar channels: `in_use` while a transaction holds them, else `idle`.",
    unit="channels",
    labels={"state": closed((IDLE, IN_USE))},
)
STELLAR_SIGNER_WAITS = counter(
    "prizewire_stellar_signer_waits_total",
    "Payments that left a batch because the signer said that they must wait for an earlier slot of theirs.",
    unit="payments",
)
STELLAR_UNKNOWN_ANSWERS = counter(
    "prizewire_stellar_unknown_answers_total",
    "The signer's answers to requests that payouts does not know, by kind: an attacker sent requests in payouts' name, or "
    "payouts' database was restored from a backup.",
    unit="answers",
    labels={"kind": closed(("completed", "refused", "closed", "close_refused"))},
)
STELLAR_CONTRADICTIONS = counter(
    "prizewire_stellar_contradictions_total",
    "Transactions that ended without success, although the ledger applied them: an answer of the signer was forged, or "
    "somebody changed the database.",
    unit="transactions",
)
STELLAR_VOIDS = counter(
    "prizewire_stellar_voids_total",
    "Transactions begun to void a slot on which nothing could be paid any more; many mean trouble with the network.",
    unit="transactions",
)


def begin_rail(rail: str) -> None:
    """Have the counters of a rail begin at 0: one that first appears with 1 shows no increase to Prometheus."""
    for metric in (IMPOSSIBLE_OUTCOMES, RAIL_CALLS, QUOTES):
        start_at_zero(metric, rail=rail)


def code_label(code: str | None) -> str:
    """The value of the label ``code``: ``none`` for no code, ``other`` for one that is no ``PayoutCode``."""
    if code is None:
        return NONE
    return str(code) if code in _CODES else OTHER


def cause_label(code: str | None) -> str:
    """The value of the label ``cause``: ``none`` for no code, else whose the cause of the code is."""
    return NONE if code is None else str(cause_for(code))
