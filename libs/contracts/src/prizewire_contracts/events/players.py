"""``prizewire.players.v1``: facts about players from identity and risk sources. Subject: the player."""

from typing import Annotated, Literal

from pydantic import Field

from prizewire_contracts.envelope import Data, Digest, Envelope, Timestamp
from prizewire_contracts.text import Name


class PlayerUpdated(Data):
    """Facts for risk rules. Device and address arrive as the SHA-256 (hex) of their UTF-8 text; raw values are never
    sent. An event is applied only where rewards' settings allow its source to report these facts, and the source signed it.
    """

    player: Name
    registered_at: Timestamp | None = None
    kyc_state: Literal["none", "pending", "verified", "rejected"] | None = None
    device_hash: Digest | None = None
    address_hash: Digest | None = None


class PlayerUpdatedEvent(Envelope):
    """Envelope of ``player.updated``."""

    type: Literal["prizewire.player.updated.v1"] = "prizewire.player.updated.v1"
    data: PlayerUpdated


PlayerEvent = Annotated[PlayerUpdatedEvent, Field()]
