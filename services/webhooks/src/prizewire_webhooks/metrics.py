"""This service's metrics. Labels take their values from closed sets."""

from prometheus_client import Counter, Gauge, Histogram

ATTEMPTS = Counter(
    "prizewire_webhook_attempts_total",
    "Attempts to deliver, by outcome: delivered, refused, failed, gone, unverified (the event could not be verified, and nothing "
    "was sent), superseded (another worker took over).",
    ["outcome"],
)
ATTEMPT_SECONDS = Histogram(
    "prizewire_webhook_attempt_seconds",
    "Time from the start of an attempt to its answer or failure.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)
DELIVERY_SECONDS = Histogram(
    "prizewire_webhook_delivery_seconds",
    "Time from taking an event in to the subscriber's 2xx.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600, 21600, 86400, 259200),
)
IN_FLIGHT = Gauge("prizewire_webhook_in_flight", "Attempts under way in this process.")
DELIVERIES_OPEN = Gauge("prizewire_webhook_deliveries_open", "Deliveries not yet ended, by state.", ["state"])
SUBSCRIPTIONS = Gauge("prizewire_webhook_subscriptions", "Subscriptions by state.", ["state"])
PROVIDER_EVENTS = Counter(
    "prizewire_provider_webhooks_total",
    "Webhooks of providers, by outcome: accepted, repeated, conflict, refused.",
    ["outcome"],
)
