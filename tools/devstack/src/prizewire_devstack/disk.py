"""Room on the disk that holds the state directory: without it Kafka and PostgreSQL end, and say so in their logs only."""

import shutil
from pathlib import Path
from typing import Final

FREE_MIN_BYTES: Final = 300 * 1024 * 1024
FULL_IN_LOGS: Final = b"No space left on device"
"""What strerror(ENOSPC) is in a part's log; in a locale where it is not, what is free tells."""


def is_low(directory: Path) -> bool:
    """Say whether less is free than the stack needs to go on."""
    return shutil.disk_usage(directory).free < FREE_MIN_BYTES


def low(directory: Path) -> str:
    """What is so when `is_low`; the caller adds what to do."""
    return f"The disk that holds {directory} has less than {FREE_MIN_BYTES // 2**20} MB left"
