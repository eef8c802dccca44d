"""Metrics of the Stellar execution. Labels take their values from closed sets."""

from prometheus_client import Counter

__all__ = ["STEPS"]

STEPS = Counter(
    "prizewire_stellar_steps_total",
    "Steps of Stellar transactions by the state they led to; `review` means that a person must look.",
    ["state"],
)
