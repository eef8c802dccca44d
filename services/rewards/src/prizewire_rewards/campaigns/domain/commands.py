"""Commands of operators and admins about campaigns."""

from dataclasses import dataclass
from uuid import UUID

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import NO_SETTINGS, CampaignSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCampaign:
    """Create a campaign."""

    id: UUID
    name: str
    asset: str
    delivery: Delivery
    actor: str
    settings: CampaignSettings = NO_SETTINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class FundCampaign:
    """Money came in from outside. ``id`` follows from the idempotency key. ``reference`` names the payment. ``repeated``: the
    person confirms that it is another payment under a used reference.
    """

    id: UUID
    campaign: UUID
    amount: int
    reference: str
    actor: str
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCampaign:
    """Activate, pause or end a campaign."""

    campaign: UUID
    to: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawFromCampaign:
    """Withdraw money that no round has reserved from a pool; all of it where ``amount`` is None."""

    id: UUID
    campaign: UUID
    amount: int | None
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCampaignSettings:
    """Replace all settings of a campaign."""

    campaign: UUID
    settings: CampaignSettings
    actor: str
