"""The jobs that keep the figures of campaigns for metrics."""

from collections.abc import Sequence

from prizewire_chassis.db import Database
from prizewire_chassis.jobs import STARTUP_DELAY_S, Job
from prizewire_money import AssetRegistry
from prizewire_rewards import metrics
from prizewire_rewards.campaigns.storage.pools import count_states, pool_figures, sum_paid

FIGURES_INTERVAL_S = 20.0
SUM_UP_INTERVAL_S = 60.0


def build_campaign_jobs(*, db: Database, assets: AssetRegistry) -> Sequence[Job]:
    """Build the job that sets the gauges of campaigns and pools, and the job that adds new transfers to the stored sums of paid
    prizes. Several instances may run at once: each transfer is added once.
    """

    async def show() -> bool:
        async with db.transaction() as tx:
            states = await count_states(tx)
            pools = await pool_figures(tx, shown=metrics.CAMPAIGNS_SHOWN)
        metrics.show_campaigns(states)
        metrics.show_pools(pools, assets=assets)
        return False

    async def add_up() -> bool:
        return await db.run(sum_paid)

    return (
        Job("campaigns.figures", FIGURES_INTERVAL_S, show),
        Job("campaigns.paid", SUM_UP_INTERVAL_S, add_up, first_s=STARTUP_DELAY_S),
    )
