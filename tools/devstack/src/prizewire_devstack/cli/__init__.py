"""The `prizewire` command."""

import sys

INTERRUPTED = 130
"""The exit code after Ctrl-C."""

try:
    from prizewire_devstack.cli.main import main
except KeyboardInterrupt:
    # Ctrl-C while the modules of the command are being imported
    sys.stderr.write("\nStopped.\n")
    raise SystemExit(INTERRUPTED) from None

__all__ = ["main"]
