"""What the handlers need from outside. One ``Work`` is one database transaction.

Locks are taken in one order: rounds of entries, campaigns, rounds, payouts, claims, caps, top-ups, entries, accounts,
each sorted; who claims comes before all. A pool is moved only under its campaign's lock (but for debts that come back
to it, which only add to it), and so is what is counted for caps; a reserved account under its round's, a payout's
holding under its payout's; receivables only after the player's winnings.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
    Receivable,
    Reward,
    Round,
    RoundWork,
    Settlement,
    Transition,
)
from prizewire_rewards.domain.opening import SumKey
from prizewire_rewards.domain.payout_rules import PayoutRules
from prizewire_rewards.ports.claims import CapCounts, Claims, PlayerHasher, Players
from prizewire_rewards.ports.money import Entries, Fundings, Topups, Withdrawals
from prizewire_rewards.ports.reading import Queries

__all__ = [
    "Campaigns",
    "CapCounts",
    "Claims",
    "ClosureVerifier",
    "Entries",
    "Fundings",
    "History",
    "IntentSigner",
    "Ledger",
    "LinesDigest",
    "Messages",
    "Methods",
    "Openings",
    "Payouts",
    "PlayerHasher",
    "Players",
    "Queries",
    "Receivables",
    "Rounds",
    "RunningDigest",
    "StagedHead",
    "Tools",
    "Topups",
    "Withdrawals",
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

    async def lock_balances(self, accounts: Iterable[Account]) -> dict[Account, int]:
        """Kept balances of those accounts that are open, locked in one order."""
        ...


class Receivables(Protocol):
    """What players owe. A receivable is locked after the accounts of its player, or alone."""

    async def lock_open(self, wallets: Iterable[Account]) -> dict[tuple[str, str], list[Receivable]]:
        """What the wallets' owners still owe in their assets, by (player, asset), the oldest first, locked. The caller
        holds the wallets' locks, having posted to them.
        """
        ...

    async def lock_of(self, reference: str, *, players: Iterable[str]) -> list[Receivable]:
        """What these players still owe for one reference, the oldest first, locked."""
        ...

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Receivable]:
        """Those that exist, locked in the order of their ids."""
        ...

    async def add(self, receivables: Sequence[Receivable]) -> None:
        """Store new ones."""
        ...

    async def save(self, receivables: Sequence[Receivable]) -> None:
        """Store counters of locked ones."""
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

    async def take_back(self, amounts: Mapping[UUID, int]) -> None:
        """Count amounts that came back to the pools of campaigns as granted no more. It does not need their locks; a
        campaign that the caller holds must have been saved before.
        """
        ...

    async def keep_settings(self, campaign: Campaign, *, actor: str, now: datetime) -> None:
        """Store the settings of a locked or new campaign under their version, for good."""
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

    async def prizes(self, ids: Iterable[UUID]) -> dict[UUID, Reward]:
        """Single prizes by their ids, those that exist. The caller holds their rounds' locks."""
        ...

    async def add(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        """Store new rounds with their prizes."""
        ...

    async def save(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        """Store the state of locked rounds and of prizes that moved on or changed with their settlement."""
        ...

    async def record_correction(
        self, settlement: Settlement, *, reason: str, cause: str, now: datetime
    ) -> None:
        """Remember that a correction was accepted."""
        ...

    async def campaigns_of(self, ids: Iterable[UUID]) -> dict[UUID, UUID]:
        """The campaigns of those rounds that exist; a round never changes its own."""
        ...

    async def bear(self, rewards: Sequence[Reward], *, assets: Mapping[UUID, str]) -> None:
        """Store prizes that came into being after their rounds, whose assets are given."""
        ...

    async def reward(self, reward_id: UUID) -> Reward | None:
        """One prize, as it is; decide only once its round is locked."""
        ...

    async def staged(self, keys: Iterable[tuple[UUID, int]]) -> "dict[tuple[UUID, int], StagedHead]":
        """What waits of settlements in parts, by round and settlement version."""
        ...

    async def stage(
        self, parts: Sequence[tuple[Settlement, int, tuple[Line, ...]]], *, now: datetime
    ) -> None:
        """Store parts until the settlement is whole and booked."""
        ...

    async def unstage(self, key: tuple[UUID, int], *, part: int | None = None) -> None:
        """Drop one part of a staged settlement, or all of it."""
        ...

    async def staged_lines(self, key: tuple[UUID, int], *, after: int, limit: int) -> list[Line]:
        """The staged lines after a number, in their order."""
        ...

    async def staged_players(self, key: tuple[UUID, int]) -> int:
        """How many players the staged lines name."""
        ...

    async def staged_for(self, key: tuple[UUID, int], *, players: Iterable[str]) -> dict[str, Line]:
        """The staged lines of players, as far as they have one."""
        ...

    async def hold(self, key: tuple[UUID, int], *, held: Mapping[int, str]) -> None:
        """Note on staged lines which rule will keep them back."""
        ...

    async def holds(self, key: tuple[UUID, int], *, after: int, upto: int) -> dict[int, str]:
        """What is noted on the staged lines of a range."""
        ...

    async def chunk(
        self, round_id: UUID, *, after: int, limit: int, before_version: int | None = None
    ) -> list[Reward]:
        """Prizes on lines after a number, in their order; of settlements before a version, if one is named."""
        ...

    async def shortage(self, round_id: UUID) -> int:
        """What the prizes of a booked round wait for."""
        ...

    async def rewards_of(self, round_id: UUID, *, players: Iterable[str]) -> dict[str, Reward]:
        """The prizes of some players."""
        ...

    async def add_work(self, tasks: Sequence[RoundWork], *, now: datetime) -> None:
        """Put work behind what is to be done already."""
        ...

    async def next_work(self) -> RoundWork | None:
        """The work that is due next, as it is; decide only once its round is locked."""
        ...

    async def pending_work(self, rounds: Iterable[UUID]) -> dict[UUID, list[RoundWork]]:
        """What is to be done on locked rounds, in its order."""
        ...

    async def save_work(self, task: RoundWork) -> None:
        """Store how far work is."""
        ...

    async def end_work(self, task: RoundWork) -> None:
        """Work is through."""
        ...


@dataclass(frozen=True, slots=True)
class StagedHead:
    """The head that the staged parts of a settlement share, and which those are."""

    head: Settlement
    parts: frozenset[int]


class Payouts(Protocol):
    """Payout requests."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Payout]:
        """Those that exist, locked in the order of their ids."""
        ...

    async def lock_open(self, players: Iterable[str], *, asset: str) -> list[Payout]:
        """Payouts of these players whose money is still held, the latest first, locked in the order of their ids."""
        ...

    async def add(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """Store new ones."""
        ...

    async def save(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """Store state, outcome and intent of locked ones."""
        ...

    async def asked_since(self, *, player: str, asset: str, since: datetime) -> int:
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


@dataclass(frozen=True, slots=True)
class Work:
    """The ports of one transaction."""

    ledger: Ledger
    campaigns: Campaigns
    rounds: Rounds
    payouts: Payouts
    methods: Methods
    claims: Claims
    caps: CapCounts
    players: Players
    history: History
    messages: Messages
    openings: Openings
    entries: Entries
    topups: Topups
    fundings: Fundings
    withdrawals: Withdrawals
    receivables: Receivables


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

    def begin(self, *, asset: str) -> "RunningDigest":
        """The same digest, of lines that come a few at a time."""
        ...


class RunningDigest(Protocol):
    """A digest of lines that come a few at a time, in their order."""

    def add(self, lines: Sequence[Line]) -> None:
        """Some more lines."""
        ...

    def hexdigest(self) -> str:
        """The digest of all lines that came."""
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
