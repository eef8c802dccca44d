"""The metrics of the parts that every service shares."""

from typing import Final

from prizewire_chassis.metrics.definitions import bounded, closed, counter, gauge, histogram
from prizewire_contracts.codes import RefusalCode

CONSUMER: Final = bounded("a consumer of the service, which is also its group in Kafka", most=12)
JOB: Final = bounded("a periodic job of the service", most=60)
INVARIANT: Final = bounded("an invariant of the service, as `prizewire verify` shows it", most=80)
ROUTE: Final = bounded("the template of a route, or unmatched", most=200)
STUCK_STATE: Final = closed(("dead", "parked"))
METHOD: Final = bounded("the method of an HTTP request", most=12)

EVENTS = counter(
    "prizewire_events_total",
    "Events consumed, by outcome.",
    unit="events",
    labels={
        "consumer": CONSUMER,
        "outcome": bounded("applied, dead, parked, or why an event had no effect", most=20),
    },
)
REFUSED = counter(
    "prizewire_events_refused_total",
    "Messages that were not applied, by whether they are dead or parked and by the stable reason.",
    unit="messages",
    labels={"consumer": CONSUMER, "state": STUCK_STATE, "reason": closed(RefusalCode)},
)
BATCH_SIZE = histogram(
    "prizewire_batch_events",
    "Events in one consumed batch.",
    unit="events",
    labels={"consumer": CONSUMER},
    buckets=(1, 5, 20, 100, 300, 500, 1000),
)
BATCH_SECONDS = histogram(
    "prizewire_batch_seconds", "Time from batch to commit.", unit="seconds", labels={"consumer": CONSUMER}
)
RETRIES = counter(
    "prizewire_batch_retries_total",
    "Batches tried again, by kind of failure.",
    unit="batches",
    labels={"consumer": CONSUMER, "kind": closed(("transient", "unexpected"))},
)
CONSUMER_POLL_AGE = gauge(
    "prizewire_consumer_poll_age_seconds",
    "Time since this process's consumer last polled without an error, or a broker last answered its fetches, if that is "
    "longer ago; since its start where neither was.",
    unit="seconds",
    labels={"consumer": CONSUMER},
)
REWOUND = counter(
    "prizewire_consumer_rewound_total",
    "Messages processed again because the group's offset in Kafka was ahead of the database: it was moved, or the "
    "database was restored.",
    unit="messages",
    labels={"consumer": CONSUMER},
)
OFFSETS_WRONG = counter(
    "prizewire_consumer_offsets_wrong_total",
    "Partitions whose stored offset does not fit the topic's log, by reason: past_end (after the log's end), other_message "
    "(the log has another message before it), no_hash (the message before it is not known), deleted (messages after it "
    "were deleted before they were processed). They are read from the beginning.",
    unit="partitions",
    labels={
        "consumer": CONSUMER,
        "reason": closed(("past_end", "other_message", "no_hash", "deleted")),
    },
)
STUCK = gauge(
    "prizewire_stuck_events",
    "Dead and parked events that wait for a person.",
    unit="events",
    labels={"state": STUCK_STATE},
)
DISCARDED = counter(
    "prizewire_stuck_events_discarded_total",
    "Stuck events that a person discarded, by whether money may wait for them.",
    unit="events",
    labels={"consumer": CONSUMER, "holds_money": closed(("true", "false"))},
)
RELAYED = counter("prizewire_outbox_published_total", "Events published to Kafka.", unit="events")
OUTBOX_WAITING = gauge(
    "prizewire_outbox_waiting",
    "Events committed and not yet published, counted up to 100,000.",
    unit="events",
)
OUTBOX_AGE = gauge(
    "prizewire_outbox_age_seconds", "Age of the oldest event that waits in the outbox.", unit="seconds"
)
OUTBOX_BLOCKED = gauge(
    "prizewire_outbox_blocked",
    "1 while the event that is next to leave the outbox is refused for what it is, and everything waits behind it; else 0. "
    "Of the process that relays.",
    unit="1 or 0",
)
JOB_FAILURES = counter(
    "prizewire_job_failures_total", "Runs of a periodic job that raised.", unit="runs", labels={"job": JOB}
)
ROWS_POSTPONED = gauge(
    "prizewire_rows_postponed",
    "Rows that a job leaves out of its batches for up to an hour, because it failed on each of them alone; anything but "
    "zero needs a person.",
    unit="rows",
    labels={"job": JOB},
)
BREACHES = gauge(
    "prizewire_invariant_breaches",
    "Breaches that the last run of an invariant's check found; anything but zero needs a person.",
    unit="breaches",
    labels={"name": INVARIANT},
)
CHECK_SECONDS = gauge(
    "prizewire_invariant_check_seconds",
    "How long the last run of an invariant's check took.",
    unit="seconds",
    labels={"name": INVARIANT},
)
HTTP_REQUESTS = counter(
    "prizewire_http_requests_total",
    "HTTP requests by route template and status.",
    unit="requests",
    labels={"method": METHOD, "route": ROUTE, "status": bounded("the status of the answer", most=30)},
)
HTTP_REFUSED = counter(
    "prizewire_http_refused_total",
    "Requests and connections refused before a route was called, by code.",
    unit="requests",
    labels={"code": bounded("the stable code of the refusal", most=40)},
)
HTTP_CONNECTIONS = gauge(
    "prizewire_http_connections", "Open connections of this process's HTTP server.", unit="connections"
)
HTTP_SECONDS = histogram(
    "prizewire_http_request_seconds",
    "Time to answer.",
    unit="seconds",
    labels={"method": METHOD, "route": ROUTE},
)
TOKEN_KEYS = gauge(
    "prizewire_token_keys", "Public keys that access tokens are checked with now.", unit="keys"
)
TOKEN_KEY_READS = counter(
    "prizewire_token_key_reads_total",
    "Reads of the public keys of access tokens after the start, by outcome: read, failed (the former keys serve).",
    unit="reads",
    labels={"outcome": closed(("read", "failed"))},
)
