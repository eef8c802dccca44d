"""The ports in memory, held to the same tests as those over PostgreSQL.

``MemoryStore`` keeps what survives a transaction; ``work()`` gives the ports over it. There is no rollback: a
handler that raises may leave traces, as no caller goes on with the store afterwards.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts.intents import Intent
from prizewire_money import AssetRegistry
from prizewire_rewards.domain.events import Event
from prizewire_rewards.domain.ledger import EDGE_OF, KINDS, Account, Bound, Kind, Transfer, deltas
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
from prizewire_rewards.domain.opening import SumKey, source_of
from prizewire_rewards.domain.states import ACCEPTS_PRIZES
from prizewire_rewards.ports import Work


class BookRefused(Exception):
    """The ledger refuses a transfer, as the database would."""


class PureBooks:
    """The ledger as arithmetic: balances by account, every transfer once, bounds at the end of each posting."""

    def __init__(self, assets: AssetRegistry) -> None:
        self._assets = assets
        self.balances: dict[Account, int] = {}
        self.transfers: dict[UUID, Transfer] = {}

    def post(self, transfers: Sequence[Transfer]) -> None:
        """Apply all or nothing."""
        for transfer in transfers:
            edge = EDGE_OF.get((transfer.type, transfer.debit.kind, transfer.credit.kind))
            if edge is None:
                raise BookRefused(f"{transfer.type} may not go from {transfer.debit} to {transfer.credit}")
            if transfer.debit.asset != transfer.credit.asset:
                raise BookRefused("two assets")
            if edge.redeemable and not self._assets[transfer.debit.asset].redeemable:
                raise BookRefused("not redeemable")
            if transfer.amount <= 0 or transfer.debit == transfer.credit:
                raise BookRefused("nothing moves")
        ids = {transfer.id for transfer in transfers}
        if len(ids) != len(transfers) or ids & self.transfers.keys():
            raise BookRefused("written before")
        after = {
            account: self.balances.get(account, 0) + delta for account, delta in deltas(transfers).items()
        }
        for account, balance in after.items():
            bound = KINDS[account.kind]
            if (bound is Bound.FLOOR and balance < 0) or (bound is Bound.CEILING and balance > 0):
                raise BookRefused(f"{account} would hold {balance}")
        self.balances.update(after)
        self.transfers.update({transfer.id: transfer for transfer in transfers})

    def balance(self, account: Account) -> int:
        return self.balances.get(account, 0)


@dataclass
class MemoryStore:
    """Everything that rewards keeps, in dictionaries."""

    assets: AssetRegistry
    campaigns: dict[UUID, Campaign] = field(default_factory=dict)
    rounds: dict[UUID, Round] = field(default_factory=dict)
    rewards: dict[UUID, Reward] = field(default_factory=dict)
    parts: dict[UUID, dict[int, tuple[Settlement, tuple[Line, ...]]]] = field(default_factory=dict)
    payouts: dict[UUID, Payout] = field(default_factory=dict)
    methods: dict[UUID, Method] = field(default_factory=dict)
    history: list[Transition] = field(default_factory=list)
    published: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.books = PureBooks(self.assets)

    def work(self) -> Work:
        """The ports of one transaction."""
        return Work(
            ledger=_Ledger(self),
            campaigns=_Campaigns(self),
            rounds=_Rounds(self),
            payouts=_Payouts(self),
            methods=_Methods(self),
            history=_History(self),
            messages=_Messages(self),
            openings=_Openings(self),
        )


@dataclass
class _Port:
    store: MemoryStore


class _Ledger(_Port):
    async def post(self, transfers: Sequence[Transfer], *, now: datetime) -> None:
        self.store.books.post(transfers)

    async def lock_balance(self, account: Account) -> int:
        return self.store.books.balance(account)

    async def receivables(self, wallets: Iterable[Account]) -> dict[Account, int]:
        owed = (Account(Kind.RECEIVABLE, wallet.owner, wallet.asset) for wallet in wallets)
        return {account: -balance for account in owed if (balance := self.store.books.balance(account)) < 0}


class _Campaigns(_Port):
    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        return {key: self._with_pool(self.store.campaigns[key]) for key in ids if key in self.store.campaigns}

    async def load(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        return await self.lock(ids)

    async def add(self, campaign: Campaign, *, actor: str, now: datetime) -> None:
        self.store.campaigns[campaign.id] = campaign

    async def save(self, campaigns: Sequence[Campaign]) -> None:
        self.store.campaigns.update({campaign.id: campaign for campaign in campaigns})

    async def next_with_queue(self) -> UUID | None:
        for campaign in map(self._with_pool, self.store.campaigns.values()):
            waiting = _waiting(self.store, campaign.id)
            if (
                waiting
                and campaign.state in ACCEPTS_PRIZES
                and campaign.available >= waiting[0].settlement.gross
            ):
                return campaign.id
        return None

    def _with_pool(self, campaign: Campaign) -> Campaign:
        pool = Account(Kind.POOL, str(campaign.id), campaign.asset)
        return replace(campaign, available=self.store.books.balance(pool))


def _waiting(store: MemoryStore, campaign: UUID) -> list[Round]:
    found = [
        round_
        for round_ in store.rounds.values()
        if round_.settlement.campaign == campaign and round_.queue_position is not None
    ]
    return sorted(found, key=lambda round_: round_.queue_position or 0)


class _Rounds(_Port):
    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Round]:
        return {key: self.store.rounds[key] for key in ids if key in self.store.rounds}

    async def lock_queue(self, campaign: UUID, *, limit: int) -> list[Round]:
        return _waiting(self.store, campaign)[:limit]

    async def rewards(self, rounds: Iterable[UUID]) -> dict[UUID, list[Reward]]:
        found: dict[UUID, list[Reward]] = {key: [] for key in rounds}
        for reward in sorted(self.store.rewards.values(), key=lambda reward: reward.line.line):
            if reward.round_id in found:
                found[reward.round_id].append(reward)
        return found

    async def add(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        assert not self.store.rounds.keys() & {round_.settlement.round_id for round_ in rounds}
        assert not self.store.rewards.keys() & {reward.id for reward in rewards}
        await self.save(rounds, rewards, now=now)

    async def save(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        self.store.rounds.update({round_.settlement.round_id: round_ for round_ in rounds})
        self.store.rewards.update({reward.id: reward for reward in rewards})

    async def staged(
        self, rounds: Iterable[UUID]
    ) -> dict[UUID, dict[int, tuple[Settlement, tuple[Line, ...]]]]:
        return {key: dict(self.store.parts[key]) for key in rounds if key in self.store.parts}

    async def stage(
        self, parts: Sequence[tuple[Settlement, int, tuple[Line, ...]]], *, now: datetime
    ) -> None:
        for head, part, lines in parts:
            self.store.parts.setdefault(head.round_id, {})[part] = (head, lines)

    async def unstage(self, rounds: Sequence[UUID]) -> None:
        for key in rounds:
            self.store.parts.pop(key, None)


class _Payouts(_Port):
    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Payout]:
        return {key: self.store.payouts[key] for key in ids if key in self.store.payouts}

    async def add(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        assert not self.store.payouts.keys() & {payout.id for payout in payouts}
        await self.save(payouts, now=now)

    async def save(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        self.store.payouts.update({payout.id: payout for payout in payouts})


class _Methods(_Port):
    async def record(self, methods: Sequence[Method], *, now: datetime) -> None:
        for method in methods:
            known = self.store.methods.pop(method.id, None)
            newer = known is None or known.version < method.version
            self.store.methods[method.id] = method if newer or known is None else known

    async def defaults(self, players: Iterable[str]) -> dict[str, Method]:
        wanted = set(players)
        return {
            method.player: method
            for method in self.store.methods.values()
            if method.player in wanted and method.is_default and method.active
        }

    async def get(self, method_id: UUID) -> Method | None:
        return self.store.methods.get(method_id)


class _History(_Port):
    async def add(self, transitions: Sequence[Transition], *, now: datetime) -> None:
        self.store.history.extend(transitions)


class _Messages(_Port):
    async def publish(self, events: Sequence[Event]) -> None:
        self.store.published.extend(events)


class _Openings(_Port):
    async def lock(self) -> None:
        return

    async def booked(self, transfers: Sequence[UUID]) -> dict[UUID, int]:
        known = self.store.books.transfers
        return {key: known[key].amount for key in transfers if key in known}

    async def totals(self, keys: Iterable[SumKey]) -> dict[SumKey, int]:
        return {key: -self.store.books.balance(source_of(key)) for key in sorted(set(keys))}


class FakeSigner:
    """Signs with the payout id, so that a test sees what was signed."""

    key_id = "rewards-fake"

    def sign(self, intent: Intent) -> str:
        return intent.payout_id.replace("-", "").ljust(128, "0")


@dataclass
class FakeClosures:
    """Believes exactly the closures it was given."""

    known: set[tuple[str, UUID]] = field(default_factory=set)

    def verifies(self, closure: str, *, payout_id: UUID) -> bool:
        return (closure, payout_id) in self.known


class FakeDigest:
    """A digest that is the lines themselves."""

    def __call__(self, lines: Sequence[Line], *, asset: str) -> str:
        return f"{asset}:" + ";".join(
            f"{line.line},{line.player},{line.place},{line.amount}" for line in lines
        )
