"""The chassis' fourth version: an offset names the message before it. What is written here never changes."""

from typing import Final

STATEMENTS: Final = (
    "UPDATE consumer_offsets SET next_offset = 0 WHERE next_offset < 0",
    "ALTER TABLE consumer_offsets ADD COLUMN last_hash bytea",
    # A row for each partition: the scan takes no time.
    (
        "-- squawk-ignore constraint-missing-not-valid\n"
        "ALTER TABLE consumer_offsets ADD CONSTRAINT consumer_offsets_next_offset_check CHECK (next_offset >= 0)"
    ),
)
"""In the order in which they are run. A consumer reads a partition whose row has no hash from its beginning."""
