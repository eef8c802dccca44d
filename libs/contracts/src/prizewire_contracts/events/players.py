"""``prizewire.players.v1``: facts about players from identity and risk sources. Subject: the player."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from prizewire_contracts.envelope import Data, Digest, Envelope, Timestamp
from prizewire_contracts.text import Name


class PlayerUpdated(Data):
    """Facts for risk rules and for what must be in order before a payout. Device and address arrive as the SHA-256 (hex) of their
    UTF-8 text; raw values are never sent. An event is applied only where the settings of rewards and payouts allow its source
    to report these facts, and the source signed it.

    ``kyc_expires_at`` belongs to the ``kyc_state`` beside it; without it the check does not expire.
    """

    player: Name
    registered_at: Timestamp | None = None
    kyc_state: Literal["none", "pending", "verified", "rejected"] | None = None
    kyc_expires_at: Timestamp | None = None
    tax_state: Literal["missing", "filed", "rejected"] | None = None
    device_hash: Digest | None = None
    address_hash: Digest | None = None

    @model_validator(mode="after")
    def _expiry_of_a_check(self) -> Self:
        if self.kyc_expires_at is not None and self.kyc_state is None:
            msg = "kyc_expires_at is reported with kyc_state: it says until when that check is valid"
            raise ValueError(msg)
        return self


class PlayerUpdatedEvent(Envelope):
    """Envelope of ``player.updated``."""

    type: Literal["prizewire.player.updated.v1"] = "prizewire.player.updated.v1"
    data: PlayerUpdated


PlayerEvent = Annotated[PlayerUpdatedEvent, Field()]
