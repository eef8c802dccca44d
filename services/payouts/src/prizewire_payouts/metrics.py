"""Every metric of payouts, with its meaning. Labels take their values from closed sets."""

from prometheus_client import Counter, Gauge, Histogram

PAYOUT_STEPS = Counter(
    "prizewire_payout_steps_total", "Steps that payouts took, by the state reached.", ["to"]
)
ATTEMPT_STEPS = Counter(
    "prizewire_attempt_steps_total", "Steps that attempts took, by the state reached.", ["to"]
)
HOLDS = Counter("prizewire_payout_holds_total", "Holds of payouts, by the reason.", ["reason"])
AUTOMATIC_USED = Gauge(
    "prizewire_payouts_automatic_used_ratio",
    "Used part of the present UTC day's limit for payouts without a person, by asset.",
    ["asset"],
)
PAYOUTS = Gauge("prizewire_payouts", "Payouts that have not ended, by state.", ["state"])
PAYOUTS_WAITING = Gauge(
    "prizewire_payouts_waiting",
    "Approved payouts whose next attempt is not due yet, by the code that ended the last one: `signer_limit` means "
    "that a limit of the signer's day is used up.",
    ["code"],
)
OLDEST_UNKNOWN = Gauge(
    "prizewire_payout_unknown_age_seconds",
    "How long the oldest payout has been waiting for proof of its outcome.",
)
RAIL_CALLS = Counter("prizewire_rail_calls_total", "Calls to rails, by outcome.", ["rail", "call", "outcome"])
RAIL_SECONDS = Histogram("prizewire_rail_call_seconds", "Time that a rail took to answer.", ["rail", "call"])
IMPOSSIBLE_OUTCOMES = Counter(
    "prizewire_rail_surprises_total", "Impossible answers of rails, which were not applied.", ["rail"]
)
UNPROVED = Counter(
    "prizewire_payouts_unproved_total",
    "Payouts that waited for a rail's proof, since the row of an attempt was not written by payouts: somebody changed the database.",
)
METHODS = Counter("prizewire_payout_methods_total", "Changes of payout methods.", ["change"])
STELLAR_STEPS = Counter(
    "prizewire_stellar_steps_total",
    "Steps of Stellar transactions by the state they led to; `review` means that a person must look.",
    ["state"],
)
STELLAR_SIGNER_WAITS = Counter(
    "prizewire_stellar_signer_waits_total",
    "Payments that left a batch because the signer said that they must wait for an earlier slot of theirs.",
)
STELLAR_UNKNOWN_ANSWERS = Counter(
    "prizewire_stellar_unknown_answers_total",
    "The signer's answers to requests that payouts does not know, by kind: an attacker sent requests in payouts' name, or "
    "payouts' database was restored from a backup.",
    ["kind"],
)
STELLAR_CONTRADICTIONS = Counter(
    "prizewire_stellar_contradictions_total",
    "Transactions that ended without success, although the ledger applied them: an answer of the signer was forged, or "
    "somebody changed the database.",
)
STELLAR_VOIDS = Counter(
    "prizewire_stellar_voids_total",
    "Transactions begun to void a slot on which nothing could be paid any more; many mean trouble with the network.",
)
