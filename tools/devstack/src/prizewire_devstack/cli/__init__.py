"""The `prizewire` command."""

from prizewire_devstack.cli.main import main

__all__ = ["main"]
