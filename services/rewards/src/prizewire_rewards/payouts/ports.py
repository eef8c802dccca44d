"""Payout requests and the methods that they go out by, as the handlers need them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from prizewire_contracts.intents import Intent
from prizewire_rewards.ledger.ports import LedgerPorts, Tools
from prizewire_rewards.payouts.domain.funding import FundingAccount
from prizewire_rewards.payouts.domain.model import Method, Payout
from prizewire_rewards.payouts.domain.rules import PayoutRules
from prizewire_rewards.payouts.domain.withdrawals import AutoWithdrawal


class Payouts(Protocol):
    """Payout requests."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Payout]:
        """Those that exist, locked in the order of their ids."""
        ...

    async def lock_open(self, players: Iterable[str], *, asset: str) -> list[Payout]:
        """Payouts of these players whose money is still held, the latest first, locked in the order of their ids."""
        ...

    async def check_none_new(self, players: Iterable[str], *, asset: str, known: Sequence[Payout]) -> None:
        """See that these players have no open payout but the ``known`` ones. The caller holds the locks of their winnings,
        so that none comes after this.

        Raises:
            Conflict: one came while the caller waited for these locks. The whole work is to be done again.
        """
        ...

    async def add(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """Store new ones."""
        ...

    async def save(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """Store state, outcome and intent of locked ones."""
        ...

    async def requested_since(self, *, player: str, asset: str, since: datetime) -> int:
        """What a player asked for by themselves or by their automatic withdrawal since a moment, less what did not go
        out. The caller holds the lock of the player's winnings, so that nothing is asked for meanwhile.
        """
        ...


class Methods(Protocol):
    """The projection of payout methods."""

    async def record(self, methods: Sequence[Method], *, now: datetime) -> None:
        """Store each unless a newer version of it is known. No method stands twice among them."""
        ...

    async def defaults(self, players: Iterable[str]) -> dict[str, Method]:
        """The active default method of each player that has one."""
        ...

    async def get(self, method_id: UUID) -> Method | None:
        """One method."""
        ...


class Fundings(Protocol):
    """Funding accounts; what they hold stands in the ledger."""

    async def get(self, name: str) -> FundingAccount | None:
        """One account."""
        ...

    async def add(self, account: FundingAccount, *, actor: str, now: datetime) -> bool:
        """Store a new account; False where the name is taken."""
        ...


class Withdrawals(Protocol):
    """Players' withdrawals for automatic withdrawal."""

    async def lock(self, *, player: str, asset: str) -> AutoWithdrawal | None:
        """One withdrawal, locked."""
        ...

    async def lock_due(self, *, now: datetime) -> AutoWithdrawal | None:
        """A wish that is due, locked; one that nobody else has."""
        ...

    async def save(self, withdrawal: AutoWithdrawal, *, now: datetime) -> None:
        """Store a new withdrawal, or what became of a locked one."""
        ...

    async def remove(self, *, player: str, asset: str) -> bool:
        """Drop a wish; False where there was none."""
        ...


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutTools(Tools):
    """What handlers use that needs no transaction. ``network`` is the intents' network passphrase."""

    signer: IntentSigner
    closures: ClosureVerifier
    network: str
    intent_lifetime: timedelta
    payout_rules: PayoutRules = field(default_factory=PayoutRules)


class PayoutPorts(LedgerPorts, Protocol):
    """The ports that handlers of payouts use in one transaction."""

    payouts: Payouts
    methods: Methods
    fundings: Fundings
    withdrawals: Withdrawals
