"""``python -m prizewire_settlement serve | migrate | settings``."""

import sys

from prizewire_chassis.lifecycle import main, migrations_of
from prizewire_settlement.app import build
from prizewire_settlement.settings import Settings

if __name__ == "__main__":
    sys.exit(
        main(
            service="settlement",
            settings=Settings,
            build=build,
            migrations=migrations_of("prizewire_settlement"),
        )
    )
