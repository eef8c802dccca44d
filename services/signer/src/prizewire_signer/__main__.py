"""``python -m prizewire_signer serve | migrate | settings``."""

import sys

from prizewire_chassis.lifecycle import main, migrations_of
from prizewire_signer.app import FILES, build
from prizewire_signer.settings import SignerSettings

if __name__ == "__main__":
    sys.exit(
        main(
            service="signer",
            settings=SignerSettings,
            build=build,
            files=FILES,
            migrations=migrations_of("prizewire_signer"),
        )
    )
