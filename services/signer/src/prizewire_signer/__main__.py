"""``python -m prizewire_signer serve | migrate | settings``."""

import sys
from pathlib import Path

from prizewire_chassis.lifecycle import main
from prizewire_signer.app import build
from prizewire_signer.settings import SignerSettings

MIGRATIONS = Path(__file__).parents[2] / "migrations"

if __name__ == "__main__":
    sys.exit(main(service="signer", settings=SignerSettings, build=build, migrations=MIGRATIONS))
