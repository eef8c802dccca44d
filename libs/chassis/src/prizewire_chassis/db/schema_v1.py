"""The chassis' tables as every service's first migration makes them. What is written here never changes.

``tables`` says what the tables are now. A change to it needs a ``schema_v2`` of its own, that a new migration of every
service calls: a test holds what all versions make together against ``tables``.
"""

from typing import Final

STATEMENTS: Final = (
    """
    CREATE TABLE inbox (
        consumer text NOT NULL,
        source text NOT NULL,
        event_id text NOT NULL,
        hash bytea NOT NULL,
        received_at timestamptz NOT NULL,
        PRIMARY KEY (consumer, source, event_id)
    )
    """,
    """
    CREATE TABLE applied_versions (
        consumer text NOT NULL,
        source text NOT NULL,
        subject text NOT NULL,
        version integer NOT NULL,
        PRIMARY KEY (consumer, source, subject)
    )
    """,
    """
    CREATE TABLE consumer_offsets (
        consumer text NOT NULL,
        topic text NOT NULL,
        partition integer NOT NULL,
        next_offset bigint NOT NULL,
        updated_at timestamptz NOT NULL,
        PRIMARY KEY (consumer, topic, partition)
    )
    """,
    """
    CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        topic text NOT NULL,
        key bytea NOT NULL,
        value bytea NOT NULL,
        event_id text NOT NULL UNIQUE,
        created_at timestamptz NOT NULL
    )
    """,
    # What waits is named in a narrow table of its own: marking a row of the outbox would write its whole event again.
    "CREATE TABLE outbox_waiting (id bigint PRIMARY KEY)",
    """
    CREATE TABLE stuck_events (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        consumer text NOT NULL,
        topic text NOT NULL,
        partition integer NOT NULL,
        "offset" bigint NOT NULL,
        event_id text,
        source text,
        subject text,
        type text,
        version integer,
        correlation_id text,
        state text NOT NULL,
        reason text NOT NULL,
        detail text NOT NULL,
        value bytea NOT NULL,
        recorded_at timestamptz NOT NULL,
        replayed_at timestamptz,
        replayed_by text,
        UNIQUE (consumer, topic, partition, "offset")
    )
    """,
    "CREATE INDEX stuck_events_parked ON stuck_events (consumer, source, subject, id) WHERE state = 'parked'",
    "CREATE INDEX stuck_events_correlation ON stuck_events (correlation_id)",
    """
    CREATE TABLE idempotency_keys (
        actor text NOT NULL,
        route text NOT NULL,
        key text NOT NULL,
        body_hash bytea NOT NULL,
        status integer,
        answer jsonb,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (actor, route, key)
    )
    """,
    """
    CREATE TABLE audit_log (
        sequence bigint PRIMARY KEY,
        at timestamptz NOT NULL,
        actor text NOT NULL,
        action text NOT NULL,
        target text NOT NULL,
        reason text,
        detail jsonb NOT NULL,
        correlation_id text NOT NULL,
        prev_hash text NOT NULL,
        hash text NOT NULL
    )
    """,
    """
    CREATE TABLE assets (
        code text PRIMARY KEY,
        decimals integer NOT NULL,
        redeemable boolean NOT NULL
    )
    """,
)
"""In the order in which they are run."""
