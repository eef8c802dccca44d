"""A node and a store in memory. The node is held to the same conformance tests as the real one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

from stellar_sdk import Asset, BumpSequence, Payment, TransactionEnvelope

from prizewire_payouts.stellar.domain.model import (
    AccountFacts,
    AccountQuery,
    AccountsRead,
    ChainAsset,
    FeeStats,
    Kind,
    LedgerMoment,
    LineFacts,
    LookUp,
    LookUpStatus,
    OperationResult,
    SendAnswer,
    SendStatus,
    SlotView,
    TransactionAttempt,
    TxResult,
)
from prizewire_payouts.stellar.domain.states import TransactionState, check_step
from prizewire_payouts.stellar.ports import BuildPlan, Leased, RpcUnavailable

PASSPHRASE = "Standalone Network ; February 2017"


@dataclass
class FakeAccount:
    sequence: int
    lines: dict[ChainAsset, int] = field(default_factory=dict)
    memo_required: bool = False
    spendable: int = 10_000_000


class FakeNode:
    """A network of one: ``close`` closes a ledger. ``down`` makes every call unanswered, ``swallow`` loses sends,
    ``forget`` makes look-ups blind.
    """

    def __init__(self) -> None:
        self.moment = LedgerMoment(10, 1_700_000_000)
        self.accounts_by_address: dict[str, FakeAccount] = {}
        self.oldest = 1
        self.down = False
        self.swallow = False
        self.try_again = 0
        self.entries_at: LedgerMoment | None = None
        self.sent: list[str] = []
        self._queue: dict[str, TransactionEnvelope] = {}
        self._applied: dict[str, LookUp] = {}

    def close(self, *, seconds: int = 1) -> None:
        """Close a ledger: queued transactions are applied in the order of their arrival."""
        self.moment = LedgerMoment(self.moment.sequence + 1, self.moment.close_time + seconds)
        for tx_hash, envelope in list(self._queue.items()):
            del self._queue[tx_hash]
            if not self._too_late(envelope):
                self._apply(tx_hash, envelope)

    def _apply(self, tx_hash: str, envelope: TransactionEnvelope) -> None:
        transaction = envelope.transaction
        self.accounts_by_address[transaction.source.account_id].sequence = transaction.sequence
        results = tuple(self._operation(one) for one in transaction.operations)
        good = all(one.inner in {None, "PAYMENT_SUCCESS"} for one in results)
        self._applied[tx_hash] = LookUp(
            status=LookUpStatus.SUCCESS if good else LookUpStatus.FAILED,
            latest=self.moment,
            oldest=self.oldest,
            ledger=self.moment.sequence,
            closed_at=datetime.fromtimestamp(self.moment.close_time, UTC),
            result_xdr="AAAA",
            result=TxResult(100 * len(results), "txSUCCESS" if good else "txFAILED", results),
        )

    def _operation(self, operation: object) -> OperationResult:
        if isinstance(operation, BumpSequence):
            assert operation.bump_to == 0
            return OperationResult("opINNER", None)
        assert isinstance(operation, Payment)
        account = self.accounts_by_address.get(operation.destination.account_id)
        if account is None:
            return OperationResult("opINNER", "PAYMENT_NO_DESTINATION")
        asset = operation.asset
        known = asset == Asset.native() or ChainAsset(asset.code, asset.issuer) in account.lines
        return OperationResult("opINNER", "PAYMENT_SUCCESS" if known else "PAYMENT_NO_TRUST")

    def _too_late(self, envelope: TransactionEnvelope) -> bool:
        conditions = envelope.transaction.preconditions
        assert conditions is not None
        assert conditions.time_bounds is not None
        return self.moment.close_time > conditions.time_bounds.max_time

    def _answer(self) -> None:
        if self.down:
            raise RpcUnavailable("down")

    # The port

    async def latest_ledger(self) -> LedgerMoment:
        self._answer()
        return self.moment

    async def fee_stats(self) -> FeeStats:
        self._answer()
        return FeeStats(p50=100, p90=200, p99=1_000)

    async def accounts(self, queries: Sequence[AccountQuery]) -> AccountsRead:
        self._answer()
        found: dict[str, AccountFacts] = {}
        for query in queries:
            account = self.accounts_by_address.get(query.account)
            if account is not None:
                lines = {
                    asset: LineFacts(spendable=room, room=room, authorized=True)
                    for asset, room in account.lines.items()
                    if asset in query.assets
                }
                found[query.account] = AccountFacts(
                    sequence=account.sequence,
                    spendable=account.spendable,
                    memo_required=account.memo_required,
                    lines=lines,
                )
        return AccountsRead((self.entries_at or self.moment).sequence, found)

    async def send(self, signed_xdr: str) -> SendAnswer:
        self._answer()
        self.sent.append(signed_xdr)
        if self.swallow:
            raise RpcUnavailable("the answer was lost")
        if self.try_again:
            self.try_again -= 1
            return SendAnswer(SendStatus.TRY_AGAIN_LATER, self.moment)
        envelope = TransactionEnvelope.from_xdr(signed_xdr, PASSPHRASE)
        tx_hash = envelope.hash_hex()
        if tx_hash in self._queue:
            return SendAnswer(SendStatus.DUPLICATE, self.moment)
        if self._too_late(envelope):
            return SendAnswer(SendStatus.ERROR, self.moment, "txTOO_LATE")
        source = self.accounts_by_address[envelope.transaction.source.account_id]
        if envelope.transaction.sequence != source.sequence + 1:
            return SendAnswer(SendStatus.ERROR, self.moment, "txBAD_SEQ")
        self._queue[tx_hash] = envelope
        return SendAnswer(SendStatus.PENDING, self.moment)

    async def look_up(self, tx_hash: str) -> LookUp:
        self._answer()
        found = self._applied.get(tx_hash)
        if found is None:
            return LookUp(status=LookUpStatus.NOT_FOUND, latest=self.moment, oldest=self.oldest)
        return replace(found, latest=self.moment, oldest=self.oldest)


class MemoryStore:
    """Attempts in memory, moved along the table of edges; what was decided is kept for the test to look at."""

    def __init__(self) -> None:
        self.attempts: dict[int, TransactionAttempt] = {}
        self.due: dict[int, datetime] = {}
        self.details: list[str] = []
        self.codes: Mapping[int, str] = {}
        self.released: list[tuple[dict[UUID, str], tuple[datetime, str] | None]] = []
        self.plans: list[BuildPlan] = []

    def add(self, attempt: TransactionAttempt, *, due: datetime) -> TransactionAttempt:
        self.attempts[attempt.attempt_id] = attempt
        self.due[attempt.attempt_id] = due
        return attempt

    def state(self, attempt_id: int) -> TransactionState:
        return self.attempts[attempt_id].state

    def _move(self, attempt: TransactionAttempt, new: TransactionState, *, now: datetime) -> bool:
        check_step(old=self.attempts[attempt.attempt_id].state, new=new)
        self.attempts[attempt.attempt_id] = replace(self.attempts[attempt.attempt_id], state=new)
        self.due[attempt.attempt_id] = now
        return True

    async def lease(self, *, now: datetime) -> Leased:
        return Leased(taken=False)

    async def in_state(self, *states: TransactionState, now: datetime) -> list[TransactionAttempt]:
        return [
            attempt
            for attempt in self.attempts.values()
            if attempt.state in states and self.due[attempt.attempt_id] <= now
        ]

    async def next_due(self, state: TransactionState) -> datetime | None:
        return min((self.due[i] for i, one in self.attempts.items() if one.state is state), default=None)

    async def release(
        self,
        attempt: TransactionAttempt,
        *,
        ejected: Mapping[UUID, str],
        retry_at: datetime,
        rest: tuple[datetime, str] | None,
        now: datetime,
    ) -> bool:
        self.released.append((dict(ejected), rest))
        return self._move(attempt, TransactionState.RELEASED, now=now)

    async def postpone(self, attempt_id: int, *, until: datetime) -> None:
        self.due[attempt_id] = until

    async def commit_built(self, attempt: TransactionAttempt, *, plan: BuildPlan, now: datetime) -> bool:
        self.plans.append(plan)
        return self._move(attempt, TransactionState.BUILT, now=now)

    async def commit_sent(
        self, attempt: TransactionAttempt, *, ledger: int, due: datetime, now: datetime
    ) -> bool:
        self._move(attempt, TransactionState.SENT, now=now)
        stored = self.attempts[attempt.attempt_id]
        self.attempts[attempt.attempt_id] = replace(stored, sent_ledger=ledger, checked_ledger=ledger)
        self.due[attempt.attempt_id] = due
        return True

    async def note_checked(self, attempt: TransactionAttempt, *, ledger: int, due: datetime) -> None:
        stored = self.attempts[attempt.attempt_id]
        self.attempts[attempt.attempt_id] = replace(stored, checked_ledger=ledger)
        self.due[attempt.attempt_id] = due

    async def to_checking(self, attempt: TransactionAttempt, *, detail: str, now: datetime) -> bool:
        self.details.append(detail)
        return self._move(attempt, TransactionState.CHECKING, now=now)

    async def succeed(self, attempt: TransactionAttempt, *, look_up: LookUp, now: datetime) -> bool:
        return self._move(attempt, TransactionState.SUCCEEDED, now=now)

    async def fail(
        self, attempt: TransactionAttempt, *, look_up: LookUp, codes: Mapping[int, str], now: datetime
    ) -> bool:
        self.codes = codes
        return self._move(attempt, TransactionState.FAILED, now=now)

    async def mark_dead(self, attempt: TransactionAttempt, *, detail: str, now: datetime) -> bool:
        self.details.append(detail)
        return self._move(attempt, TransactionState.DEAD, now=now)

    async def to_review(self, attempt: TransactionAttempt, *, detail: str, now: datetime) -> bool:
        self.details.append(detail)
        return self._move(attempt, TransactionState.REVIEW, now=now)

    async def slot(self, slot_id: UUID) -> SlotView:
        own = [one for one in self.attempts.values() if one.slot_id == slot_id]
        assert own[0].sequence is not None
        return SlotView(
            slot_id=slot_id,
            account=own[0].account,
            sequence=own[0].sequence,
            digests=tuple((one.attempt_id, one.tx_hash) for one in own if one.tx_hash is not None),
        )


def an_attempt(
    state: TransactionState, *, account: str, slot_id: UUID | None = None, **values: object
) -> TransactionAttempt:
    """An attempt in ``state``, complete enough for the steps."""
    known: dict[str, object] = {
        "attempt_id": 1,
        "kind": Kind.PAYMENT,
        "memo": "",
        "sequence": 5,
        "revision": 1,
        "channel_sequence": 0,
        "tx_hash": "ab" * 32,
        "max_time": 1_700_000_060,
        "unsigned_xdr": "AAAA",
        "signed_xdr": "AAAA",
    }
    return TransactionAttempt(state=state, account=account, slot_id=slot_id or uuid4(), **(known | values))  # type: ignore[arg-type] # a test's shorthand
