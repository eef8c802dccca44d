"""The jobs that keep the figures of campaigns for metrics."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import STARTUP_DELAY_S, Job
from prizewire_money import AssetRegistry
from prizewire_rewards import metrics
from prizewire_rewards.campaigns.storage.pools import (
    HeldFigures,
    PoolFigures,
    count_states,
    held_figures,
    pool_figures,
    sum_paid,
)

FIGURES_INTERVAL_S = 20.0
SUM_UP_INTERVAL_S = 60.0
_POOL_FIGURES: Final = (
    metrics.POOL_FUNDED,
    metrics.POOL_REMAINING,
    metrics.POOL_RESERVED,
    metrics.POOL_PAID,
    metrics.POOL_UNFUNDED,
    metrics.POOL_MISSING,
    metrics.POOL_LOW,
)
_shown: set[tuple[str, str, str]] = set()
"""The labels of pools (campaign, name, asset) that have series."""


def build_campaign_jobs(*, db: Database, assets: AssetRegistry, clock: Clock) -> Sequence[Job]:
    """Build the job that sets the gauges of campaigns, pools and held prizes, and the job that adds new transfers to the stored sums of paid
    prizes. Several instances may run at once: each transfer is added once.
    """

    async def show() -> bool:
        async with db.transaction() as tx:
            states = await count_states(tx)
            pools = await pool_figures(tx, shown=metrics.CAMPAIGNS_SHOWN)
            held = await held_figures(tx)
        _show_campaigns(states)
        _show_pools(pools, assets=assets)
        _show_held(held, assets=assets, now=clock.now())
        return False

    async def add_up() -> bool:
        return await db.run(sum_paid)

    return (
        Job("campaigns.figures", FIGURES_INTERVAL_S, show),
        Job("campaigns.paid", SUM_UP_INTERVAL_S, add_up, first_s=STARTUP_DELAY_S),
    )


def _show_campaigns(states: Mapping[str, int]) -> None:
    """Set the number of campaigns in each state; 0 for a state without campaigns."""
    for state in metrics.CAMPAIGN_STATES:
        metrics.CAMPAIGNS.labels(state).set(states.get(state, 0))


def _show_pools(pools: Iterable[PoolFigures], *, assets: AssetRegistry) -> None:
    """Set the figures of pools, and remove the series of campaigns that are not among them. All happens without a pause, so
    that no scrape sees a part of it. An asset that is not configured any more is left out.
    """
    shown = {(one.campaign, one.name, one.asset): one for one in pools if one.asset in assets}
    for labels in _shown - shown.keys():
        for figure in _POOL_FIGURES:
            figure.remove(*labels)
    for labels, one in shown.items():
        scale = assets[one.asset].scale
        metrics.POOL_FUNDED.labels(*labels).set(one.funded / scale)
        metrics.POOL_REMAINING.labels(*labels).set(one.remaining / scale)
        metrics.POOL_RESERVED.labels(*labels).set(one.reserved / scale)
        metrics.POOL_PAID.labels(*labels).set(one.paid / scale)
        metrics.POOL_UNFUNDED.labels(*labels).set(one.unfunded / scale)
        metrics.POOL_MISSING.labels(*labels).set(one.missing / scale)
        metrics.POOL_LOW.labels(*labels).set(one.low)
    _shown.clear()
    _shown.update(shown)


def _show_held(held: Iterable[HeldFigures], *, assets: AssetRegistry, now: datetime) -> None:
    """Set the figures of held prizes; 0 for a cap or an asset without one."""
    by_cap: Counter[str] = Counter()
    by_asset: Counter[str] = Counter()
    oldest = now
    for one in held:
        by_cap[one.cap] += one.prizes
        by_asset[one.asset] += one.amount
        oldest = min(oldest, one.oldest)
    for cap in metrics.CAPS:
        metrics.PRIZES_HELD.labels(cap).set(by_cap[cap])
    for asset in assets:
        metrics.PRIZES_HELD_AMOUNT.labels(asset).set(by_asset[asset] / assets[asset].scale)
    metrics.PRIZES_HELD_OLDEST.set((now - oldest).total_seconds())
