"""Signs intents with rewards' message key, and verifies the signer's closures."""

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
    """Verifies closures by the signer's keys in the trust store."""

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
