"""The second version of the chassis' schema: a function removes rows from the inbox. Its statements never change."""

from typing import Final

# The service may not delete from its inbox: an applied event could then be applied again. A refused event must not keep its
# id, since a forged event could block an authentic one. So a row is removed in the transaction that inserted it, or where
# its message is parked. An applied message never is.
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
