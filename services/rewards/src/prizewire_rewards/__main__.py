"""``python -m prizewire_rewards serve|migrate|settings``."""

import sys

from prizewire_chassis.lifecycle import main, migrations_of
from prizewire_rewards.app import FILES, SERVICE, build
from prizewire_rewards.settings import RewardsSettings

if __name__ == "__main__":
    sys.exit(
        main(
            service=SERVICE,
            settings=RewardsSettings,
            build=build,
            files=FILES,
            migrations=migrations_of("prizewire_rewards"),
        )
    )
