"""The ports in memory. They pass the same tests as the ports over PostgreSQL.

``MemoryStore`` keeps the state between transactions, and ``ports()`` returns the ports over it. There is no rollback: a
handler that raises may leave changes. No test uses the store after that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts.intents import Intent
from prizewire_money import AssetRegistry
from prizewire_rewards.assignments.domain import AssignmentState, PayeeAssignment
from prizewire_rewards.campaigns.domain.caps import CapKey, CapLine
from prizewire_rewards.campaigns.domain.model import Campaign, CampaignState
from prizewire_rewards.campaigns.domain.settings import CampaignSettings
from prizewire_rewards.claims.domain import Claim, ClaimState
from prizewire_rewards.entries.domain import Entry, EntryRound, EntryState
from prizewire_rewards.fees.domain import FeeSource, FeeWithdrawal, WithdrawalState, source_account
from prizewire_rewards.ledger.domain.accounts import (
    EDGE_OF,
    KINDS,
    Account,
    Bound,
    Kind,
    Transfer,
    TransferType,
    deltas,
)
from prizewire_rewards.ledger.domain.receivables import Receivable
from prizewire_rewards.ledger.domain.records import (
    NO_PARTIES,
    CreditParties,
    EarlierBooking,
    Event,
    Party,
    Transition,
    campaign_source,
    sorted_parties,
)
from prizewire_rewards.payouts.domain.batches import PayoutBatch
from prizewire_rewards.payouts.domain.funding import FundingAccount
from prizewire_rewards.payouts.domain.model import Method, Payout, PayoutState
from prizewire_rewards.payouts.domain.withdrawals import AutoWithdrawal
from prizewire_rewards.players.domain import PlayerFacts
from prizewire_rewards.prizes.domain.model import Line, RefusedRound, Reward, Round, RoundWork, Settlement
from prizewire_rewards.prizes.domain.states import RoundState
from prizewire_rewards.prizes.ports import StagedHead
from prizewire_rewards.rounds.domain.commands import FinalizeRound, SettleRound
from prizewire_rewards.rounds.domain.disownments import Concern, Disownment, DisownmentState
from prizewire_rewards.storage import Ports
from prizewire_rewards.topups.domain import Reversal, Topup
from prizewire_rewards.wallets.domain.opening import SumKey, intake_account


class TransferRefused(Exception):
    """The ledger in memory refuses a transfer, as the database does."""


class MemoryLedger:
    """A ledger in memory: balances by account, each transfer once, and bounds after each posting."""

    def __init__(self, assets: AssetRegistry) -> None:
        self._assets = assets
        self.balances: dict[Account, int] = {}
        self.transfers: dict[UUID, Transfer] = {}

    def post(self, transfers: Sequence[Transfer]) -> None:
        """Apply all transfers or none."""
        for transfer in transfers:
            edge = EDGE_OF.get((transfer.type, transfer.debit.kind, transfer.credit.kind))
            if edge is None:
                raise TransferRefused(
                    f"{transfer.type} may not go from {transfer.debit} to {transfer.credit}"
                )
            if transfer.debit.asset != transfer.credit.asset:
                raise TransferRefused(f"a transfer from {transfer.debit} to {transfer.credit} has two assets")
            if edge.redeemable and not self._assets[transfer.debit.asset].redeemable:
                raise TransferRefused(f"{transfer.debit.asset} is not redeemable")
            if transfer.amount <= 0 or transfer.debit == transfer.credit:
                raise TransferRefused(f"transfer {transfer.id} moves nothing")
        ids = {transfer.id for transfer in transfers}
        if len(ids) != len(transfers) or ids & self.transfers.keys():
            raise TransferRefused("a transfer is posted twice")
        after = {
            account: self.balances.get(account, 0) + delta for account, delta in deltas(transfers).items()
        }
        for account, balance in after.items():
            bound = KINDS[account.kind]
            if (bound is Bound.FLOOR and balance < 0) or (bound is Bound.CEILING and balance > 0):
                raise TransferRefused(f"{account} would hold {balance}")
        self.balances.update(after)
        self.transfers.update({transfer.id: transfer for transfer in transfers})

    def balance(self, account: Account) -> int:
        return self.balances.get(account, 0)


@dataclass
class MemoryStore:
    """The state of rewards, in dictionaries."""

    assets: AssetRegistry
    campaigns: dict[UUID, Campaign] = field(default_factory=dict)
    rounds: dict[UUID, Round] = field(default_factory=dict)
    rewards: dict[UUID, Reward] = field(default_factory=dict)
    parts: dict[tuple[UUID, int], dict[int, tuple[Settlement, tuple[Line, ...]]]] = field(
        default_factory=dict
    )
    held: dict[tuple[UUID, int], dict[int, str]] = field(default_factory=dict)
    work_rows: list[RoundWork] = field(default_factory=list)
    corrections: list[tuple[UUID, int, str]] = field(default_factory=list)
    receivables: dict[UUID, Receivable] = field(default_factory=dict)
    payouts: dict[UUID, Payout] = field(default_factory=dict)
    methods: dict[UUID, Method] = field(default_factory=dict)
    claims: dict[UUID, Claim] = field(default_factory=dict)
    cap_usage: dict[CapKey, int] = field(default_factory=dict)
    cap_lines: dict[UUID, CapLine] = field(default_factory=dict)
    players: dict[str, PlayerFacts] = field(default_factory=dict)
    settings: dict[tuple[UUID, int], CampaignSettings] = field(default_factory=dict)
    entry_rounds: dict[UUID, EntryRound] = field(default_factory=dict)
    entries: dict[UUID, Entry] = field(default_factory=dict)
    topups: dict[UUID, Topup] = field(default_factory=dict)
    reversals: dict[tuple[str, str], Reversal] = field(default_factory=dict)
    fundings: dict[str, FundingAccount] = field(default_factory=dict)
    fee_withdrawals: dict[UUID, FeeWithdrawal] = field(default_factory=dict)
    funded_by: dict[tuple[Account, str], EarlierBooking] = field(default_factory=dict)
    disownments: dict[UUID, Disownment] = field(default_factory=dict)
    without_effect: dict[str, SettleRound | FinalizeRound] = field(default_factory=dict)
    withdrawals: dict[tuple[str, str], AutoWithdrawal] = field(default_factory=dict)
    assignments: dict[UUID, PayeeAssignment] = field(default_factory=dict)
    requested_at: dict[UUID, datetime] = field(default_factory=dict)
    history: list[Transition] = field(default_factory=list)
    published: list[Event] = field(default_factory=list)
    source_parties: dict[str, set[Party]] = field(default_factory=dict)
    wallet_parties: dict[Account, CreditParties] = field(default_factory=dict)
    refused: dict[UUID, list[RefusedRound]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(self.assets)

    def ports(self) -> Ports:
        """The ports of one transaction."""
        campaigns = _Campaigns(self)
        return Ports(
            ledger=_Ledger(self),
            campaigns=campaigns,
            rounds=_Rounds(self),
            payouts=_Payouts(self),
            methods=_Methods(self),
            assignments=_Assignments(self),
            claims=_Claims(self),
            caps=_Caps(self),
            players=_Players(self),
            history=_History(self),
            messages=_Messages(self),
            entries=_Entries(self),
            topups=_Topups(self),
            fundings=_Fundings(self),
            batches=_Batches(self),
            fees=_Fees(self),
            disownments=_Disownments(self),
            withdrawals=_Withdrawals(self),
            receivables=_Receivables(self),
            openings=_Openings(self),
            parties=_Parties(self),
            pools=campaigns,
        )


_RELEASES = {CampaignState.ACTIVE, CampaignState.EXHAUSTED, CampaignState.ENDED}
_OPEN = {PayoutState.REQUESTED, PayoutState.CANCEL_REQUESTED}


@dataclass
class _Port:
    store: MemoryStore


class _Ledger(_Port):
    async def post(self, transfers: Sequence[Transfer], *, now: datetime) -> None:
        self.store.ledger.post(transfers)

    async def document(
        self,
        transfers: Sequence[Transfer],
        *,
        actor: str,
        references: Sequence[str],
        now: datetime,
        repeats: UUID | None = None,
    ) -> None:
        assert actor
        for transfer, reference in zip(transfers, references, strict=True):
            assert reference
            if transfer.type is TransferType.OPENING_BALANCE:
                continue
            known = self.store.funded_by.setdefault(
                (transfer.credit, reference.lower()),
                EarlierBooking(id=transfer.id, reference=reference, amount=transfer.amount, by=actor, at=now),
            )
            assert repeats == (None if known.id == transfer.id else known.id)

    async def earlier_funding(self, account: Account, *, reference: str) -> EarlierBooking | None:
        return self.store.funded_by.get((account, reference.lower()))

    async def lock_balance(self, account: Account) -> int:
        return self.store.ledger.balance(account)

    async def lock_balances(self, accounts: Iterable[Account]) -> dict[Account, int]:
        held = self.store.ledger.balances
        return {account: held[account] for account in accounts if account in held}

    async def lock_intake(self, asset: str) -> int:
        held = self.store.ledger.balances
        return -sum(held[one] for one in held if one.kind is Kind.EXTERNAL_IN and one.asset == asset)


class _Receivables(_Port):
    async def lock_open(self, wallets: Iterable[Account]) -> dict[tuple[str, str], list[Receivable]]:
        owners = {(wallet.owner, wallet.asset) for wallet in wallets}
        found: dict[tuple[str, str], list[Receivable]] = {}
        for one in self.store.receivables.values():
            if one.open and (one.player, one.asset) in owners:
                found.setdefault((one.player, one.asset), []).append(one)
        return found

    async def lock_of(self, reference: str, *, players: Iterable[str]) -> list[Receivable]:
        wanted = set(players)
        return [
            one
            for one in self.store.receivables.values()
            if one.unpaid and one.reference == reference and one.player in wanted
        ]

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Receivable]:
        return {key: self.store.receivables[key] for key in ids if key in self.store.receivables}

    async def add(self, receivables: Sequence[Receivable]) -> None:
        assert not self.store.receivables.keys() & {one.id for one in receivables}
        await self.save(receivables)

    async def save(self, receivables: Sequence[Receivable]) -> None:
        assert all(one.open >= 0 and 0 <= one.restored <= one.written_off for one in receivables)
        self.store.receivables.update({one.id: one for one in receivables})


class _Campaigns(_Port):
    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        return {key: self._with_pool(self.store.campaigns[key]) for key in ids if key in self.store.campaigns}

    async def load(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        return await self.lock(ids)

    async def add(self, campaign: Campaign, *, actor: str, now: datetime) -> None:
        self.store.campaigns[campaign.id] = campaign

    async def save(self, campaigns: Sequence[Campaign]) -> None:
        self.store.campaigns.update({campaign.id: campaign for campaign in campaigns})

    async def take_back(self, amounts: Mapping[UUID, int]) -> None:
        for key, amount in amounts.items():
            campaign = self.store.campaigns[key]
            self.store.campaigns[key] = replace(campaign, granted=campaign.granted - amount)

    async def keep_settings(self, campaign: Campaign, *, actor: str, now: datetime) -> None:
        assert (campaign.id, campaign.settings_version) not in self.store.settings
        self.store.settings[campaign.id, campaign.settings_version] = campaign.settings
        self.store.campaigns[campaign.id] = campaign

    async def settings(self, campaign: UUID, versions: Iterable[int]) -> dict[int, CampaignSettings]:
        known = {version: self.store.settings.get((campaign, version)) for version in versions}
        return {version: one for version, one in known.items() if one is not None}

    async def next_with_queue(self) -> UUID | None:
        working = {task.round_id for task in self.store.work_rows}
        for campaign in map(self._with_pool, self.store.campaigns.values()):
            waiting = _waiting(self.store, campaign.id)
            if (
                waiting
                and campaign.state in _RELEASES
                and campaign.available >= waiting[0].wanted
                and waiting[0].state is not RoundState.BOOKING
                and waiting[0].settlement.round_id not in working
            ):
                return campaign.id
        return None

    def _with_pool(self, campaign: Campaign) -> Campaign:
        pool = Account(Kind.POOL, str(campaign.id), campaign.asset)
        parties = sorted_parties(self.store.source_parties.get(campaign_source(campaign.id), ()))
        return replace(campaign, available=self.store.ledger.balance(pool), parties=parties)


def _waiting(store: MemoryStore, campaign: UUID) -> list[Round]:
    found = [
        round_
        for round_ in store.rounds.values()
        if round_.settlement.campaign == campaign and round_.queue_position is not None
    ]
    return sorted(found, key=lambda round_: round_.queue_position or 0)


_PAYING = frozenset({TransferType.PRIZE_CREDITED, TransferType.PRIZE_MATURED, TransferType.CLAIM_PAID})


class _Rounds(_Port):
    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Round]:
        return {key: self.store.rounds[key] for key in ids if key in self.store.rounds}

    async def lock_settled(self, ids: Iterable[UUID]) -> tuple[dict[UUID, Round], frozenset[UUID]]:
        wanted = set(ids)
        return await self.lock(wanted), await _Entries(self.store).disowned(wanted)

    async def lock_queue(self, campaign: UUID, *, limit: int) -> list[Round]:
        return _waiting(self.store, campaign)[:limit]

    async def rewards(self, rounds: Iterable[UUID]) -> dict[UUID, list[Reward]]:
        found: dict[UUID, list[Reward]] = {key: [] for key in rounds}
        for reward in sorted(self.store.rewards.values(), key=lambda reward: reward.line.line):
            if reward.round_id in found:
                found[reward.round_id].append(reward)
        return found

    async def prizes(self, ids: Iterable[UUID]) -> dict[UUID, Reward]:
        return {key: self.store.rewards[key] for key in ids if key in self.store.rewards}

    async def add(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        assert not self.store.rounds.keys() & {round_.settlement.round_id for round_ in rounds}
        assert not self.store.rewards.keys() & {reward.id for reward in rewards}
        await self.save(rounds, rewards, now=now)

    async def save(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        self.store.rounds.update({round_.settlement.round_id: round_ for round_ in rounds})
        self.store.rewards.update({reward.id: reward for reward in rewards})

    async def record_correction(
        self, settlement: Settlement, *, reason: str, cause: str, now: datetime
    ) -> None:
        self.store.corrections.append((settlement.round_id, settlement.settlement_version, reason))

    async def refused(self, ids: Iterable[UUID]) -> dict[UUID, list[int]]:
        known = self.store.refused
        return {key: [one.settlement.settlement_version for one in known[key]] for key in ids if key in known}

    async def refuse(self, refused: Sequence[RefusedRound], *, now: datetime) -> None:
        for one in refused:
            self.store.refused.setdefault(one.settlement.round_id, []).append(one)

    async def add_party(self, round_id: UUID, party: Party) -> None:
        round_ = self.store.rounds[round_id]
        settlement = round_.settlement
        parties = sorted_parties([*settlement.parties, party])
        self.store.rounds[round_id] = replace(round_, settlement=replace(settlement, parties=parties))

    async def campaigns_of(self, ids: Iterable[UUID]) -> dict[UUID, UUID]:
        rounds = self.store.rounds
        return {key: rounds[key].settlement.campaign for key in ids if key in rounds}

    async def add_rewards(self, rewards: Sequence[Reward], *, assets: Mapping[UUID, str]) -> None:
        assert not self.store.rewards.keys() & {reward.id for reward in rewards}
        assert all(reward.round_id in assets for reward in rewards)
        self.store.rewards.update({reward.id: reward for reward in rewards})

    async def reward(self, reward_id: UUID) -> Reward | None:
        return self.store.rewards.get(reward_id)

    async def staged(self, keys: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], StagedHead]:
        return {
            key: StagedHead(next(iter(parts.values()))[0], frozenset(parts))
            for key in keys
            if (parts := self.store.parts.get(key))
        }

    async def stage(
        self, parts: Sequence[tuple[Settlement, int, tuple[Line, ...]]], *, now: datetime
    ) -> None:
        for head, part, lines in parts:
            self.store.parts.setdefault((head.round_id, head.settlement_version), {})[part] = (head, lines)

    async def unstage(self, key: tuple[UUID, int], *, part: int | None = None) -> None:
        if part is None:
            self.store.parts.pop(key, None)
        else:
            self.store.parts.get(key, {}).pop(part, None)

    def _lines(self, key: tuple[UUID, int]) -> list[Line]:
        parts = self.store.parts.get(key, {})
        return sorted((line for _, lines in parts.values() for line in lines), key=lambda line: line.line)

    async def staged_lines(self, key: tuple[UUID, int], *, after: int, limit: int) -> list[Line]:
        return [line for line in self._lines(key) if line.line > after][:limit]

    async def staged_players(self, key: tuple[UUID, int]) -> int:
        return len({line.player for line in self._lines(key)})

    async def staged_for(self, key: tuple[UUID, int], *, players: Iterable[str]) -> dict[str, Line]:
        wanted = set(players)
        return {line.player: line for line in self._lines(key) if line.player in wanted}

    async def hold(self, key: tuple[UUID, int], *, held: Mapping[int, str]) -> None:
        self.store.held.setdefault(key, {}).update(held)

    async def holds(self, key: tuple[UUID, int], *, after: int, upto: int) -> dict[int, str]:
        held = self.store.held.get(key, {})
        return {line: code for line, code in held.items() if after < line <= upto}

    async def chunk(
        self, round_id: UUID, *, after: int, limit: int, before_version: int | None = None
    ) -> list[Reward]:
        found = (await self.rewards([round_id]))[round_id]
        return [
            reward
            for reward in found
            if reward.line.line > after and (before_version is None or reward.version < before_version)
        ][:limit]

    async def rewards_of(self, round_id: UUID, *, players: Iterable[str]) -> dict[str, Reward]:
        wanted = set(players)
        found = (await self.rewards([round_id]))[round_id]
        return {reward.line.player: reward for reward in found if reward.line.player in wanted}

    async def credited_before(self, ids: Iterable[UUID]) -> frozenset[UUID]:
        wanted = set(ids)
        credited = {
            (transfer.cause.split("/")[1], transfer.credit.owner)
            for transfer in self.store.ledger.transfers.values()
            if transfer.type in _PAYING
        }
        return frozenset(
            reward.id
            for reward in self.store.rewards.values()
            if reward.id in wanted and (str(reward.round_id), reward.line.player) in credited
        )

    async def shortage(self, round_id: UUID) -> int:
        found = (await self.rewards([round_id]))[round_id]
        return sum(reward.short for reward in found if reward.line.line > 0)

    async def add_work(self, tasks: Sequence[RoundWork], *, now: datetime) -> None:
        for task in tasks:
            number = 1 + max((known.id for known in self.store.work_rows), default=0)
            campaign = self.store.rounds[task.round_id].settlement.campaign
            self.store.work_rows.append(replace(task, id=number, campaign=campaign))

    async def next_work(self) -> RoundWork | None:
        return self.store.work_rows[0] if self.store.work_rows else None

    async def pending_work(self, rounds: Iterable[UUID]) -> dict[UUID, list[RoundWork]]:
        found: dict[UUID, list[RoundWork]] = {}
        wanted = set(rounds)
        for task in self.store.work_rows:
            if task.round_id in wanted:
                found.setdefault(task.round_id, []).append(task)
        return found

    async def save_work(self, task: RoundWork) -> None:
        self.store.work_rows = [task if known.id == task.id else known for known in self.store.work_rows]

    async def end_work(self, task: RoundWork) -> None:
        self.store.work_rows = [known for known in self.store.work_rows if known.id != task.id]


class _Payouts(_Port):
    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Payout]:
        return {key: self.store.payouts[key] for key in ids if key in self.store.payouts}

    async def lock_open(self, players: Iterable[str], *, asset: str) -> list[Payout]:
        wanted = set(players)
        found = [p for p in self.store.payouts.values() if p.player in wanted and p.asset == asset]
        return [payout for payout in reversed(found) if payout.state in _OPEN]

    async def check_none_new(self, players: Iterable[str], *, asset: str, known: Sequence[Payout]) -> None:
        assert {payout.id for payout in await self.lock_open(players, asset=asset)} <= {p.id for p in known}

    async def add(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        assert not self.store.payouts.keys() & {payout.id for payout in payouts}
        self.store.requested_at.update({payout.id: now for payout in payouts})
        await self.save(payouts, now=now)

    async def with_reference(self, reference: str, *, funding_account: str) -> UUID | None:
        without_effect = {PayoutState.FAILED, PayoutState.REJECTED, PayoutState.CANCELLED}
        for payout in self.store.payouts.values():
            named = (payout.funding_account, payout.reference) == (funding_account, reference)
            if named and payout.state not in without_effect:
                return payout.id
        return None

    async def with_references(self, references: Sequence[str], *, funding_account: str) -> dict[str, Payout]:
        found = {one: await self.with_reference(one, funding_account=funding_account) for one in references}
        return {one: self.store.payouts[key] for one, key in found.items() if key is not None}

    async def requested_since(self, *, player: str, asset: str, since: datetime) -> int:
        without_effect = {PayoutState.FAILED, PayoutState.REJECTED, PayoutState.CANCELLED}
        return sum(
            payout.amount
            for payout in self.store.payouts.values()
            if (payout.player, payout.asset, payout.round_id) == (player, asset, None)
            and payout.state not in without_effect
            and self.store.requested_at[payout.id] >= since
        )

    async def with_quote(self, quote_id: str) -> UUID | None:
        stored = self.store.payouts.values()
        return next((p.id for p in stored if p.quote is not None and p.quote["quote_id"] == quote_id), None)

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


class _Claims(_Port):
    async def lock_player(self, player: str) -> None:
        """No lock is needed: the store has one transaction at a time."""

    async def find(self, reward_id: UUID) -> Claim | None:
        return (await self.lock([reward_id])).get(reward_id)

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Claim]:
        return {key: self._whole(self.store.claims[key]) for key in sorted(ids) if key in self.store.claims}

    async def add(self, claims: Sequence[Claim]) -> None:
        assert not self.store.claims.keys() & {claim.reward_id for claim in claims}
        await self.save(claims)

    async def save(self, claims: Sequence[Claim]) -> None:
        self.store.claims.update({claim.reward_id: claim for claim in claims})

    async def due(self, state: ClaimState, *, now: datetime, limit: int) -> list[Claim]:
        found = [one for one in self.store.claims.values() if one.state is state and one.deadline <= now]
        found.sort(key=lambda one: (one.deadline, one.reward_id))
        return [self._whole(one) for one in found if one.campaign == found[0].campaign][:limit]

    async def recent(self, player: str, *, excluding: UUID, since: datetime, limit: int) -> int:
        made = [
            one
            for one in self.store.claims.values()
            if one.player == player
            and one.reward_id != excluding
            and one.claimed_at
            and one.claimed_at >= since
        ]
        return min(limit, len(made))

    async def sharing(self, claim: Claim, *, limit: int) -> list[str]:
        me = self.store.players.get(claim.player)
        winners = {
            reward.line.player for reward in self.store.rewards.values() if reward.round_id == claim.round_id
        }
        return sorted(
            other.player
            for other in self.store.players.values()
            if me is not None
            and other.player in winners - {me.player}
            and (
                other.device_hash == me.device_hash is not None
                or other.address_hash == me.address_hash is not None
            )
        )[:limit]

    def _whole(self, claim: Claim) -> Claim:
        reward = self.store.rewards[claim.reward_id]
        return replace(claim, amount=reward.line.amount - reward.short)


class _Caps(_Port):
    async def lock(self, keys: Iterable[CapKey]) -> dict[CapKey, int]:
        return {key: self.store.cap_usage[key] for key in keys if key in self.store.cap_usage}

    async def lines(self, reward_ids: Iterable[UUID]) -> dict[UUID, CapLine]:
        return {key: self.store.cap_lines[key] for key in reward_ids if key in self.store.cap_lines}

    async def save(self, used: Mapping[CapKey, int], lines: Sequence[CapLine]) -> None:
        assert all(count >= 0 for count in used.values())
        self.store.cap_usage.update(used)
        for line in lines:
            self.store.cap_lines.pop(line.reward_id, None)
            if line.amount:
                self.store.cap_lines[line.reward_id] = line

    async def begin(self, campaign: UUID) -> None:
        assert not any(round_.settlement.campaign == campaign for round_ in self.store.rounds.values())


class _Players(_Port):
    async def lock(self, players: Iterable[str]) -> dict[str, PlayerFacts]:
        return {name: self.store.players.setdefault(name, PlayerFacts(player=name)) for name in players}

    async def save(self, facts: Sequence[PlayerFacts], *, now: datetime) -> None:
        self.store.players.update({one.player: one for one in facts})

    async def get(self, player: str) -> PlayerFacts | None:
        return self.store.players.get(player)

    async def forget(self, player: str) -> bool:
        return self.store.players.pop(player, None) is not None


class _Entries(_Port):
    async def disowned(self, rounds: Iterable[UUID]) -> frozenset[UUID]:
        wanted = set(rounds)
        return frozenset(
            one.round_id
            for one in self.store.disownments.values()
            if one.state is DisownmentState.APPROVED and one.round_id in wanted
        )

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

    async def lock_unclosed(
        self, rounds: Iterable[UUID], *, disowned: Iterable[UUID], limit: int
    ) -> list[Entry]:
        wanted, disowned_rounds = set(rounds), set(disowned)
        found = [
            entry
            for entry in self.store.entries.values()
            if (entry.round_id in wanted and entry.state is EntryState.PAID)
            or (entry.round_id in disowned_rounds and self._is_earned(entry))
        ]
        return sorted(found, key=lambda entry: entry.id)[:limit]

    async def earned(self, round_id: UUID) -> dict[str, int]:
        found: dict[str, int] = {}
        for entry in self.store.entries.values():
            if entry.round_id == round_id and self._is_earned(entry):
                found[entry.asset] = found.get(entry.asset, 0) + entry.amount
        return found

    def _is_earned(self, entry: Entry) -> bool:
        return entry.state is EntryState.EARNED and self.store.assets[entry.asset].redeemable

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


class _Batches(_Port):
    async def add(self, batch: PayoutBatch, *, now: datetime) -> None:
        raise AssertionError("no test files a batch in memory")


class _Fundings(_Port):
    async def get(self, name: str) -> FundingAccount | None:
        return self.store.fundings.get(name)

    async def add(self, account: FundingAccount, *, actor: str, now: datetime) -> bool:
        return self.store.fundings.setdefault(account.name, account) is account


class _Fees(_Port):
    async def lock_balance(self, source: FeeSource, asset: str) -> int:
        return self.store.ledger.balance(source_account(source, asset))

    async def earlier(self, withdrawal: FeeWithdrawal) -> EarlierBooking | None:
        key = (withdrawal.source, withdrawal.asset, withdrawal.reference.lower())
        for one in sorted(self.store.fee_withdrawals.values(), key=lambda one: (one.filed_at, one.id)):
            written = (one.source, one.asset, one.reference.lower())
            if written == key and one.state is not WithdrawalState.REJECTED:
                return EarlierBooking(
                    id=one.id, reference=one.reference, amount=one.amount, by=one.filed_by, at=one.filed_at
                )
        return None

    async def add(self, withdrawal: FeeWithdrawal) -> None:
        self.store.fee_withdrawals[withdrawal.id] = withdrawal

    async def lock(self, identifier: UUID) -> FeeWithdrawal | None:
        return self.store.fee_withdrawals.get(identifier)

    async def decide(self, withdrawal: FeeWithdrawal) -> None:
        assert self.store.fee_withdrawals[withdrawal.id].state is WithdrawalState.FILED
        assert (
            withdrawal.state is not WithdrawalState.APPROVED or withdrawal.decided_by != withdrawal.filed_by
        )
        self.store.fee_withdrawals[withdrawal.id] = withdrawal


class _Disownments(_Port):
    async def newest(self, round_id: UUID) -> Disownment | None:
        of_round = [one for one in self.store.disownments.values() if one.round_id == round_id]
        return max(
            of_round,
            key=lambda one: (one.state is not DisownmentState.REJECTED, one.filed_at, one.id),
            default=None,
        )

    async def record_void(self, round_id: UUID, *, now: datetime) -> None:
        for one in self.store.disownments.values():
            if (
                one.round_id == round_id
                and one.state is DisownmentState.APPROVED
                and one.settlement_voided_at is None
            ):
                self.store.disownments[one.id] = replace(one, settlement_voided_at=now)

    async def record_without_effect(self, command: SettleRound | FinalizeRound, *, now: datetime) -> None:
        self.store.without_effect.setdefault(command.cause, command)

    async def add(self, disownment: Disownment) -> bool:
        for known in self.store.disownments.values():
            if known.round_id == disownment.round_id and known.state is not DisownmentState.REJECTED:
                return False
        self.store.disownments[disownment.id] = disownment
        return True

    async def lock(self, identifier: UUID) -> Disownment | None:
        return self.store.disownments.get(identifier)

    async def decide(self, disownment: Disownment) -> None:
        assert self.store.disownments[disownment.id].state is DisownmentState.FILED
        assert (
            disownment.state is not DisownmentState.APPROVED or disownment.decided_by != disownment.filed_by
        )
        self.store.disownments[disownment.id] = disownment

    async def concern(self, round_id: UUID, *, subject: str) -> Concern | None:
        if any(
            one.round_id == round_id and one.line.player == subject for one in self.store.rewards.values()
        ):
            return Concern.PRIZE
        round_ = self.store.rounds.get(round_id)
        if round_ is not None and round_.settlement.organizer_player == subject:
            return Concern.ORGANIZER
        entries = [one for one in self.store.entries.values() if one.round_id == round_id]
        if any(one.player == subject and one.state is not EntryState.REFUSED for one in entries):
            return Concern.ENTRY
        if round_ is None:
            return None
        kept = self.store.source_parties.get(campaign_source(round_.settlement.campaign), set())
        parties = {*round_.settlement.parties, *kept}
        return Concern.PARTY if any(name == subject for _, name in parties) else None

    async def is_known(self, round_id: UUID) -> bool:
        return (
            round_id in self.store.entry_rounds
            or any(key == round_id for key, _ in self.store.parts)
            or round_id in self.store.refused
        )

    async def block_new_rounds(self) -> None:
        """No lock is needed: the store has one transaction at a time."""


class _Assignments(_Port):
    async def in_force(self, players: Iterable[str], *, now: datetime) -> dict[str, PayeeAssignment]:
        names = set(players)
        found = [one for one in self.store.assignments.values() if one.player in names]
        return {one.player: one for one in found if one.in_force(now=now)}

    async def get(self, identifier: UUID) -> PayeeAssignment | None:
        return self.store.assignments.get(identifier)

    async def lock_persons(self, persons: Iterable[str]) -> None:
        """No lock is needed: the store has one transaction at a time."""

    async def open_of(self, player: str) -> list[PayeeAssignment]:
        waiting = {AssignmentState.PROPOSED, AssignmentState.IN_FORCE}
        return [
            one for one in self.store.assignments.values() if one.player == player and one.state in waiting
        ]

    async def chained(self, *, player: str, payee: str, now: datetime) -> PayeeAssignment | None:
        for one in self.store.assignments.values():
            if one.in_force(now=now) and (one.player == payee or one.payee == player):
                return one
        return None

    async def last_request(self, player: str) -> datetime | None:
        times = [
            at
            for payout, at in self.store.requested_at.items()
            if self.store.payouts[payout].player == player
        ]
        return max(times, default=None)

    async def add(self, assignment: PayeeAssignment) -> None:
        self.store.assignments[assignment.id] = assignment

    async def save(self, assignment: PayeeAssignment) -> None:
        self.store.assignments[assignment.id] = assignment


class _Withdrawals(_Port):
    async def lock(self, *, player: str, asset: str) -> AutoWithdrawal | None:
        return self.store.withdrawals.get((player, asset))

    async def lock_due(self, *, now: datetime) -> AutoWithdrawal | None:
        def due(withdrawal: AutoWithdrawal) -> bool:
            held = self.store.ledger.balance(Account(Kind.WINNINGS, withdrawal.player, withdrawal.asset))
            return withdrawal.next_at <= now and (
                withdrawal.threshold is None or held >= withdrawal.threshold
            )

        waiting = sorted(
            filter(due, self.store.withdrawals.values()), key=lambda withdrawal: withdrawal.next_at
        )
        return waiting[0] if waiting else None

    async def save(self, withdrawal: AutoWithdrawal, *, now: datetime) -> None:
        self.store.withdrawals[withdrawal.player, withdrawal.asset] = withdrawal

    async def remove(self, *, player: str, asset: str) -> bool:
        return self.store.withdrawals.pop((player, asset), None) is not None


class _History(_Port):
    async def add(self, transitions: Sequence[Transition], *, now: datetime) -> None:
        self.store.history.extend(transitions)


class _Messages(_Port):
    async def publish(self, events: Sequence[Event]) -> None:
        self.store.published.extend(events)


class _Parties(_Port):
    async def add_source(self, source: str, party: Party) -> None:
        self.store.source_parties.setdefault(source, set()).add(party)

    async def of_source(self, source: str) -> tuple[Party, ...]:
        return sorted_parties(self.store.source_parties.get(source, ()))

    async def of_sources(self, sources: Iterable[str]) -> dict[str, tuple[Party, ...]]:
        kept = self.store.source_parties
        return {source: sorted_parties(kept[source]) for source in set(sources) if source in kept}

    async def keep(self, credited: Sequence[tuple[Account, CreditParties]]) -> None:
        for wallet, credited_by in credited:
            known = self.store.wallet_parties.get(wallet, NO_PARTIES)
            self.store.wallet_parties[wallet] = CreditParties(
                (*known.parties, *credited_by.parties), (*known.one_person, *credited_by.one_person)
            )

    async def take(self, wallet: Account, *, whole: bool) -> CreditParties:
        found = self.store.wallet_parties.get(wallet, NO_PARTIES)
        refundable = any(
            (entry.player, entry.asset, entry.state) == (wallet.owner, wallet.asset, EntryState.PAID)
            and entry.from_winnings
            for entry in self.store.entries.values()
        )
        if whole and not refundable:
            self.store.wallet_parties.pop(wallet, None)
        return found


class _Openings(_Port):
    async def lock(self) -> None:
        return

    async def booked(self, transfers: Sequence[UUID]) -> dict[UUID, int]:
        known = self.store.ledger.transfers
        return {key: known[key].amount for key in transfers if key in known}

    async def totals(self, keys: Iterable[SumKey]) -> dict[SumKey, int]:
        return {key: -self.store.ledger.balance(intake_account(key)) for key in sorted(set(keys))}


class FakeSigner:
    """Uses the payout id as the signature, so that a test sees which payout was signed."""

    key_id = "rewards-fake"

    def sign(self, intent: Intent) -> str:
        return intent.payout_id.replace("-", "").ljust(128, "0")


@dataclass
class FakeClosures:
    """Accepts only the closures in ``known``."""

    known: set[tuple[str, UUID]] = field(default_factory=set)

    def verifies(self, closure: str, *, payout_id: UUID) -> bool:
        return (closure, payout_id) in self.known


class FakeDigest:
    """A digest that consists of the lines."""

    def __call__(self, lines: Sequence[Line], *, asset: str) -> str:
        whole = self.begin(asset=asset)
        whole.add(lines)
        return whole.hexdigest()

    def begin(self, *, asset: str) -> "FakeStream":
        return FakeStream(asset)


@dataclass
class FakeStream:
    """The same digest over lines that are added in batches."""

    asset: str
    lines: list[Line] = field(default_factory=list)

    def add(self, lines: Sequence[Line]) -> None:
        self.lines += lines

    def hexdigest(self) -> str:
        return f"{self.asset}:" + ";".join(
            f"{line.line},{line.player},{line.place},{line.amount}" for line in self.lines
        )
