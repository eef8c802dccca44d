"""The chassis' second version: what leaves the inbox leaves it by a function. What is written here never changes."""

from typing import Final

# The service may not delete from its inbox: an event that was applied could be applied again. What is refused leaves no
# trace, so that nobody uses up the id of an honest event: a row goes again in the transaction that made it, or when the
# message that it is of lies parked, which no applied one does.
STATEMENTS: Final = (
    """
    CREATE FUNCTION inbox_forget(consumers text, sources text[], ids text[], hashes bytea[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        DELETE FROM inbox i USING unnest(sources, ids, hashes) AS u(source, event_id, hash)
        WHERE i.consumer = consumers AND i.source = u.source AND i.event_id = u.event_id AND i.hash = u.hash
        AND (i.xmin = pg_current_xact_id()::xid OR EXISTS (
            SELECT 1 FROM stuck_events s WHERE s.consumer = i.consumer AND s.source = i.source
            AND s.event_id = i.event_id AND s.state = 'parked'
        ))
    $$
    """,
    "REVOKE EXECUTE ON FUNCTION inbox_forget(text, text[], text[], bytea[]) FROM PUBLIC",
)
"""In the order in which they are run."""
