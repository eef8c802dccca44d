"""Intents signed with rewards' message key, the signer's closures checked, and the digest of lines."""

from uuid import UUID

from prizewire_contracts.decode import EventRefused, decode
from prizewire_contracts.events.signing import ClosedEvent
from prizewire_contracts.intents import Intent
from prizewire_contracts.topics import SIGNING_RESULTS
from prizewire_contracts.trust import MessageKey, TrustStore


class MessageKeySigner:
    """Signs intents."""

    def __init__(self, key: MessageKey) -> None:
        self._key = key

    @property
    def key_id(self) -> str:
        """The key's name in ``trust.json``."""
        return self._key.keyid

    def sign(self, intent: Intent) -> str:
        """The signature as 128 hex digits."""
        return self._key.sign(intent.signing_bytes())


class TrustedClosures:
    """Believes tombstones that the signer signed."""

    def __init__(self, trust: TrustStore) -> None:
        self._trust = trust

    def verifies(self, closure: str, *, payout_id: UUID) -> bool:
        """Whether ``closure`` is an authentic ``signing.closed`` of this payout."""
        try:
            found = decode(topic=SIGNING_RESULTS, value=closure.encode(), trust=self._trust)
        except EventRefused:
            return False
        event = found.event
        return isinstance(event, ClosedEvent) and event.data.payout_id == payout_id
