"""What rewards reads from its environment, beyond what every service does."""

from pathlib import Path

from pydantic import Field

from prizewire_chassis.settings import ApiSettings


class RewardsSettings(ApiSettings):
    """Rewards' own settings."""

    stellar_network_passphrase: str = Field(
        min_length=1,
        description="The network that intents are good for; payouts and the signer hold their own against it.",
    )
    intent_lifetime_hours: int = Field(
        168, ge=1, le=8760, description="How long a payout's intent is good before it must be renewed."
    )
    invariants_interval_s: int = Field(
        300, ge=1, description="Seconds between two runs of the invariants' job."
    )
    payout_rules_file: Path | None = Field(
        None,
        description="payout-rules.yaml: minimum, maximum, daily limit and fee of payouts by asset, and the most that a rail may charge; no rules if unset.",
    )
    parts_wait_s: int = Field(
        900,
        ge=1,
        description="Seconds that a part of a settlement may wait for the others before it is an alarm.",
    )
    player_hash_key_file: Path = Field(
        description="64 hex digits (mode 0600) that players' devices and addresses are hashed with."
    )
    player_sources_file: Path | None = Field(
        None,
        description="player-sources.yaml: who may tell facts of players by signed events; admins alone if unset.",
    )
