"""Start of the `prizewire` command."""

from prizewire_devstack.interrupts import importing


def main() -> None:
    """Run the command."""
    importing()
    from prizewire_devstack.cli.main import main as run  # noqa: PLC0415 - after the handler of Ctrl-C

    run()
