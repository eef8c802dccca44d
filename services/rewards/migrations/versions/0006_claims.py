"""Campaigns with settings, caps and withdrawals; claims; and what is known of players for risk rules.

States are a literal copy of the domain's table; a test compares them.
"""

from alembic import op

from prizewire_chassis.db.schema import append_only, guard_transitions, runtime_role

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CLAIM_STATES = (
    ("open", "approved"),
    ("open", "held"),
    ("open", "rejected"),
    ("open", "expired"),
    ("held", "approved"),
    ("held", "rejected"),
    ("approved", "open"),
    ("rejected", "open"),
)

# What campaigns that were there before go by: no caps, no low-water mark, no risk rules, and a month to claim.
NOTHING_SAID = (
    '{"low_water": null, '
    '"caps": {"per_player": null, "per_player_day": null, "per_campaign_day": null, "per_campaign": null}, '
    '"claim": {"expires_s": 2592000, "review_deadline_s": 259200, "at_deadline": "reject"}, '
    '"risk": {"velocity": null, "amount": null, "new_account_s": null, "collusion_winners": null, "kyc_above": null}}'
)

CAMPAIGNS = (
    f"""
    ALTER TABLE campaigns
        ADD COLUMN withdrawn bigint NOT NULL DEFAULT 0,
        ADD COLUMN low boolean NOT NULL DEFAULT false,
        ADD COLUMN capped boolean NOT NULL DEFAULT false,
        ADD COLUMN settings jsonb NOT NULL DEFAULT '{NOTHING_SAID}',
        ADD COLUMN settings_version integer NOT NULL DEFAULT 1
    """,
    # Made by the statement before, for rows that were there: nobody relies on it.
    "-- squawk-ignore ban-drop-default\nALTER TABLE campaigns ALTER COLUMN settings DROP DEFAULT",
    # It is made again at once, wider; rows that satisfied the narrower one satisfy it too.
    "-- squawk-ignore ban-drop-constraint\nALTER TABLE campaigns DROP CONSTRAINT campaigns_delivery",
    "ALTER TABLE campaigns ADD CONSTRAINT campaigns_delivery CHECK (delivery IN ('wallet', 'direct', 'claim')) NOT VALID",
    """
    ALTER TABLE campaigns ADD CONSTRAINT campaigns_withdrawn
    CHECK (withdrawn >= 0 AND granted + withdrawn <= funded) NOT VALID
    """,
    """
    CREATE TRIGGER campaigns_forward_settings BEFORE UPDATE ON campaigns FOR EACH ROW
    WHEN (NEW.withdrawn < OLD.withdrawn OR NEW.settings_version < OLD.settings_version OR (OLD.capped AND NOT NEW.capped)
          OR (NEW.settings IS DISTINCT FROM OLD.settings AND NEW.settings_version = OLD.settings_version))
    EXECUTE FUNCTION refuse_rebinding()
    """,
    """
    CREATE TABLE campaign_settings (
        campaign uuid NOT NULL REFERENCES campaigns (id),
        version integer NOT NULL,
        settings jsonb NOT NULL,
        actor text NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (campaign, version)
    )
    """,
    "INSERT INTO campaign_settings SELECT id, 1, settings, created_by, created_at FROM campaigns",
)

CAPS = (
    # ``player`` and ``day`` are empty where the count is over all of them.
    """
    CREATE TABLE cap_usage (
        campaign uuid NOT NULL REFERENCES campaigns (id),
        cap text NOT NULL,
        player text NOT NULL,
        day text NOT NULL,
        used bigint NOT NULL CONSTRAINT cap_usage_used CHECK (used >= 0),
        PRIMARY KEY (campaign, cap, player, day)
    )
    """,
    """
    CREATE TABLE cap_lines (
        reward_id uuid PRIMARY KEY,
        campaign uuid NOT NULL REFERENCES campaigns (id),
        player text NOT NULL,
        day date NOT NULL,
        amount bigint NOT NULL CONSTRAINT cap_lines_amount CHECK (amount > 0)
    )
    """,
    "CREATE INDEX cap_lines_campaign ON cap_lines (campaign)",
)

