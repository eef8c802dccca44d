"""``python -m prizewire_settlement serve | migrate | settings``."""

import sys
from pathlib import Path

from prizewire_chassis.lifecycle import main
from prizewire_settlement.app import build
from prizewire_settlement.settings import Settings

MIGRATIONS = Path(__file__).parents[2] / "migrations"

if __name__ == "__main__":
    sys.exit(main(service="settlement", settings=Settings, build=build, migrations=MIGRATIONS))
