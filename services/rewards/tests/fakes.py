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
from prizewire_rewards.domain.entries import Entry, EntryRound, EntryState
from prizewire_rewards.domain.events import Event
from prizewire_rewards.domain.funding import FundingAccount
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
from prizewire_rewards.domain.states import ACCEPTS_PRIZES, PayoutState, RoundState
from prizewire_rewards.domain.topups import Reversal, Topup
from prizewire_rewards.domain.withdrawals import AutoWithdrawal
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
    entry_rounds: dict[UUID, EntryRound] = field(default_factory=dict)
    entries: dict[UUID, Entry] = field(default_factory=dict)
    topups: dict[UUID, Topup] = field(default_factory=dict)
    reversals: dict[tuple[str, str], Reversal] = field(default_factory=dict)
    fundings: dict[str, FundingAccount] = field(default_factory=dict)
    wishes: dict[tuple[str, str], AutoWithdrawal] = field(default_factory=dict)
    asked: dict[UUID, datetime] = field(default_factory=dict)
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
            entries=_Entries(self),
            topups=_Topups(self),
            fundings=_Fundings(self),
            withdrawals=_Withdrawals(self),
        )


@dataclass
class _Port:
    store: MemoryStore


class _Ledger(_Port):
    async def post(self, transfers: Sequence[Transfer], *, now: datetime) -> None:
        self.store.books.post(transfers)

    async def lock_balance(self, account: Account) -> int:
        return self.store.books.balance(account)

    async def lock_balances(self, accounts: Iterable[Account]) -> dict[Account, int]:
        return {account: self.store.books.balance(account) for account in accounts}

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
        self.store.asked.update({payout.id: now for payout in payouts})
        await self.save(payouts, now=now)

    async def asked_since(self, *, player: str, asset: str, since: datetime) -> int:
        unspent = {PayoutState.FAILED, PayoutState.REJECTED, PayoutState.CANCELLED}
        return sum(
            payout.amount
            for payout in self.store.payouts.values()
            if (payout.player, payout.asset, payout.round_id) == (player, asset, None)
            and payout.state not in unspent
            and self.store.asked[payout.id] >= since
        )

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


class _Entries(_Port):
    async def lock_rounds(self, ids: Iterable[UUID]) -> dict[UUID, EntryRound]:
        return {key: self.store.entry_rounds[key] for key in ids if key in self.store.entry_rounds}

    async def lock_closing(self) -> EntryRound | None:
        return next((round_ for round_ in self.store.entry_rounds.values() if round_.closing), None)

    async def save_rounds(self, rounds: Sequence[EntryRound], *, now: datetime) -> None:
        self.store.entry_rounds.update({round_.round_id: round_ for round_ in rounds})

    async def final_rounds(self, ids: Iterable[UUID]) -> frozenset[UUID]:
        known = {key: self.store.rounds[key] for key in ids if key in self.store.rounds}
        return frozenset(
            key
            for key, round_ in known.items()
            if round_.settlement.final or round_.state is RoundState.VOIDED
        )

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Entry]:
        return {key: self.store.entries[key] for key in ids if key in self.store.entries}

    async def lock_paid(self, rounds: Iterable[UUID], *, limit: int) -> list[Entry]:
        wanted = set(rounds)
        found = [
            entry
            for entry in self.store.entries.values()
            if entry.round_id in wanted and entry.state is EntryState.PAID
        ]
        return sorted(found, key=lambda entry: entry.id)[:limit]

    async def save(self, entries: Sequence[Entry], *, now: datetime) -> None:
        self.store.entries.update({entry.id: entry for entry in entries})


class _Topups(_Port):
    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Topup]:
        return {key: self.store.topups[key] for key in ids if key in self.store.topups}

    async def save(self, topups: Sequence[Topup], *, now: datetime) -> None:
        self.store.topups.update({topup.id: topup for topup in topups})

    async def reversals(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Reversal]:
        return {key: self.store.reversals[key] for key in keys if key in self.store.reversals}

    async def save_reversals(self, reversals: Sequence[Reversal], *, now: datetime) -> None:
        self.store.reversals.update({(one.rail, one.reference): one for one in reversals})


class _Fundings(_Port):
    async def get(self, name: str) -> FundingAccount | None:
        return self.store.fundings.get(name)

    async def add(self, account: FundingAccount, *, actor: str, now: datetime) -> bool:
        return self.store.fundings.setdefault(account.name, account) is account


class _Withdrawals(_Port):
    async def lock(self, *, player: str, asset: str) -> AutoWithdrawal | None:
        return self.store.wishes.get((player, asset))

    async def lock_due(self, *, now: datetime) -> AutoWithdrawal | None:
        def due(wish: AutoWithdrawal) -> bool:
            held = self.store.books.balance(Account(Kind.WINNINGS, wish.player, wish.asset))
            return wish.next_at <= now and (wish.threshold is None or held >= wish.threshold)

        waiting = sorted(filter(due, self.store.wishes.values()), key=lambda wish: wish.next_at)
        return waiting[0] if waiting else None

    async def save(self, wish: AutoWithdrawal, *, now: datetime) -> None:
        self.store.wishes[wish.player, wish.asset] = wish

    async def remove(self, *, player: str, asset: str) -> bool:
        return self.store.wishes.pop((player, asset), None) is not None


class _History(_Port):
    async def add(self, transitions: Sequence[Transition], *, now: datetime) -> None:
        self.store.history.extend(transitions)


class _Messages(_Port):
    async def publish(self, events: Sequence[Event]) -> None:
        self.store.published.extend(events)


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
