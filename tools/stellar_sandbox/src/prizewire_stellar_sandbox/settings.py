"""What can be chosen when the sandbox starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

STANDALONE_PASSPHRASE: Final = "Standalone Network ; February 2017"  # noqa: S105 - a name, not a secret


@dataclass(frozen=True, slots=True)
class Settings:
    """``base_url`` is where clients reach the sandbox; getNetwork tells them friendbot's address from it."""

    state: Path
    base_url: str
    passphrase: str = STANDALONE_PASSPHRASE
    ledger_interval_ms: int = 1000
