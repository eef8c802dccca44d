"""``python -m prizewire_payouts serve | migrate | settings``."""

import sys
from pathlib import Path

from prizewire_chassis.lifecycle import main
from prizewire_payouts.app import build
from prizewire_payouts.settings import PayoutSettings

MIGRATIONS = Path(__file__).parents[2] / "migrations"

if __name__ == "__main__":
    sys.exit(main(service="payouts", settings=PayoutSettings, build=build, migrations=MIGRATIONS))
