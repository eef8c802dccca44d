"""Disownments over the ports in memory: two admins, and all balances as before, except for spent money."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prizewire_rewards.campaigns.domain.commands import ChangeCampaign, CreateCampaign, FundCampaign
from prizewire_rewards.campaigns.domain.model import CampaignState, Delivery
from prizewire_rewards.campaigns.handlers import change_campaign, create_campaign, fund_campaign
from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.handlers import Booking, UnitOfWork
from prizewire_rewards.prizes.domain.model import Line, Settlement
from prizewire_rewards.prizes.domain.states import RoundState
from prizewire_rewards.rounds.domain.commands import RoundDisowned, SettleRound, VoidRound
from prizewire_rewards.rounds.domain.disownments import Concern, Disownment, DisownmentState, decided
from prizewire_rewards.rounds.handlers.disowning import DecideDisownment, decide_disownment, file_disownment
from prizewire_rewards.rounds.handlers.large import work_on_next
from prizewire_rewards.rounds.handlers.settlements import apply_settlements
from services.rewards.tests.fakes import MemoryStore
from services.rewards.tests.rig import ASSETS, START, make_tools

TOOLS = make_tools()
CAMPAIGN = UUID(int=1)
POOL = Account(Kind.POOL, str(CAMPAIGN), "USDC")
FUNDED = 1_000
DISOWNMENT = Disownment(id=uuid4(), round_id=uuid4(), reason="forged", filed_by="ada", filed_at=START)


async def funded(delivery: Delivery) -> MemoryStore:
    """A campaign with 10.00 USDC."""
    store = MemoryStore(ASSETS)
    made = CreateCampaign(id=CAMPAIGN, name="cup", asset="USDC", delivery=delivery, actor="cam")
    await create_campaign(made, ports=store.ports(), tools=TOOLS, now=START)
    money = FundCampaign(id=uuid4(), campaign=CAMPAIGN, amount=FUNDED, reference="x", actor="cam")
    await fund_campaign(money, ports=store.ports(), tools=TOOLS, now=START)
    change = ChangeCampaign(campaign=CAMPAIGN, to=CampaignState.ACTIVE, actor="cam")
    await change_campaign(change, ports=store.ports(), now=START)
    return store


async def work_through(store: MemoryStore) -> None:
    while await work_on_next(ports=store.ports(), tools=TOOLS, now=START, limit=2) is not None:
        pass


async def settle(
    store: MemoryStore,
    prizes: list[int],
    *,
    fees: tuple[int, int],
    organizer: str | None,
    final: bool,
    parts: int,
) -> UUID:
    """Settle a forged round. Returns its id."""
    size = -(-len(prizes) // parts)
    lines = [Line(n, f"p{n}", n, amount, (n - 1) // size + 1) for n, amount in enumerate(prizes, 1)]
    net = sum(prizes)
    head = Settlement(
        round_id=uuid4(),
        match_id="m",
        match_source="/games/x",
        competition="cup",
        correlation_id=str(uuid4()),
        settlement_version=1,
        rule_version=1,
        campaign=CAMPAIGN,
        asset="USDC",
        gross=net + sum(fees),
        platform_fee=fees[0],
        organizer_fee=fees[1],
        organizer_player=organizer,
        net=net,
        unclaimed=0,
        parts=lines[-1].part,
        lines_total=len(lines),
        digest=TOOLS.digest(lines, asset="USDC"),
        final=final,
        final_at=START,
    )
    commands = [
        SettleRound(
            settlement=head, part=part, lines=tuple(one for one in lines if one.part == part), cause="c"
        )
        for part in range(1, head.parts + 1)
    ]
    done = await apply_settlements(commands, ports=store.ports(), tools=TOOLS, now=START)
    assert not done.refusals
    await work_through(store)
    return head.round_id


async def disown(store: MemoryStore, round_id: UUID) -> None:
    disownment = replace(DISOWNMENT, id=uuid4(), round_id=round_id)
    await file_disownment(disownment, ports=store.ports())
    command = DecideDisownment(id=disownment.id, approved=True, actor="boris", reason=None)
    await decide_disownment(command, ports=store.ports(), tools=TOOLS, now=START)
    await work_through(store)


async def spend(store: MemoryStore, player: str, amount: int) -> int:
    """Spend a player's money, at most an amount. Returns the spent amount."""
    wallet = Account(Kind.WINNINGS, player, "USDC")
    amount = min(amount, store.ledger.balance(wallet))
    if amount:
        uow = UnitOfWork(store.ports(), now=START)
        escrow = Account(Kind.ESCROW_WINNINGS, player, "USDC")
        move = Move(TransferType.ENTRY_FEE_HELD, wallet, escrow, amount)
        uow.bookings.append(Booking([move], cause=f"spent/{player}", correlation_id="c"))
        await uow.post()
    return amount


