"""The chassis' eighth version: the stuck events that wait for a person, by index. What is written here never changes."""

from typing import Final

STATEMENTS: Final = (
    "CREATE INDEX stuck_events_open ON stuck_events (recorded_at) INCLUDE (state) WHERE state IN ('dead', 'parked')",
)
"""In the order in which they are run."""
