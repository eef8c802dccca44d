"""What handlers use that needs no transaction: keys, digests, rules."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from prizewire_contracts.intents import Intent
from prizewire_money import AssetRegistry
from prizewire_rewards.domain.model import Line
from prizewire_rewards.domain.payout_rules import PayoutRules


class IntentSigner(Protocol):
    """Rewards' message key, used for intents."""

    @property
    def key_id(self) -> str:
        """The key's name in ``trust.json``."""
        ...

    def sign(self, intent: Intent) -> str:
        """The signature as 128 hex digits."""
        ...


class ClosureVerifier(Protocol):
    """Checks the signer's tombstone."""

    def verifies(self, closure: str, *, payout_id: UUID) -> bool:
        """Whether ``closure`` is an authentic ``signing.closed`` of this payout."""
        ...


class RunningDigest(Protocol):
    """A digest of lines that come a few at a time, in their order."""

    def add(self, lines: Sequence[Line]) -> None:
        """Some more lines."""
        ...

    def hexdigest(self) -> str:
        """The digest of all lines that came."""
        ...


class LinesDigest(Protocol):
    """The digest that a settlement carries of its lines."""

    def __call__(self, lines: Sequence[Line], *, asset: str) -> str:
        """Hex SHA-256 of the canonical JSON array ``[[line, player, place, amount], …]``."""
        ...

    def begin(self, *, asset: str) -> RunningDigest:
        """The same digest, of lines that come a few at a time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What handlers use that needs no transaction. ``network`` is the intents' network passphrase."""

    assets: AssetRegistry
    signer: IntentSigner
    closures: ClosureVerifier
    digest: LinesDigest
    network: str
    intent_lifetime: timedelta
    payout_rules: PayoutRules = field(default_factory=PayoutRules)
