"""The chassis' third version: who gave up a stuck event, when and why. What is written here never changes."""

from typing import Final

STATEMENTS: Final = (
    "ALTER TABLE stuck_events ADD COLUMN discarded_at timestamptz",
    "ALTER TABLE stuck_events ADD COLUMN discarded_by text",
    "ALTER TABLE stuck_events ADD COLUMN discard_reason text",
)
