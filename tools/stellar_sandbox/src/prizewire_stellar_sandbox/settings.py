"""The settings of the sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

STANDALONE_PASSPHRASE: Final = "Standalone Network ; February 2017"  # noqa: S105 - a name, not a secret


@dataclass(frozen=True, slots=True)
class Settings:
    """Port 0 takes a free one."""

    state: Path
    host: str
    port: int
    passphrase: str
    ledger_interval_ms: int
