"""From a queued request to an answer: decide and record, sign, answer.

The order keeps money safe (protocol: signing, slots): the bindings of the payouts and the digest are committed before a
key is used, so that a crash at any point leaves either nothing or a digest that may be signed again with the same
result. ``decide`` and ``finish`` each run in a transaction of their own; ``sign`` runs between them, outside of any
transaction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from prizewire_money import Amount
from prizewire_signer.domain.commands import SigningRequest
from prizewire_signer.domain.events import Completed, Refused
from prizewire_signer.domain.examine import Findings, examine
from prizewire_signer.domain.judge import is_repeat, judge
from prizewire_signer.domain.model import PAYING, Rules, Signature, Transaction
from prizewire_signer.domain.states import WorkState
from prizewire_signer.errors import BackendCode, BackendError, Code, UnreadableTransaction
from prizewire_signer.ports import Backend, RequestReader, TransactionReader, UnitOfWork, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningContext:
    """The rules and readers of every decision. ``key_of`` is the public key behind each account that may sign; ``verify`` is
    an Ed25519 verification. ``lease_s`` is how long a recorded request is left to the worker that recorded it.
    """

    rules: Rules
    requests: RequestReader
    transactions: TransactionReader
    key_of: Mapping[str, bytes]
    verify: Callable[[bytes, bytes, bytes], bool]
    lease_s: int


class Outcome(StrEnum):
    """The outcome of one request; ``gone`` where another worker has answered it."""

    GONE = "gone"
    RECORDED = "recorded"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A committed digest that is now to be signed with these keys, unless ``done`` holds the signatures."""

    work_id: int
    request: SigningRequest
    cause: str
    tx_hash: bytes
    keys: tuple[bytes, ...]
    done: tuple[Signature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome, with the order where something is to be signed and the findings where it was refused. ``slot`` is the slot's id,
    which is the correlation id of its events; None where the request is gone.
    """

    outcome: Outcome
    slot: str | None = None
    order: Order | None = None
    findings: Findings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One request on the context."""

    context: SigningContext
    unit_of_work: UnitOfWork
    work: Work
    request: SigningRequest
    now: datetime


async def decide(
    *, context: SigningContext, unit_of_work: UnitOfWork, work_id: int, now: datetime
) -> Decision:
    """Record a leased request or refuse it; one transaction, committed before a key is used.

    What the database says of a request allows no signature: the signed intents and the approval are compared with the
    transaction before each use of a key.

    Raises:
        BindingRace: another signer bound one of the payouts in between; run the transaction again.
    """
    work = await unit_of_work.signing.lock(work_id)
    if work is None:
        return Decision(outcome=Outcome.GONE)
    case = _Case(
        context=context, unit_of_work=unit_of_work, work=work, request=context.requests.read(work), now=now
    )
    try:
        transaction = context.transactions.read(case.request.xdr)
    except UnreadableTransaction as error:
        return await _refuse(case, Findings(general=[error.code]))
    digest = await unit_of_work.signing.digest(transaction.tx_hash)
    if is_repeat(request=case.request, tx_hash=transaction.tx_hash, digest=digest):
        return await _repeat(case, transaction)
    if work.state is WorkState.RECORDED:
        # Only a change of the database makes a request recorded without a digest of its bytes.
        return await _refuse(case, Findings(general=[Code.RECORD_MISSING]))
    findings = examine(request=case.request, transaction=transaction, rules=context.rules, now=now)
    if digest is not None:
        # The same bytes were recorded for other payouts. The network applies them once, so they cannot pay these payouts too.
        findings.general.append(Code.DIGEST_TAKEN)
    if findings.clean:
        findings = await _bind(case, transaction, findings.amounts)
    if findings.clean:
        return await _recorded(case, transaction.tx_hash)
    return await _refuse(case, findings)


async def sign(*, context: SigningContext, backend: Backend, order: Order) -> tuple[Signature, ...]:
    """Sign with the keys, and verify each signature of the backend before it is stored.

    Raises:
        BackendError: no usable signature; the digest stays recorded and is signed later.
    """
    if order.done:
        return order.done
    signatures = []
    for key in order.keys:
        signature = await backend.sign(key, order.tx_hash)
        if not context.verify(key, order.tx_hash, signature):
            raise BackendError(BackendCode.SIGNATURE_WRONG, f"the signature by {key.hex()} does not verify")
        signatures.append(Signature(public_key=key, signature=signature))
    return tuple(signatures)


async def finish(
    *, unit_of_work: UnitOfWork, order: Order, signatures: tuple[Signature, ...], now: datetime
) -> bool:
    """Store the signatures and answer, once; False where another worker has done so."""
    store = unit_of_work.signing
    work = await store.lock(order.work_id)
    if work is None:
        return False
    await store.store_signatures(tx_hash=order.tx_hash, signatures=signatures, now=now)
    stored = await store.recorded(order.tx_hash)
    await store.advance(work=work, state=WorkState.COMPLETED, tx_hash=order.tx_hash, ready_at=now, now=now)
    request = order.request
    completed = Completed(
        request_id=request.request_id,
        slot=request.slot,
        revision=request.revision,
        tx_hash=order.tx_hash.hex(),
        signatures=stored.signatures,
        payout_ids=request.payout_ids,
        max_time=request.max_time,
        cause=order.cause,
    )
    await unit_of_work.answers.give([completed], now=now)
    return True


async def _bind(case: _Case, transaction: Transaction, amounts: Mapping[UUID, Amount]) -> Findings:
    """Compare with the records and, without a fault, write the bindings and the digest."""
    policy = case.context.rules.policy
    codes = sorted({amount.asset.code for amount in amounts.values()})
    facts = await case.unit_of_work.signing.facts(
        work=case.work, request=case.request, assets=codes, now=case.now
    )
    judged = judge(request=case.request, amounts=amounts, facts=facts, policy=policy)
    if judged.clean:
        await case.unit_of_work.signing.record(
            work=case.work,
            request=case.request,
            transaction=transaction,
            facts=facts,
            amounts=amounts,
            limits={code: policy.limits[code] for code in codes},
            now=case.now,
        )
    return judged


async def _count(case: _Case, amounts: Mapping[UUID, Amount]) -> Findings:
    """Compare a recorded request with the records once more and, without a fault, count it into the present day's limits."""
    policy = case.context.rules.policy
    codes = sorted({amount.asset.code for amount in amounts.values()})
    facts = await case.unit_of_work.signing.facts(
        work=case.work, request=case.request, assets=codes, now=case.now
    )
    judged = judge(request=case.request, amounts=amounts, facts=facts, policy=policy, recorded=True)
    if judged.clean:
        await case.unit_of_work.signing.count(
            request=case.request,
            facts=facts,
            amounts=amounts,
            limits={code: policy.limits[code] for code in codes},
            now=case.now,
        )
    return judged


async def _repeat(case: _Case, transaction: Transaction) -> Decision:
    """Bytes that were recorded before. Signatures that exist are given again. Else the request is examined and judged again,
    but for its times and its slot: no signature of it was published yet. The day's limits count each use of a key, also where
    only the database says that the digest was recorded.
    """
    known = await case.unit_of_work.signing.recorded(transaction.tx_hash)
    if not known.signatures:
        findings = examine(request=case.request, transaction=transaction, rules=case.context.rules, now=None)
        if findings.clean:
            findings = await _count(case, findings.amounts)
        if not findings.clean:
            return await _refuse(case, findings)
    return await _recorded(case, transaction.tx_hash)


async def _recorded(case: _Case, tx_hash: bytes) -> Decision:
    await case.unit_of_work.signing.advance(
        work=case.work,
        state=WorkState.RECORDED,
        tx_hash=tx_hash,
        ready_at=case.now + timedelta(seconds=case.context.lease_s),
        now=case.now,
    )
    return await _ordered(case, tx_hash)


async def _ordered(case: _Case, tx_hash: bytes) -> Decision:
    recorded = await case.unit_of_work.signing.recorded(tx_hash)
    context = case.context
    signers = [case.request.slot.account]
    if case.request.kind in PAYING:
        signers.append(context.rules.treasury)
    order = Order(
        work_id=case.work.work_id,
        request=case.request,
        cause=case.work.event_id,
        tx_hash=tx_hash,
        keys=tuple(context.key_of[account] for account in signers),
        done=recorded.signatures,
    )
    return Decision(outcome=Outcome.RECORDED, slot=str(case.request.slot.slot_id), order=order)


async def _refuse(case: _Case, findings: Findings) -> Decision:
    now, request = case.now, case.request
    await case.unit_of_work.signing.advance(
        work=case.work, state=WorkState.REFUSED, tx_hash=None, ready_at=now, now=now
    )
    refused = Refused(
        request_id=request.request_id,
        slot=request.slot,
        revision=request.revision,
        tx_hash=request.tx_hash,
        code=findings.first,
        items=tuple(findings.items),
        free_at=findings.free_at,
        cause=case.work.event_id,
    )
    await case.unit_of_work.answers.give([refused], now=now)
    return Decision(outcome=Outcome.REFUSED, slot=str(request.slot.slot_id), findings=findings)