@given(
    prizes=st.lists(st.integers(1, 300), min_size=1, max_size=6),
    fees=st.tuples(st.integers(0, 50), st.integers(0, 50)),
    organizer=st.sampled_from([None, "org", "p1"]),
    final=st.booleans(),
    parts=st.sampled_from([1, 1, 2, 3]),
    delivery=st.sampled_from([Delivery.WALLET, Delivery.CLAIM]),
    spent=st.dictionaries(st.sampled_from(["p1", "p2", "org"]), st.integers(1, 300)),
)
def test_all_balances_are_as_before_except_spent_money(
    prizes: list[int],
    fees: tuple[int, int],
    organizer: str | None,
    final: bool,
    parts: int,
    delivery: Delivery,
    spent: dict[str, int],
) -> None:
    """For every state of the round and its money: afterwards all money is in the pool, was spent by players, or is owed
    by them.
    """

    async def scene() -> None:
        store = await funded(delivery)
        round_id = await settle(store, prizes, fees=fees, organizer=organizer, final=final, parts=parts)
        gone = {player: await spend(store, player, amount) for player, amount in spent.items()}
        await disown(store, round_id)
        assert store.rounds[round_id].state is RoundState.VOIDED
        total = sum(gone.values())
        assert store.ledger.balance(POOL) == FUNDED - total
        owed: dict[str, int] = {}
        for debt in store.receivables.values():
            owed[debt.player] = owed.get(debt.player, 0) + debt.open
        assert owed == {player: amount for player, amount in gone.items() if amount}
        campaign = store.campaigns[CAMPAIGN]
        assert (campaign.granted, campaign.queued, campaign.state) == (total, 0, CampaignState.ACTIVE)
        resting = {Kind.POOL, Kind.EXTERNAL_IN, Kind.ESCROW_WINNINGS, Kind.RECEIVABLE, Kind.CLEARING}
        assert not [
            account for account, left in store.ledger.balances.items() if left and account.kind not in resting
        ]

    asyncio.run(scene())


def test_two_admins_decide() -> None:
    """The filer may reject but not approve, persons with a conflict of interest may do neither, and it is decided once."""

    def decide(
        by: str, *, approved: bool, concern: Concern | None = None, of: Disownment = DISOWNMENT
    ) -> Disownment:
        return decided(of, approved=approved, by=by, decision=None, concern=concern, now=START)

    done = decide("boris", approved=True)
    assert (done.state, done.decided_by) == (DisownmentState.APPROVED, "boris")
    assert decide("ada", approved=False, concern=Concern.PARTY).state is DisownmentState.REJECTED
    for code, by, approved, concern, of in (
        ("own_disownment", "ada", True, None, DISOWNMENT),
        ("decider_is_party", "boris", True, Concern.PRIZE, DISOWNMENT),
        ("decider_is_party", "boris", False, Concern.PARTY, DISOWNMENT),
        ("disownment_final", "cleo", False, None, done),
    ):
        with pytest.raises(InvalidRequest) as refused:
            decide(by, approved=approved, concern=concern, of=of)
        assert refused.value.code == code


async def test_an_unknown_round_is_not_disowned() -> None:
    """An unknown round and an unknown disownment are refused."""
    store = await funded(Delivery.WALLET)
    with pytest.raises(InvalidRequest) as unknown:
        await file_disownment(DISOWNMENT, ports=store.ports())
    assert unknown.value.code == "round_unknown"
    command = DecideDisownment(id=uuid4(), approved=True, actor="boris", reason=None)
    with pytest.raises(NotFound):
        await decide_disownment(command, ports=store.ports(), tools=TOOLS, now=START)


def disowned_of(store: MemoryStore) -> list[tuple[UUID, str]]:
    """The ids and correlation ids in events about disowned rounds."""
    events = [event for event in store.published if isinstance(event, RoundDisowned)]
    return [(event.disownment.round_id, event.correlation_id) for event in events]


@pytest.mark.parametrize("parts", [1, 3])
async def test_an_approved_disownment_has_an_event_and_settlement_may_void_the_round(parts: int) -> None:
    """The event follows the approval; the void after it changes nothing, also while lines are taken back."""
    store = await funded(Delivery.WALLET)
    round_id = await settle(store, [30, 20, 10], fees=(5, 0), organizer=None, final=True, parts=parts)
    disownment = replace(DISOWNMENT, round_id=round_id)
    await file_disownment(disownment, ports=store.ports())
    assert disowned_of(store) == []
    command = DecideDisownment(id=disownment.id, approved=True, actor="boris", reason=None)
    await decide_disownment(command, ports=store.ports(), tools=TOOLS, now=START)
    correlation_id = store.rounds[round_id].settlement.correlation_id
    assert disowned_of(store) == [(round_id, correlation_id)]
    void = VoidRound(round_id=round_id, cause="void")
    for _ in range(2):
        done = await apply_settlements([void], ports=store.ports(), tools=TOOLS, now=START)
        assert (done.refusals, done.booked.voided) == ({}, 0)
        await work_through(store)
    assert store.rounds[round_id].state is RoundState.VOIDED
    assert store.ledger.balance(POOL) == FUNDED


async def test_a_rejected_disownment_has_no_event() -> None:
    """A rejected disownment has no event, and the round stays unchanged."""
    store = await funded(Delivery.WALLET)
    round_id = await settle(store, [30], fees=(0, 0), organizer=None, final=True, parts=1)
    await file_disownment(replace(DISOWNMENT, round_id=round_id), ports=store.ports())
    command = DecideDisownment(
        id=DISOWNMENT.id, approved=False, actor="boris", reason="settlement settled it"
    )
    await decide_disownment(command, ports=store.ports(), tools=TOOLS, now=START)
    assert disowned_of(store) == []


@pytest.mark.parametrize("parts", [1, 3])
async def test_a_voided_round_is_disowned_without_effect(parts: int) -> None:
    """The void may have been forged: nothing is taken back twice, also with pending work, and settlement gets the
    event.
    """
    store = await funded(Delivery.WALLET)
    round_id = await settle(store, [30, 20, 10], fees=(5, 0), organizer=None, final=False, parts=parts)
    void = VoidRound(round_id=round_id, cause="forged")
    assert not (await apply_settlements([void], ports=store.ports(), tools=TOOLS, now=START)).refusals
    await disown(store, round_id)
    assert [found for found, _ in disowned_of(store)] == [round_id]
    assert store.rounds[round_id].state is RoundState.VOIDED
    assert store.ledger.balance(POOL) == FUNDED
