"""`python -m prizewire_devstack` is the `prizewire` command."""

from prizewire_devstack.cli import main

if __name__ == "__main__":
    main()
