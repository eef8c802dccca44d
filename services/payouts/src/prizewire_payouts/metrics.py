"""Every metric of payouts, with its meaning. Labels take their values from closed sets."""

from prometheus_client import Counter, Gauge, Histogram

PAYOUT_STEPS = Counter(
    "prizewire_payout_steps_total", "Steps that payouts took, by the state reached.", ["to"]
)
ATTEMPT_STEPS = Counter(
    "prizewire_attempt_steps_total", "Steps that attempts took, by the state reached.", ["to"]
)
HOLDS = Counter("prizewire_payout_holds_total", "Holds of payouts, by the reason.", ["reason"])
BATCH_LINES = Counter(
    "prizewire_payout_batch_lines_total",
    "Lines of batches that persons decided about, by outcome: approved, needs_another, rejected, refused (nothing was decided).",
    ["outcome"],
)
AUTOMATIC_USED = Gauge(
    "prizewire_payouts_automatic_used_ratio",
    "Used part of the present UTC day's limit for payouts without a person, by asset.",
    ["asset"],
)
DENY_LIST_WRITTEN = Gauge(
    "prizewire_deny_list_written_timestamp_seconds",
    "When the file of the deny list was last written, in Unix time.",
)
DENY_LIST_REFUSED = Gauge(
    "prizewire_deny_list_refused",
    "1 while the file of the deny list cannot be read, so that the last list that could is in force.",
)
SCREENINGS = Counter(
    "prizewire_payout_screenings_total",
    "Answers of the screening service: `clear`, `hit`, or `unanswered` where it did not answer.",
    ["verdict"],
)
UNSCREENED_AGE = Gauge(
    "prizewire_payout_unscreened_age_seconds",
    "How long the oldest approved payout has been waiting for an answer of the screening service.",
)
PLAYER_EVENTS_REFUSED = Counter(
    "prizewire_payouts_player_events_refused_total",
    "Facts of players that payouts refused, since their source may not report them or did not sign them.",
    ["code"],
)
PAUSES = Gauge("prizewire_payout_pauses", "Pauses in force, by the kind of thing that they stop.", ["scope"])
PAYOUTS = Gauge("prizewire_payouts", "Payouts that have not ended, by state.", ["state"])
PAYOUTS_WAITING = Gauge(
    "prizewire_payouts_waiting",
    "Approved payouts whose next attempt is not due yet, by the code that ended the last one: `signer_limit` means "
    "that a limit of the signer's day is used up.",
    ["code"],
)
OLDEST_UNKNOWN = Gauge(
    "prizewire_payout_unknown_age_seconds",
    "How long the oldest payout of a rail has been waiting for proof of its outcome.",
    ["rail"],
)
RAIL_CIRCUIT = Gauge(
    "prizewire_rail_circuit",
    "Whether payments are begun on a rail by this process: 0 closed (they are), 1 probing (one tries it), 2 open (none is).",
    ["rail"],
)
RAIL_CALLS = Counter("prizewire_rail_calls_total", "Calls to rails, by outcome.", ["rail", "call", "outcome"])
RAIL_SECONDS = Histogram("prizewire_rail_call_seconds", "Time that a rail took to answer.", ["rail", "call"])
IMPOSSIBLE_OUTCOMES = Counter(
    "prizewire_rail_surprises_total",
    "Impossible answers of rails, which were not applied, and fees above a quote, which were booked.",
    ["rail"],
)
UNPROVED = Counter(
    "prizewire_payouts_unproved_total",
    "Payouts that waited for a rail's proof, since the row of an attempt was not written by payouts: somebody changed the database.",
)
ROWS_NOT_AUTHENTIC = Counter(
    "prizewire_rail_rows_not_authentic_total",
    "Readings of a row of a rail that payouts did not write itself, so that no rail was given it: somebody changed the database.",
)
QUOTES = Counter(
    "prizewire_payout_quotes_total",
    "Answers of rails that were asked for a quote: `offered`, `unavailable`, `unsupported` (the rail pays no such payout, such as "
    "another pair of assets than it has a rate for), `failed` (no answer in time, or an error), `limit` "
    "(an amount that the rail does not pay at once), `wrong` (an answer that does not fit the request).",
    ["rail", "outcome"],
)
EVIDENCE = Counter(
    "prizewire_payout_evidence_total",
    "Evidence of persons about payments, by the state it reached.",
    ["state"],
)
EVIDENCE_CONTRADICTED = Counter(
    "prizewire_payout_evidence_contradicted_total",
    "Lines of answer files that report another end than was proved: a confirmed payment as failed, or a failed one as paid.",
)
RETRIES = Counter(
    "prizewire_payout_retries_total",
    "Retries of ended payouts: requested by operators, and rewards' answers (filed, refused).",
    ["step"],
)
EVIDENCE_WAITING = Gauge(
    "prizewire_payout_evidence_waiting", "Evidence about payments that waits for a second person."
)
METHODS = Counter("prizewire_payout_methods_total", "Changes of payout methods.", ["change"])
VERIFICATIONS = Counter(
    "prizewire_payout_method_verifications_total",
    "Steps of verifications of payout methods: begun, not_sent, wrong, confirmed. Many wrong answers mean that somebody guesses.",
    ["step"],
)
ROTATED = Counter(
    "prizewire_payouts_rotated_rows_total",
    "Rows whose details were encrypted again by the present key, by table.",
    ["table"],
)
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
