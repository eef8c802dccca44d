"""The chassis' own metrics. Label values are of closed sets: consumer names, outcomes, routes."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("prizewire_events_total", "Events consumed, by outcome.", ["consumer", "outcome"])
REFUSED = Counter(
    "prizewire_events_refused_total",
    "Messages that were not applied, by whether they are dead or parked and by the stable reason.",
    ["consumer", "state", "reason"],
)
BATCH_SIZE = Histogram(
    "prizewire_batch_events",
    "Events in one consumed batch.",
    ["consumer"],
    buckets=(1, 5, 20, 100, 300, 500, 1000),
)
BATCH_SECONDS = Histogram("prizewire_batch_seconds", "Time from batch to commit.", ["consumer"])
RETRIES = Counter(
    "prizewire_batch_retries_total", "Batches tried again, by kind of failure.", ["consumer", "kind"]
)
CONSUMER_POLL_AGE = Gauge(
    "prizewire_consumer_poll_age_seconds",
    "Time since this process's consumer last polled without an error, or a broker last answered its fetches, if that is "
    "longer ago; since its start where neither was.",
    ["consumer"],
)
REWOUND = Counter(
    "prizewire_consumer_rewound_total",
    "Messages processed again because the group's offset in Kafka was ahead of the database: it was moved, or the "
    "database was restored.",
    ["consumer"],
)
OFFSETS_WRONG = Counter(
    "prizewire_consumer_offsets_wrong_total",
    "Partitions whose stored offset does not fit the topic's log, by reason: past_end (after the log's end), other_message "
    "(the log has another message before it), no_hash (the message before it is not known), deleted (messages after it "
    "were deleted before they were processed). They are read from the beginning.",
    ["consumer", "reason"],
)
STUCK = Gauge("prizewire_stuck_events", "Dead and parked events that wait for a person.", ["state"])
DISCARDED = Counter(
    "prizewire_stuck_events_discarded_total",
    "Stuck events that a person discarded, by whether money may wait for them.",
    ["consumer", "holds_money"],
)
RELAYED = Counter("prizewire_outbox_published_total", "Events published to Kafka.")
OUTBOX_WAITING = Gauge(
    "prizewire_outbox_waiting", "Events committed and not yet published, counted up to 100,000."
)
OUTBOX_AGE = Gauge("prizewire_outbox_age_seconds", "Age of the oldest event that waits in the outbox.")
OUTBOX_BLOCKED = Gauge(
    "prizewire_outbox_blocked",
    "1 while the event that is next to leave the outbox is refused for what it is, and everything waits behind it; else 0. "
    "Of the process that relays.",
)
JOB_FAILURES = Counter("prizewire_job_failures_total", "Runs of a periodic job that raised.", ["job"])
ROWS_POSTPONED = Gauge(
    "prizewire_rows_postponed",
    "Rows that a job leaves out of its batches for up to an hour, because it failed on each of them alone; anything but "
    "zero needs a person.",
    ["job"],
)
BREACHES = Gauge(
    "prizewire_invariant_breaches",
    "Breaches that the last run of an invariant's check found; anything but zero needs a person.",
    ["name"],
)
CHECK_SECONDS = Gauge(
    "prizewire_invariant_check_seconds", "How long the last run of an invariant's check took.", ["name"]
)
HTTP_REQUESTS = Counter(
    "prizewire_http_requests_total",
    "HTTP requests by route template and status.",
    ["method", "route", "status"],
)
HTTP_REFUSED = Counter(
    "prizewire_http_refused_total",
    "Requests and connections refused before a route was called, by code.",
    ["code"],
)
HTTP_CONNECTIONS = Gauge("prizewire_http_connections", "Open connections of this process's HTTP server.")
HTTP_SECONDS = Histogram("prizewire_http_request_seconds", "Time to answer.", ["method", "route"])
TOKEN_KEYS = Gauge("prizewire_token_keys", "Public keys that access tokens are checked with now.")
TOKEN_KEY_READS = Counter(
    "prizewire_token_key_reads_total",
    "Reads of the public keys of access tokens after the start, by outcome: read, failed (the former keys serve).",
    ["outcome"],
)
