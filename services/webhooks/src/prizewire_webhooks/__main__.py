"""``python -m prizewire_webhooks serve | migrate | settings``."""

import sys

from prizewire_webhooks.app import run

if __name__ == "__main__":
    sys.exit(run())
