"""Ctrl-C while the modules of the `prizewire` command are imported: it ends the command at once.

Python would print a traceback of the import. This module imports nothing of the command, so that the handler is set first.
"""

import os
import signal
from types import FrameType
from typing import Final

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as a shell has it."""


def _end(_signum: int, _frame: FrameType | None) -> None:
    os.write(2, b"Stopped.\n")
    os._exit(INTERRUPTED)


def importing() -> None:
    """Let Ctrl-C end the command at once, until ``imported``."""
    # A shell lets a command in the background ignore Ctrl-C: that stays.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def imported() -> None:
    """Let Ctrl-C raise KeyboardInterrupt from now on: the command is imported, and may have things to stop."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
