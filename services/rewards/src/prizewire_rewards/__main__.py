"""``python -m prizewire_rewards serve|migrate|settings``."""

import sys
from pathlib import Path

from prizewire_chassis.lifecycle import main
from prizewire_rewards.app import SERVICE, build
from prizewire_rewards.settings import RewardsSettings

MIGRATIONS = Path(__file__).parents[2] / "migrations"

if __name__ == "__main__":
    sys.exit(main(service=SERVICE, settings=RewardsSettings, build=build, migrations=MIGRATIONS))
