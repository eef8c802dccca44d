"""Every metric of webhooks, with its meaning, its unit and the values of its labels.

This module is below the features, so it repeats the names of their states; tests/integration/test_metrics.py compares them.
"""

from typing import Final

from prizewire_chassis.metrics.definitions import bounded, closed, counter, gauge, histogram

ATTEMPT_OUTCOMES: Final = ("delivered", "refused", "failed", "gone", "unverified", "superseded")
OPEN_STATES: Final = ("pending", "sending")
"""States of a delivery that has not ended."""
SUBSCRIPTION_STATES: Final = ("active", "failing", "disabled", "deleted")
PROVIDER_OUTCOMES: Final = ("accepted", "repeated", "conflict", "refused", "failed")

ATTEMPTS = counter(
    "prizewire_webhook_attempts_total",
    "Attempts to deliver, by outcome: delivered, refused, failed, gone, unverified (the event could not be verified, and nothing "
    "was sent), superseded (another worker took over).",
    unit="attempts",
    labels={"outcome": closed(ATTEMPT_OUTCOMES)},
)
ATTEMPT_SECONDS = histogram(
    "prizewire_webhook_attempt_seconds",
    "Time from the start of an attempt to its answer or failure.",
    unit="seconds",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)
DELIVERY_SECONDS = histogram(
    "prizewire_webhook_delivery_seconds",
    "Time from taking an event in to the subscriber's 2xx.",
    unit="seconds",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600, 21600, 86400, 259200),
)
IN_FLIGHT = gauge("prizewire_webhook_in_flight", "Attempts under way in this process.", unit="attempts")
DELIVERIES_OPEN = gauge(
    "prizewire_webhook_deliveries_open",
    "Deliveries not yet ended, by state.",
    unit="deliveries",
    labels={"state": closed(OPEN_STATES)},
)
OLDEST = gauge(
    "prizewire_webhook_oldest_seconds",
    "Age of the oldest delivery that has not ended; 0 where all have.",
    unit="seconds",
)
SUBSCRIPTIONS = gauge(
    "prizewire_webhook_subscriptions",
    "Subscriptions by state.",
    unit="subscriptions",
    labels={"state": closed(SUBSCRIPTION_STATES)},
)
PROVIDER_EVENTS = counter(
    "prizewire_provider_webhooks_total",
    "Webhooks of providers, by rail and outcome: accepted, repeated, conflict (its id came with another body), refused (no valid "
    "signature, stale or malformed), failed (it could not be stored, and the provider got an error). A call for a rail that is not "
    "configured is not counted.",
    unit="webhooks",
    labels={
        "rail": bounded("a configured rail that takes webhooks", most=30),
        "outcome": closed(PROVIDER_OUTCOMES),
    },
)
PROVIDER_REFUSALS: Final = ("signature_invalid", "timestamp_stale", "malformed", "provider_event_conflict")
"""The codes with which a provider's webhook is refused."""
PROVIDER_EVENTS_REFUSED = counter(
    "prizewire_provider_webhooks_refused_total",
    "Webhooks of providers that were refused or contradict an earlier one, by rail and by the code of the answer.",
    unit="webhooks",
    labels={
        "rail": bounded("a configured rail that takes webhooks", most=30),
        "code": closed(PROVIDER_REFUSALS),
    },
)
