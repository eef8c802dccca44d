"""``python -m prizewire_payouts serve | migrate | settings``."""

import sys

from prizewire_chassis.lifecycle import main, migrations_of
from prizewire_payouts.app import build
from prizewire_payouts.files import FILES
from prizewire_payouts.settings import PayoutSettings

if __name__ == "__main__":
    sys.exit(
        main(
            service="payouts",
            settings=PayoutSettings,
            build=build,
            files=FILES,
            migrations=migrations_of("prizewire_payouts"),
        )
    )
