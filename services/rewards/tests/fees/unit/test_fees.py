"""Withdrawals of fees over the ports in memory: two persons, at most the balance."""

from dataclasses import replace
from uuid import uuid4

import pytest

from prizewire_rewards.errors import InsufficientBalance, InvalidRequest, NotFound
from prizewire_rewards.fees.domain import FeeSource, FeeWithdrawal, WithdrawalState
from prizewire_rewards.fees.handlers import DecideFees, decide_withdrawal, file_withdrawal
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from services.rewards.tests.fakes import MemoryStore
from services.rewards.tests.rig import ASSETS, START, make_tools

FEES = Account(Kind.FEES, "platform", "USDC")
OUT = Account(Kind.EXTERNAL_OUT, "world", "USDC")


def kept() -> MemoryStore:
    """10.00 USDC of the platform's fees."""
    store = MemoryStore(ASSETS)
    store.ledger.balances[FEES] = 1_000
    return store


async def filed(store: MemoryStore, amount: int = 700, by: str = "ada") -> FeeWithdrawal:
    made = FeeWithdrawal(
        id=uuid4(),
        source=FeeSource.PLATFORM,
        asset="USDC",
        amount=amount,
        reference="wire",
        filed_by=by,
        filed_at=START,
    )
    return await file_withdrawal(made, repeated=True, ports=store.ports(), tools=make_tools())


async def decide(
    store: MemoryStore, withdrawal: FeeWithdrawal, by: str, *, approved: bool = True
) -> FeeWithdrawal:
    command = DecideFees(
        id=withdrawal.id, approved=approved, actor=by, reason=None if approved else "the wrong account"
    )
    return await decide_withdrawal(command, ports=store.ports(), tools=make_tools(), now=START)


async def test_another_person_approves_once() -> None:
    """The filer may not approve. An approved withdrawal has left and cannot be decided again."""
    store = kept()
    made = await filed(store)
    with pytest.raises(InvalidRequest) as own:
        await decide(store, made, "ada")
    assert own.value.code == "own_fee_withdrawal"
    assert store.ledger.transfers == {}
    done = await decide(store, made, "boris")
    assert (done.state, done.decided_by) == (WithdrawalState.APPROVED, "boris")
    assert (store.ledger.balance(FEES), store.ledger.balance(OUT)) == (300, 700)
    with pytest.raises(InvalidRequest) as final:
        await decide(store, made, "cleo")
    assert final.value.code == "fee_withdrawal_final"


async def test_the_filer_may_reject_it() -> None:
    """Nothing moves, and it cannot be approved later."""
    store = kept()
    made = await filed(store)
    assert (await decide(store, made, "ada", approved=False)).state is WithdrawalState.REJECTED
    with pytest.raises(InvalidRequest):
        await decide(store, made, "boris")
    assert store.ledger.transfers == {}


async def test_the_balance_is_checked_twice() -> None:
    """The balance is checked when it is filed, and again when it is approved."""
    store = kept()
    with pytest.raises(InsufficientBalance, match=r"the requested 10\.01 USDC: 10\.00 USDC is available"):
        await filed(store, amount=1_001)
    first, second = await filed(store), await filed(store)
    await decide(store, first, "boris")
    with pytest.raises(InsufficientBalance):
        await decide(store, second, "boris")
    assert store.ledger.balance(FEES) == 300


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"asset": "SEASON"}, "asset_not_redeemable"),
        ({"asset": "GOLD"}, "asset_unknown"),
        ({"amount": 0}, "amount_not_positive"),
    ],
)
async def test_an_impossible_withdrawal_is_not_filed(changes: dict[str, object], code: str) -> None:
    """Points, an unknown asset and an amount of zero are refused."""
    store = kept()
    made = replace(await filed(store), id=uuid4(), **changes)  # type: ignore[arg-type] # by parameter
    with pytest.raises(InvalidRequest) as refused:
        await file_withdrawal(made, repeated=True, ports=store.ports(), tools=make_tools())
    assert refused.value.code == code


async def test_an_unknown_withdrawal_cannot_be_decided() -> None:
    """The refusal is ``fee_withdrawal_unknown``."""
    store = kept()
    made = replace(await filed(store), id=uuid4())
    with pytest.raises(NotFound):
        await decide(store, made, "boris")
