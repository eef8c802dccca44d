"""``python -m prizewire_webhooks serve | migrate | settings``."""

import sys

from prizewire_chassis.lifecycle import main, migrations_of
from prizewire_webhooks.app import FILES, build
from prizewire_webhooks.settings import WebhooksSettings

if __name__ == "__main__":
    sys.exit(
        main(
            service="webhooks",
            settings=WebhooksSettings,
            build=build,
            files=FILES,
            migrations=migrations_of("prizewire_webhooks"),
        )
    )
