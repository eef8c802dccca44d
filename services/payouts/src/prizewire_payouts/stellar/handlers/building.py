"""The limits that the steps keep."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from prizewire_payouts.stellar.domain.model import (
    AccountFacts,
    AccountQuery,
    FeeStats,
    Kind,
    LedgerMoment,
    TransactionAttempt,
)
from prizewire_payouts.stellar.domain.states import TransactionState
from prizewire_payouts.stellar.handlers.preflight import check, queries
from prizewire_payouts.stellar.ports import (
    BuildPlan,
    ChainRpc,
    Leases,
    RpcUnavailable,
    TransactionMaker,
)

BASE_FEE = 100
"""The least that the network takes for an operation, in stroops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``valid`` is how long a transaction may be applied after it was built, judged by ledger close time;
    ``fee_max`` the most for one transaction in stroops; ``poll`` paces looks at the ledger; ``short_of_funds`` is
    how long payments wait that the treasury cannot cover, ``rest`` how long a channel rests whose account is unfit,
    ``node_pause`` how long after a node did not answer.
    """

    valid: timedelta = timedelta(seconds=90)
    fee_max: int = 2_000_000
    poll: timedelta = timedelta(milliseconds=2500)
    short_of_funds: timedelta = timedelta(seconds=30)
    rest: timedelta = timedelta(seconds=60)
    node_pause: timedelta = timedelta(seconds=2)


def fee_of(*, operations: int, bid: int, fee_max: int) -> int:
    """The fee of a transaction in stroops: a bid for each operation, never below the base fee, within the ceiling."""
    return min(max(BASE_FEE, bid) * operations, fee_max)


async def build_leased(
    *, store: Leases, rpc: ChainRpc, maker: TransactionMaker, options: Options, now: datetime
) -> bool:
    """Build a transaction of each lease. A payment that the ledger would not apply now never enters a transaction."""
    attempts = await store.in_state(TransactionState.LEASED, now=now)
    if not attempts:
        return False
    try:
        moment, bids = await asyncio.gather(rpc.latest_ledger(), rpc.fee_stats())
    except RpcUnavailable:
        for attempt in attempts:
            await store.postpone(attempt.attempt_id, until=now + options.node_pause)
        return False
    for attempt in attempts:
        try:
            await _build(
                attempt,
                store=store,
                rpc=rpc,
                maker=maker,
                options=options,
                moment=moment,
                bids=bids,
                now=now,
            )
        except RpcUnavailable:
            await store.postpone(attempt.attempt_id, until=now + options.node_pause)
    return True


async def _build(
    attempt: TransactionAttempt,
    *,
    store: Leases,
    rpc: ChainRpc,
    maker: TransactionMaker,
    options: Options,
    moment: LedgerMoment,
    bids: FeeStats,
    now: datetime,
) -> None:
    if attempt.kind is Kind.VOID_SLOT:
        await _build_void(
            attempt, store=store, rpc=rpc, maker=maker, options=options, moment=moment, bids=bids, now=now
        )
        return
    payments = attempt.payments
    if not payments:
        await store.release(attempt, ejected={}, retry_at=now, rest=None, now=now)
        return
    read = await rpc.accounts(queries(payments, treasury=maker.treasury, channel=attempt.account))
    found = check(payments, treasury=maker.treasury, accounts=read.accounts)
    channel = read.accounts.get(attempt.account)
    bid = bids.p90 if (attempt.revision or 1) == 1 else bids.p99
    fee = fee_of(operations=max(1, len(found.good)), bid=bid, fee_max=options.fee_max)
    fault = _fault(channel, fee=fee)
    rebuilt = attempt.slot_id is not None
    if channel is None or fault is not None or (found.uncovered and rebuilt):
        if rebuilt:  # its payments may be bound to this slot, so they wait for it
            await store.postpone(attempt.attempt_id, until=now + options.short_of_funds)
            return
        rest = (now + options.rest, fault or "")
        await store.release(attempt, ejected=found.bad, retry_at=now, rest=rest, now=now)
        return
    retry_at = now + options.short_of_funds
    if not found.good:
        await store.release(attempt, ejected=found.bad, retry_at=retry_at, rest=None, now=now)
        return
    sequence = attempt.sequence
    if sequence is None:
        sequence = max(attempt.channel_sequence, channel.sequence) + 1
    built = maker.payments(
        account=attempt.account,
        sequence=sequence,
        payments=found.good,
        memo=attempt.memo,
        max_time=_max_time(attempt, moment, options),
        fee=fee,
    )
    plan = BuildPlan(
        built=built,
        items=tuple(payment.provider_key for payment in found.good),
        ejected=found.bad,
        waiting=tuple(payment.provider_key for payment in found.uncovered),
        retry_at=retry_at,
        fee_cap=options.fee_max,
    )
    await store.commit_built(attempt, plan=plan, now=now)


async def _build_void(
    attempt: TransactionAttempt,
    *,
    store: Leases,
    rpc: ChainRpc,
    maker: TransactionMaker,
    options: Options,
    moment: LedgerMoment,
    bids: FeeStats,
    now: datetime,
) -> None:
    """Build a transaction that consumes the slot and pays nobody. The payments that wait on the slot stay with the attempt."""
    assert attempt.sequence is not None
    read = await rpc.accounts([AccountQuery(attempt.account)])
    fee = fee_of(operations=1, bid=bids.p99, fee_max=options.fee_max)
    if _fault(read.accounts.get(attempt.account), fee=fee) is not None:
        await store.postpone(attempt.attempt_id, until=now + options.short_of_funds)
        return
    built = maker.void(
        account=attempt.account,
        sequence=attempt.sequence,
        max_time=_max_time(attempt, moment, options),
        fee=fee,
    )
    await store.commit_built(attempt, plan=BuildPlan(built=built, items=(), fee_cap=options.fee_max), now=now)


def _max_time(attempt: TransactionAttempt, moment: LedgerMoment, options: Options) -> int:
    """The end of validity, later than that of every revision before: two revisions that pay the same amounts to the
    same accounts would otherwise be the same bytes, and two sets of payouts would have the same hash.
    """
    max_time = moment.close_time + int(options.valid.total_seconds())
    return max_time if attempt.slot_max_time is None else max(max_time, attempt.slot_max_time + 1)


def _fault(channel: AccountFacts | None, *, fee: int) -> str | None:
    """Why a channel's account cannot carry a transaction."""
    if channel is None:
        return "the channel account does not exist"
    if channel.spendable < fee:
        return f"the channel account cannot pay a fee of {fee} stroops"
    return None
