"""The chassis' seventh version: the trace of a correlation id, and its audit records by index. What is written here never changes."""

from typing import Final

STATEMENTS: Final = (
    """
    CREATE TABLE traces (
        correlation_id text PRIMARY KEY,
        traceparent text NOT NULL,
        stored_at timestamptz NOT NULL,
        CONSTRAINT traces_lengths CHECK (length(correlation_id) <= 128 AND length(traceparent) = 55),
        CONSTRAINT traces_times
            CHECK (stored_at BETWEEN '2000-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999999+00')
    )
    """,
    "CREATE INDEX traces_stored_at ON traces (stored_at)",
    "CREATE INDEX audit_log_correlation ON audit_log (correlation_id, sequence)",
)
"""In the order in which they are run."""
