"""The settings of rewards, in addition to those of every service."""

from pathlib import Path

from pydantic import Field

from prizewire_chassis.settings import ApiSettings


class RewardsSettings(ApiSettings):
    """The settings of rewards."""

    stellar_network_passphrase: str = Field(
        min_length=1,
        description="The passphrase of the Stellar network of intents. Payouts and the signer must have the same.",
    )
    intent_lifetime_hours: int = Field(
        168, ge=1, le=8760, description="Hours that a payout's intent is valid before it must be renewed."
    )
    invariants_interval_s: int = Field(
        300, ge=1, description="Seconds between two runs of the job that checks invariants."
    )
    payout_rules_file: Path | None = Field(
        None,
        description="payout-rules.yaml: minimum, maximum, daily limit and fee of payouts by asset, and the most that a rail may charge; no rules if unset.",
    )
    payout_funding_accounts: str = Field(
        "",
        description="ASSET=ACCOUNT comma list: the funding account of POST /api/payouts/create for a body of earlier systems, which names the asset only.",
    )
    payout_inline_rails: str = Field(
        "{}",
        description='JSON {"METHOD_TYPE": ["RAIL_TYPE"]}: the types of rails that a payout may go over whose request names the details of its destination (`method`), by preference. {}: no request may name details.',
    )
    parts_wait_s: int = Field(
        900,
        ge=1,
        description="Seconds that a part of a settlement may wait for the others before an alert.",
    )
    player_hash_key_file: Path = Field(
        description="A file (mode 0600) with 64 hex digits: the key of the hashes of players' devices and addresses."
    )
    player_sources_file: Path | None = Field(
        None,
        description="player-sources.yaml: the sources that may report facts of players by signed events. Only admins may if unset.",
    )
