"""What the signer reads from its environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from prizewire_chassis.settings import BY_FILE_ONLY, ServiceSettings


class SignerSettings(ServiceSettings):
    """The signer's settings; a field's name in capitals is its environment variable."""

    stellar_network_passphrase: str = Field(
        description="The pinned network: every hash is computed with it, every intent must name it."
    )
    payout_source_account: str = Field(description="The treasury (G…): the only source of payments.")
    stellar_assets: str = Field(
        description="Assets that may be paid, comma list of CODE:ISSUER; XLM is the native asset."
    )
    signer_backend: Literal["hot_key", "openbao"] = Field(
        "hot_key",
        description="Where the chain's keys are: hot_key (in memory) or openbao (OpenBao or Vault).",
    )
    openbao_url: str = Field("", description="Address of OpenBao or Vault: https, or http in development.")
    openbao_transit_mount: str = Field("transit", description="Mount of its transit engine.")
    openbao_keys: str = Field(
        "", description="Its keys of treasury and channels: comma list of NAME or NAME:VERSION (default 1)."
    )
    openbao_token_file: Path | None = Field(
        None, description="Its token (mode 0600), read for each request, so that it may be renewed."
    )
    openbao_ca_file: Path | None = Field(
        None, description="The authority of its certificate; the system's authorities without it."
    )
    openbao_timeout_s: int = Field(5, ge=1, le=60, description="Seconds in which it must answer.")
    payout_hot_signer_secret: SecretStr | None = Field(
        None,
        description="The treasury's secret key (S…), for the hot key backend.",
        json_schema_extra=BY_FILE_ONLY,
    )
    channel_signer_secrets_file: Path | None = Field(
        None,
        description="JSON list of the channel accounts' secret keys (S…), mode 0600, for the hot key backend.",
    )
    signer_allow_hot_key: bool = Field(
        False, description="Allows keys in memory; without it the signer does not start with them."
    )
    signer_allow_hot_key_on_public: bool = Field(
        False, description="The second switch that keys in memory need on the public network."
    )
    signer_policy_file: Path | None = Field(
        None, description="The reviewed policy (YAML); without it cautious defaults hold."
    )
    signer_lease_s: int = Field(
        10, ge=1, description="Seconds before another worker takes over a digest that was not answered."
    )
