"""`python -m prizewire_devstack` is the `prizewire` command."""

from prizewire_devstack.entry import main

if __name__ == "__main__":
    main()
