"""What the handlers need from outside. One ``Work`` is one database transaction.

Locks are taken in one order: campaigns, rounds, payouts, accounts, each sorted. A pool is moved only under its
campaign's lock, a reserved account under its round's, a payout's holding under its payout's; receivables only
after the player's winnings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from prizewire_contracts.intents import Intent
from prizewire_money import AssetRegistry
from prizewire_rewards.domain.events import Event
from prizewire_rewards.domain.ledger import Account, Transfer
from prizewire_rewards.domain.model import (
    Campaign,
    Line,
    Method,
    Payout,
    Reward,
    Round,
    Settlement,
    Transition,
)
from prizewire_rewards.domain.opening import SumKey
from prizewire_rewards.domain.statement import Statement
from prizewire_rewards.domain.views import (
    BalanceSheet,
    CampaignView,
    Entry,
    EntryFilter,
    EntryPage,
    PayoutView,
    RewardView,
    WalletBalance,
)

__all__ = [
    "Campaigns",
    "ClosureVerifier",
    "History",
    "IntentSigner",
    "Ledger",
    "LinesDigest",
    "Messages",
    "Methods",
    "Openings",
    "Payouts",
    "Queries",
    "Rounds",
    "Tools",
    "Work",
]


class Ledger(Protocol):
    """Postings and locked balances."""

    async def post(self, transfers: Sequence[Transfer], *, now: datetime) -> None:
        """Open accounts that are missing, append the transfers and move balances, all in a fixed number of
        statements; accounts are locked in one order.

        Raises:
            Exception: from the database, when a balance would pass its bound or an edge is not allowed.
        """
        ...

    async def lock_balance(self, account: Account) -> int:
        """A kept balance, its account locked until the transaction ends; 0 where there is no account."""
        ...

    async def receivables(self, wallets: Iterable[Account]) -> dict[Account, int]:
        """Debts above zero of the owners of these wallets, by receivable account, locked. The caller holds the
        wallets' locks, having posted to them.
        """
        ...


class Campaigns(Protocol):
    """Campaigns with what their pools hold."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        """Those that exist, locked in the order of their ids."""
        ...

    async def load(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        """Those that exist, as they are, without a lock."""
        ...

    async def add(self, campaign: Campaign, *, actor: str, now: datetime) -> None:
        """Store a new campaign."""
        ...

    async def save(self, campaigns: Sequence[Campaign]) -> None:
        """Store state and counters of locked campaigns."""
        ...

    async def next_with_queue(self) -> UUID | None:
        """A campaign whose longest-waiting round could be booked now."""
        ...


class Rounds(Protocol):
    """Settled rounds, their prizes, and the parts of those that are not whole yet."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Round]:
        """Those that exist, locked in the order of their ids."""
        ...

    async def lock_queue(self, campaign: UUID, *, limit: int) -> list[Round]:
        """The rounds of a locked campaign that wait for money, longest first, locked."""
        ...

    async def rewards(self, rounds: Iterable[UUID]) -> dict[UUID, list[Reward]]:
        """The prizes of these rounds in line order."""
        ...

    async def add(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        """Store new rounds with their prizes."""
        ...

    async def save(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        """Store the state of locked rounds and of prizes that moved on."""
        ...

    async def staged(
        self, rounds: Iterable[UUID]
    ) -> dict[UUID, dict[int, tuple[Settlement, tuple[Line, ...]]]]:
        """Parts that wait for the others, by round and part number."""
        ...

    async def stage(
        self, parts: Sequence[tuple[Settlement, int, tuple[Line, ...]]], *, now: datetime
    ) -> None:
        """Store parts until the round is whole."""
        ...

    async def unstage(self, rounds: Sequence[UUID]) -> None:
        """Drop the parts of rounds that are whole."""
        ...


class Payouts(Protocol):
    """Payout requests."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Payout]:
        """Those that exist, locked in the order of their ids."""
        ...

    async def add(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """Store new ones."""
        ...

    async def save(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """Store state, outcome and intent of locked ones."""
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


class History(Protocol):
    """Every step of every state machine."""

    async def add(self, transitions: Sequence[Transition], *, now: datetime) -> None:
        """Append steps."""
        ...


class Messages(Protocol):
    """Events on their way out, committed with the rest."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Put events into the outbox, in this order."""
        ...


class Openings(Protocol):
    """Opening balances that imports have booked."""

    async def lock(self) -> None:
        """One import at a time, until the transaction ends."""
        ...

    async def booked(self, transfers: Sequence[UUID]) -> dict[UUID, int]:
        """The amounts of those of the transfers that exist."""
        ...

    async def totals(self, keys: Iterable[SumKey]) -> dict[SumKey, int]:
        """What imports have brought into each of these buckets."""
        ...


class Queries(Protocol):
    """What people read. Nothing is decided from it."""

    async def campaigns(self, *, limit: int, before: tuple[datetime, UUID] | None) -> list[CampaignView]:
        """Campaigns, newest first, those before a (creation time, id)."""
        ...

    async def campaign(self, campaign_id: UUID) -> CampaignView | None:
        """One campaign."""
        ...

    async def balance_sheet(self, campaign_id: UUID) -> BalanceSheet | None:
        """Where a campaign's money is."""
        ...

    async def balances(self, player: str) -> list[WalletBalance]:
        """A player's money by asset, in order of codes; assets that they never had are left out."""
        ...

    async def entries(self, wanted: EntryFilter) -> EntryPage:
        """Transfers, newest first."""
        ...

    async def entry(self, transfer_id: UUID) -> Entry | None:
        """One transfer."""
        ...

    async def statement(
        self, *, player: str, asset: str, since: datetime, until: datetime, limit: int
    ) -> Statement | None:
        """A player's entries of a period, or None when there are more than ``limit``. Asked first in a transaction."""
        ...

    async def payouts(
        self, *, player: str | None, limit: int, before: tuple[datetime, UUID] | None, state: str | None
    ) -> list[PayoutView]:
        """Payout requests, newest first."""
        ...

    async def rewards(
        self,
        *,
        player: str | None,
        round_id: UUID | None,
        correlation_id: str | None,
        limit: int,
        after: tuple[UUID, int] | None,
    ) -> list[RewardView]:
        """Prizes by round and line, those after a (round, line)."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """The ports of one transaction."""

    ledger: Ledger
    campaigns: Campaigns
    rounds: Rounds
    payouts: Payouts
    methods: Methods
    history: History
    messages: Messages
    openings: Openings


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


class LinesDigest(Protocol):
    """The digest that a settlement carries of its lines."""

    def __call__(self, lines: Sequence[Line], *, asset: str) -> str:
        """Hex SHA-256 of the canonical JSON array ``[[line, player, place, amount], …]``."""
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
