"""What webhooks reads from its environment."""

from pathlib import Path

from pydantic import Field

from prizewire_chassis.settings import ApiSettings


class WebhooksSettings(ApiSettings):
    """Common settings and this service's own."""

    webhook_encryption_key_file: Path = Field(
        description="Key of subscribers' secrets at rest: 64 hex digits (mode 0600)."
    )
    webhooks_allow_loopback: bool = Field(
        False, description="Deliver to loopback addresses too; for development only."
    )
    webhooks_allow_port_80: bool = Field(
        False,
        description="Subscribers may have port 80 beside 443; https in any case. Development takes any.",
    )
    webhooks_concurrency: int = Field(64, ge=1, le=1000, description="Deliveries under way at the same time.")
    rails_file: Path | None = Field(
        None, description="rails.yaml: rails with a webhook section take webhooks."
    )