CLAIMS = (
    """
    CREATE TABLE claims (
        reward_id uuid PRIMARY KEY,
        round_id uuid NOT NULL,
        campaign uuid NOT NULL REFERENCES campaigns (id),
        player text NOT NULL,
        state text NOT NULL,
        deadline timestamptz NOT NULL,
        opened_at timestamptz NOT NULL,
        claimed_at timestamptz,
        decided_at timestamptz,
        decided_by text,
        reason text,
        rule text,
        findings jsonb NOT NULL,
        version integer NOT NULL,
        CONSTRAINT claims_decided CHECK ((state IN ('open', 'held')) = (decided_at IS NULL)),
        CONSTRAINT claims_decider CHECK ((decided_at IS NULL) = (decided_by IS NULL)),
        -- What a rule decided is decided by the service, whatever a player may be called.
        CONSTRAINT claims_own CHECK (decided_by <> player OR decided_by = 'rewards'),
        CONSTRAINT claims_held CHECK (state <> 'held' OR (claimed_at IS NOT NULL AND rule IS NOT NULL))
    )
    """,
    "CREATE INDEX claims_due ON claims (state, deadline) WHERE state IN ('open', 'held')",
    "CREATE INDEX claims_player ON claims (player, opened_at)",
    "CREATE INDEX claims_campaign ON claims (campaign, opened_at)",
    "CREATE INDEX claims_opened ON claims (opened_at, reward_id)",
    "CREATE INDEX claims_round ON claims (round_id)",
    # The guards' words name the id of a row, so what has its prize's id is told by a function of its own.
    """
    CREATE FUNCTION claims_refuse_rebinding() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
    BEGIN
        RAISE EXCEPTION 'claims %: what it is bound to does not change, and its counters only grow', OLD.reward_id
            USING ERRCODE = 'check_violation';
    END $$
    """,
    """
    CREATE TRIGGER claims_bound BEFORE UPDATE ON claims FOR EACH ROW
    WHEN ((OLD.reward_id, OLD.round_id, OLD.campaign, OLD.player, OLD.opened_at)
          IS DISTINCT FROM (NEW.reward_id, NEW.round_id, NEW.campaign, NEW.player, NEW.opened_at)
          OR NEW.version < OLD.version OR (NEW.state IS DISTINCT FROM OLD.state AND NEW.version = OLD.version))
    EXECUTE FUNCTION claims_refuse_rebinding()
    """,
    "CREATE TRIGGER claims_kept BEFORE DELETE OR TRUNCATE ON claims FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
)

# Rows may be deleted: this is all that is kept of a player but for money.
PLAYERS = (
    """
    CREATE TABLE players (
        player text PRIMARY KEY,
        registered_at timestamptz,
        registered_at_told timestamptz,
        kyc_state text CONSTRAINT players_kyc_state CHECK (kyc_state IN ('none', 'pending', 'verified', 'rejected')),
        kyc_state_told timestamptz,
        device_hash text CONSTRAINT players_device_hash CHECK (device_hash ~ '^[0-9a-f]{64}$'),
        device_hash_told timestamptz,
        address_hash text CONSTRAINT players_address_hash CHECK (address_hash ~ '^[0-9a-f]{64}$'),
        address_hash_told timestamptz,
        changed_at timestamptz
    )
    """,
    "CREATE INDEX players_device ON players (device_hash) WHERE device_hash IS NOT NULL",
    "CREATE INDEX players_address ON players (address_hash) WHERE address_hash IS NOT NULL",
)


def upgrade() -> None:
    for statement in (*CAMPAIGNS, *CAPS, *CLAIMS, *PLAYERS):
        op.execute(statement)
    append_only(op, "campaign_settings")
    guard_transitions(op, table="claims", allowed=CLAIM_STATES, start=["open"])
    role = runtime_role(op)
    if role is not None:
        op.execute(f'REVOKE DELETE, TRUNCATE ON claims, cap_usage FROM "{role}"')
        op.execute(f'REVOKE TRUNCATE ON cap_lines, players FROM "{role}"')


def downgrade() -> None:
    """Money is never migrated backwards: restore a backup instead."""
    raise RuntimeError("claims and withdrawals cannot be taken back by a migration")
