"""The console that commands print to."""

from typing import Final

from rich.console import Console

PIPE_WIDTH: Final = 160
"""Columns of output without a terminal: wide enough for a table with whole transaction hashes."""


def console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, or wide enough for tables where there is none."""
    made = Console(stderr=stderr)
    return made if made.is_terminal else Console(stderr=stderr, width=PIPE_WIDTH)
