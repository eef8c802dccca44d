"""Free space on the disk of the state directory: without it Kafka and PostgreSQL end, and only their logs have the reason."""

import shutil
from pathlib import Path
from typing import Final

FREE_MIN_BYTES: Final = 300 * 1024 * 1024
FULL_IN_LOGS: Final = b"No space left on device"
"""The text of ENOSPC in a part's log. In other locales the free space is checked alone."""


def is_low(directory: Path) -> bool:
    """Say whether the free space is below what the stack needs."""
    return shutil.disk_usage(directory).free < FREE_MIN_BYTES


def low(directory: Path) -> str:
    """The sentence for `is_low`; the caller adds what to do."""
    return f"The disk that holds {directory} has less than {FREE_MIN_BYTES // 2**20} MB left"
