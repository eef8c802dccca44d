"""From signatures to proof: send, confirm, resolve, and find transactions that expired unsigned."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from prizewire_payouts.stellar.domain.model import (
    AccountQuery,
    LookUp,
    LookUpStatus,
    SendStatus,
    SlotView,
    TransactionAttempt,
)
from prizewire_payouts.stellar.domain.proof import Finding, NodeReport, Verdict, applied, judge
from prizewire_payouts.stellar.domain.states import TransactionState
from prizewire_payouts.stellar.handlers.building import Options
from prizewire_payouts.stellar.handlers.codes import failed_operations
from prizewire_payouts.stellar.ports import ChainRpc, Outcomes, RpcUnavailable


async def send_signed(*, store: Outcomes, rpc: ChainRpc, options: Options, now: datetime) -> bool:
    """Send signed transactions. The ledger number is committed first: after a crash the transaction is looked up."""
    attempts = await store.in_state(TransactionState.SIGNED, now=now)

    async def one(attempt: TransactionAttempt) -> None:
        assert attempt.max_time is not None
        try:
            moment = await rpc.latest_ledger()
        except RpcUnavailable:
            await store.postpone(attempt.attempt_id, until=now + options.node_pause)
            return
        if moment.close_time >= attempt.max_time:
            await store.to_checking(attempt, detail="maxTime passed before the send", now=now)
            return
        if await store.commit_sent(attempt, ledger=moment.sequence, due=now + options.poll, now=now):
            await _send(attempt, store=store, rpc=rpc, options=options, now=now)

    await asyncio.gather(*(one(attempt) for attempt in attempts))
    return bool(attempts)


async def _send(
    attempt: TransactionAttempt, *, store: Outcomes, rpc: ChainRpc, options: Options, now: datetime
) -> None:
    """Send the bytes to the node. No answer to a send proves an outcome; after an ERROR the ledger is asked."""
    assert attempt.signed_xdr is not None
    try:
        answer = await rpc.send(attempt.signed_xdr)
    except RpcUnavailable:
        return  # the node may have accepted it: the next look-up shows it
    if answer.status is SendStatus.ERROR:
        await store.to_checking(attempt, detail=f"the node answered ERROR {answer.code}", now=now)
    else:
        await store.note_checked(attempt, ledger=answer.latest.sequence, due=now + options.poll)


async def confirm_sent(*, store: Outcomes, rpc: ChainRpc, options: Options, now: datetime) -> bool:
    """Look up sent transactions; send the same bytes again while the ledger does not know them."""
    attempts = await store.in_state(TransactionState.SENT, now=now)

    async def one(attempt: TransactionAttempt) -> None:
        assert attempt.tx_hash is not None
        assert attempt.max_time is not None
        try:
            found = await rpc.look_up(attempt.tx_hash)
        except RpcUnavailable:
            await store.postpone(attempt.attempt_id, until=now + options.poll)
            return
        verdict = applied(found, consumed=False)
        if verdict is not None:
            await _settle(attempt, verdict, found, store=store, now=now)
        elif found.status is not LookUpStatus.NOT_FOUND:
            code = found.result.code if found.result is not None else None
            await store.to_checking(attempt, detail=f"the ledger holds it as {code}", now=now)
        elif found.latest.close_time > attempt.max_time:
            await store.to_checking(attempt, detail="maxTime passed", now=now)
        elif found.latest.sequence > (attempt.checked_ledger or 0):
            await store.note_checked(attempt, ledger=found.latest.sequence, due=now + options.poll)
            await _send(attempt, store=store, rpc=rpc, options=options, now=now)
        else:
            await store.postpone(attempt.attempt_id, until=now + options.poll)

    await asyncio.gather(*(one(attempt) for attempt in attempts))
    return False


async def resolve_checking(
    *, store: Outcomes, rpcs: Sequence[ChainRpc], options: Options, now: datetime
) -> bool:
    """Prove the outcome of transactions that may have been applied."""
    attempts = await store.in_state(TransactionState.CHECKING, now=now)
    for attempt in attempts:
        assert attempt.slot_id is not None
        slot = await store.slot(attempt.slot_id)
        try:
            reports = await asyncio.gather(*(_ask(rpc, slot) for rpc in rpcs))
        except RpcUnavailable:
            await store.postpone(attempt.attempt_id, until=now + options.poll)
            continue
        await _conclude(attempt, slot, reports, store=store, options=options, now=now)
    return False


async def _ask(rpc: ChainRpc, slot: SlotView) -> NodeReport:
    """Ask one node for the ledger's time, then the account, then the digests: a digest that is absent last was absent all
    along.
    """
    moment = await rpc.latest_ledger()
    read = await rpc.accounts([AccountQuery(slot.account)])
    if read.ledger < moment.sequence:
        raise RpcUnavailable("the node fell back behind what it said before")
    facts = read.accounts.get(slot.account)
    look_ups = [await rpc.look_up(tx_hash) for _, tx_hash in slot.digests]
    return NodeReport(
        entry_ledger=read.ledger,
        close_time=moment.close_time,
        sequence=None if facts is None else facts.sequence,
        look_ups=tuple(look_ups),
    )


async def _conclude(
    attempt: TransactionAttempt,
    slot: SlotView,
    reports: Sequence[NodeReport],
    *,
    store: Outcomes,
    options: Options,
    now: datetime,
) -> None:
    assert attempt.max_time is not None
    finding = judge(
        sequence=slot.sequence, max_time=attempt.max_time, since=attempt.sent_ledger, reports=reports
    )
    if finding.verdict in {Verdict.SUCCEEDED, Verdict.FAILED}:
        assert finding.digest is not None
        owner, tx_hash = slot.digests[finding.digest]
        if owner != attempt.attempt_id:
            detail = f"{tx_hash}, which was proved dead, has {finding.verdict}: {finding.why}"
            await store.to_review(attempt, detail=detail, now=now)
            return
        evidence = _evidence(finding, reports, slot)
        await _settle(attempt, finding.verdict, evidence, store=store, now=now)
    elif finding.verdict is Verdict.DEAD:
        await store.mark_dead(attempt, detail=finding.why, now=now)
    elif finding.verdict is Verdict.REVIEW:
        await store.to_review(attempt, detail=finding.why, now=now)
    else:
        await store.postpone(attempt.attempt_id, until=now + options.poll)


def _evidence(finding: Finding, reports: Sequence[NodeReport], slot: SlotView) -> LookUp:
    """The look-up that the finding rests on."""
    assert finding.digest is not None
    for report in reports:
        look_up = report.look_ups[finding.digest]
        consumed = report.sequence is not None and report.sequence >= slot.sequence
        if applied(look_up, consumed=consumed) is not None:
            return look_up
    raise AssertionError("a finding rests on a look-up")


async def _settle(
    attempt: TransactionAttempt, verdict: Verdict, look_up: LookUp, *, store: Outcomes, now: datetime
) -> None:
    if verdict is Verdict.SUCCEEDED:
        await store.succeed(attempt, look_up=look_up, now=now)
        return
    results = look_up.result.operations if look_up.result is not None else None
    await store.fail(attempt, look_up=look_up, codes=failed_operations(results or ()), now=now)


async def expire_unsigned(*, store: Outcomes, rpc: ChainRpc, options: Options, now: datetime) -> bool:
    """Check transactions that were not signed in time: a late signature may exist, so the ledger must prove them dead."""
    attempts = await store.in_state(TransactionState.BUILT, TransactionState.EXPORTED, now=now)
    if not attempts:
        return False
    try:
        moment = await rpc.latest_ledger()
    except RpcUnavailable:
        moment = None
    for attempt in attempts:
        assert attempt.max_time is not None
        if moment is not None and moment.close_time > attempt.max_time:
            await store.to_checking(attempt, detail="maxTime passed without a signature", now=now)
        else:
            await store.postpone(attempt.attempt_id, until=now + options.node_pause)
    return False
