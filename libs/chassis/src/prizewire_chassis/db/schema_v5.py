"""The chassis' fifth version: a row of the audit chain continues it. What is written here never changes."""

from typing import Final

# A row with a far number, or with a hash that no record can name, would end the chain: every later audited action fails,
# and no login may delete the row. The lock is the one of ``Audit.record``, so that each writer sees the newest row.
STATEMENTS: Final = (
    """
    CREATE FUNCTION audit_log_continues() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE last_sequence bigint; last_hash text;
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('prizewire.audit'));
        SELECT a.sequence, a.hash INTO last_sequence, last_hash FROM audit_log a ORDER BY a.sequence DESC LIMIT 1;
        IF NEW.sequence IS NULL OR NEW.sequence < 1 OR NEW.sequence - 1 <> coalesce(last_sequence, 0)
            OR NEW.prev_hash IS DISTINCT FROM coalesce(last_hash, repeat('0', 64))
            OR NEW.hash IS NULL OR NEW.hash !~ '^[0-9a-f]{64}$'
        THEN
            RAISE EXCEPTION 'audit record % does not continue the chain, whose newest record is %',
                NEW.sequence, coalesce(last_sequence, 0) USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    (
        "CREATE TRIGGER audit_log_continues BEFORE INSERT ON audit_log "
        "FOR EACH ROW EXECUTE FUNCTION audit_log_continues()"
    ),
)
"""In the order in which they are run. They change no row: a chain that is broken stays so, and ``audit.chain`` reports it."""
