"""The metrics of the parts that every service shares."""

from http import HTTPMethod
from typing import Final

from prizewire_chassis.metrics.definitions import bounded, closed, counter, gauge, histogram
from prizewire_chassis.metrics.labels import (
    CredentialKind,
    EventOutcome,
    LostSpans,
    OpenStuckState,
    RetryKind,
    TokenKeyRead,
    WrongOffset,
)
from prizewire_contracts.codes import RefusalCode

CONSUMER: Final = bounded("a consumer of the service, which is also its group in Kafka", most=12)
TASK: Final = bounded("a periodic job of the service", most=60)
"""The label is not named `job`: Prometheus gives each target a label of that name."""
INVARIANT: Final = bounded("an invariant of the service, as `prizewire verify` shows it", most=80)
ROUTE: Final = bounded("the template of a route", most=200)
STUCK_STATE: Final = closed(OpenStuckState)
METHOD: Final = closed(HTTPMethod, meaning="the method of an HTTP request")

EVENTS = counter(
    "prizewire_events_total",
    "Events consumed, by outcome.",
    unit="events",
    labels={
        "consumer": CONSUMER,
        "outcome": closed(EventOutcome, meaning="the outcome of the event"),
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
    labels={"consumer": CONSUMER, "kind": closed(RetryKind)},
)
CONSUMER_POLL_AGE = gauge(
    "prizewire_consumer_poll_age_seconds",
    "Time since this process's consumer last polled without an error, or a broker last answered its fetches, if that is "
    "longer ago; since its start where neither was.",
    unit="seconds",
    labels={"consumer": CONSUMER},
)
CONSUMER_LAG = gauge(
    "prizewire_consumer_lag_messages",
    "Messages in the topic after those that this process has processed, over the partitions that it has now; NaN (not known) where no "
    "broker has said for a minute where they end.",
    unit="messages",
    labels={"consumer": CONSUMER},
)
CONSUMER_LAG_SECONDS = gauge(
    "prizewire_consumer_lag_seconds",
    "How long the oldest message has waited that this process has not processed, over the partitions that it has now; 0 "
    "where none waits. A partition whose start is not known yet counts from its assignment. NaN (not known) where no broker has "
    "said for a minute where the partitions end.",
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
        "reason": closed(WrongOffset),
    },
)
SPANS_LOST = counter(
    "prizewire_spans_lost_total",
    "Spans of traces that did not reach the collector, by reason: queue_full (too many waited), not_taken (the collector did not "
    "take them).",
    unit="spans",
    labels={"reason": closed(LostSpans)},
)
STUCK = gauge(
    "prizewire_stuck_events",
    "Dead and parked events that wait for a person.",
    unit="events",
    labels={"state": STUCK_STATE},
)
STUCK_OLDEST = gauge(
    "prizewire_stuck_oldest_seconds",
    "Age of the oldest stuck event that waits for a person; 0 where none waits.",
    unit="seconds",
    labels={"state": STUCK_STATE},
)
PARKED_SUBJECTS = gauge(
    "prizewire_parked_subjects",
    "Subjects with a parked event: all later events of the subject wait behind it, each consumer counted for itself.",
    unit="subjects",
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
    "prizewire_job_failures_total", "Runs of a periodic job that raised.", unit="runs", labels={"task": TASK}
)
ROWS_POSTPONED = gauge(
    "prizewire_rows_postponed",
    "Rows that a job leaves out of its batches for up to an hour, because it failed on each of them alone; anything but "
    "zero needs a person.",
    unit="rows",
    labels={"task": TASK},
)
BREACHES = gauge(
    "prizewire_invariant_breaches",
    "Breaches of an invariant that its check knows; anything but zero needs a person.",
    unit="breaches",
    labels={"name": INVARIANT},
)
CHECK_SECONDS = gauge(
    "prizewire_invariant_check_seconds",
    "How long the last run of an invariant's check took.",
    unit="seconds",
    labels={"name": INVARIANT},
)
CHECKED_AT = gauge(
    "prizewire_invariant_checked_timestamp_seconds",
    "When the check of an invariant last ended without an error, or such a check of a part of it.",
    unit="Unix time",
    labels={"name": INVARIANT},
)
CREDENTIAL_EXPIRES = gauge(
    "prizewire_credential_expires_timestamp_seconds",
    "When a credential ends; of a file with several certificates, when the first of them ends. One that has ended is shown until it is "
    "replaced.",
    unit="Unix time",
    labels={
        "kind": closed(CredentialKind),
        "name": bounded(
            "the setting that names the file of a certificate; else the name of the credential", most=100
        ),
    },
)
BUILD_INFO = gauge(
    "prizewire_build_info",
    "1: the service and the version of its package.",
    unit="",
    labels={
        "service": bounded("the service", most=5),
        "version": bounded("the version of the service's package", most=5),
    },
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
    labels={"outcome": closed(TokenKeyRead)},
)
