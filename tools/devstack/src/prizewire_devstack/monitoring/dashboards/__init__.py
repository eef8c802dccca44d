"""The five dashboards, in the order of their links."""

from typing import Final

from prizewire_devstack.monitoring.dashboards.health import HEALTH
from prizewire_devstack.monitoring.dashboards.pipeline import PIPELINE
from prizewire_devstack.monitoring.dashboards.rails import RAILS
from prizewire_devstack.monitoring.dashboards.rewards import REWARDS
from prizewire_devstack.monitoring.dashboards.stellar_signer import STELLAR_SIGNER
from prizewire_devstack.monitoring.panels import Dashboard

DASHBOARDS: Final[tuple[Dashboard, ...]] = (REWARDS, RAILS, PIPELINE, STELLAR_SIGNER, HEALTH)
"""All dashboards."""
