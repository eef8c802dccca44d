"""What a desk did, counted once it is committed."""

from prizewire_rewards import metrics
from prizewire_rewards.handlers.desk import Booked


def count_booked(booked: Booked) -> None:
    """Count what was committed."""
    metrics.ROUNDS_BOOKED.inc(booked.rounds)
    metrics.ROUNDS_UNFUNDED.inc(booked.unfunded)
    metrics.ROUNDS_CORRECTED.inc(booked.corrected)
    metrics.ROUNDS_VOIDED.inc(booked.voided)
    metrics.LINES_BOOKED.inc(booked.lines)
    metrics.PAYOUTS_REQUESTED.labels("direct").inc(booked.payouts)
    metrics.RECEIVABLES_NETTED.inc(booked.netted)
    metrics.RECEIVABLES_OPENED.inc(booked.owed)
