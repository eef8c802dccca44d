"""The provider of the rail: it queues payments for the execution, and reads what was proved of each by its key."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import (
    CancelOutcome,
    Capabilities,
    Outcome,
    PayoutInstruction,
    PayoutReference,
    ProviderResult,
    Quote,
    QuoteRequest,
    QuoteUnavailable,
    RailType,
)
from prizewire_money import Amount, Asset, AssetRegistry
from prizewire_payouts.stellar.adapters.transactions import MEMO_BYTES_MAX, account_behind
from prizewire_payouts.stellar.domain.model import NATIVE, AccountQuery, Kind, stroops_of, whole_minor
from prizewire_payouts.stellar.domain.states import InexactAmount, PaymentState, TransactionState
from prizewire_payouts.stellar.handlers.building import BASE_FEE
from prizewire_payouts.stellar.handlers.preflight import cover_of
from prizewire_payouts.stellar.ports import ChainRpc
from prizewire_payouts.stellar.storage.execution import Execution, ExecutionStep

METHOD_TYPE = "stellar"
_INSERT = text(
    "INSERT INTO stellar_payments (provider_key, payout_id, attempt_no, rail, asset, amount_minor, stroops, destination, "
    "account, memo, state, code, offered, rebuilds, refusals, due_at, queued_at, changed_at) "
    "VALUES (:provider_key, :payout_id, :attempt_no, :rail, :asset, :amount_minor, :stroops, :destination, :account, "
    ":memo, :state, :code, false, 0, 0, :now, :now, :now) ON CONFLICT DO NOTHING"
)
_FIND = text(
    "SELECT p.*, a.state AS attempt_state, a.kind, a.tx_hash, s.consumed_by_hash FROM stellar_payments p "
    "LEFT JOIN stellar_attempts a ON a.attempt_id = p.attempt_id LEFT JOIN stellar_slots s ON s.slot_id = a.slot_id "
    "WHERE p.provider_key = :key"
)
_LOCK = text("SELECT state, offered FROM stellar_payments WHERE provider_key = :key FOR UPDATE")
_CANCEL = text(
    "UPDATE stellar_payments SET state = 'no_effect', code = 'cancelled', changed_at = :now WHERE provider_key = :key"
)
_QUOTE_HOLDS = timedelta(minutes=1)
_OUT = frozenset({TransactionState.SENT, TransactionState.EXPORTED})
_UNCLEAR = frozenset({TransactionState.CHECKING, TransactionState.REVIEW})


class StellarProvider:
    """``RewardPayoutProvider`` of the chain. It writes and reads rows; the execution's jobs do the rest. It also says what the
    treasury can pay (``AccountBalances``).
    """

    def __init__(self, execution: Execution, *, assets: AssetRegistry, rpc: ChainRpc) -> None:
        self._execution = execution
        self._rpc = rpc
        self._assets = assets
        self._native: Asset | None = dict(assets).get(NATIVE.code)

    def capabilities(self) -> Capabilities:
        """Every configured asset that may leave, to G and M addresses."""
        served = {
            code for code in self._execution.assets if code in self._assets and self._assets[code].redeemable
        }
        return Capabilities(
            rail=self._execution.rail,
            type=RailType.STELLAR,
            assets=frozenset(served),
            method_types=frozenset({METHOD_TYPE}),
            can_cancel=True,
            concurrency=32,
            needs_legal_approval=True,
        )

    async def quote(self, request: QuoteRequest, *, now: datetime) -> Quote:
        """The network's fee is the platform's: nothing is taken from the amount. Assets are not exchanged."""
        if request.pay_asset != request.debit.asset:
            raise QuoteUnavailable(PayoutCode.RAIL_UNSUPPORTED, "the rail pays in the debited asset only")
        return Quote(
            debit=request.debit,
            pay=request.debit,
            fee=Amount.zero(request.pay_asset) if self._native is None else Amount(self._native, BASE_FEE),
            fee_borne_by="platform",
            expires_at=now + _QUOTE_HOLDS,
        )

    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        """Queue the payment, or return the state of the one that was queued with this key."""
        values, code = self._values(instruction)
        state = PaymentState.QUEUED if code is None else PaymentState.NO_EFFECT
        row = {
            "provider_key": instruction.provider_key,
            "payout_id": instruction.payout_id,
            "attempt_no": instruction.attempt_no,
            "rail": self._execution.rail,
            "asset": instruction.amount.asset.code,
            "amount_minor": instruction.amount.minor,
            "stroops": None,
            "destination": None,
            "account": None,
            "memo": "",
            **values,
            "state": str(state),
            "code": code,
        }

        async def work(tx: AsyncConnection) -> ProviderResult:
            await _insert(tx, row, now=now)
            self._execution.waker.after(tx, ExecutionStep.LEASE)
            found = await self._find(tx, instruction.provider_key)
            if found is None or not _same(found, row):
                # another payment has this key, or another attempt of this payout is open: nothing is added
                return ProviderResult(outcome=Outcome.UNKNOWN, code=PayoutCode.IDEMPOTENCY_CONFLICT)
            return self._result(found)

        return await self._execution.db.run(work)

    async def sync_status(self, reference: PayoutReference, *, now: datetime) -> ProviderResult:
        """What the execution has proved. A key that was never queued gets a tombstone, so that it never will be."""

        async def work(tx: AsyncConnection) -> ProviderResult:
            found = await self._find(tx, reference.provider_key)
            if found is None:
                await _insert(tx, self._tombstone(reference, PayoutCode.RAIL_UNAVAILABLE), now=now)
                found = await self._find(tx, reference.provider_key)
            if found is None:
                return ProviderResult(outcome=Outcome.UNKNOWN, code=PayoutCode.IDEMPOTENCY_CONFLICT)
            return self._result(found)

        return await self._execution.db.run(work)

    async def cancel(self, reference: PayoutReference, *, now: datetime) -> CancelOutcome:
        """Cancels a payment only if it was never offered to the signer: a signature cannot be revoked."""

        async def work(tx: AsyncConnection) -> CancelOutcome:
            await _insert(tx, self._tombstone(reference, PayoutCode.CANCELLED), now=now)
            found = await tx.execute(_LOCK, {"key": reference.provider_key})
            row = found.one_or_none()
            if row is None:
                return CancelOutcome.UNKNOWN
            if row.state == PaymentState.NO_EFFECT:
                return CancelOutcome.CANCELLED
            if row.state == PaymentState.PAID or row.offered:
                return CancelOutcome.TOO_LATE
            await tx.execute(_CANCEL, {"key": reference.provider_key, "now": now})
            return CancelOutcome.CANCELLED

        return await self._execution.db.run(work)

    async def balances(self, *, now: datetime) -> Mapping[str, Amount]:  # noqa: ARG002 - the node knows the present ledger
        """What the treasury can pay of each served asset, as the node knows it. Its own asset is left out: of that it pays any amount.

        Raises:
            RpcUnavailable: the node does not answer.
        """
        treasury = self._execution.treasury
        limited = {
            code: asset
            for code in self.capabilities().assets
            if (asset := self._execution.assets[code]).issuer != treasury
        }
        lines = frozenset(asset for asset in limited.values() if asset != NATIVE)
        read = await self._rpc.accounts([AccountQuery(treasury, lines)])
        facts = read.accounts.get(treasury)
        found = {}
        for code, asset in limited.items():
            stroops = max(0, cover_of(asset, treasury=treasury, facts=facts))
            own = self._assets[code]
            found[code] = Amount(own, whole_minor(stroops=stroops, decimals=own.decimals))
        return found

    def _values(self, instruction: PayoutInstruction) -> tuple[dict[str, Any], PayoutCode | None]:
        """The columns of a payment that can be made; or none, and why it cannot."""
        if instruction.amount.asset.code not in self.capabilities().assets:
            return {}, PayoutCode.RAIL_UNSUPPORTED
        address = instruction.details.get("address")
        account = account_behind(address) if isinstance(address, str) else None
        memo = instruction.memo or ""
        own = account == self._execution.treasury or account in self._execution.channels
        if account is None or own or len(memo.encode()) > MEMO_BYTES_MAX:
            return {}, PayoutCode.DESTINATION_INVALID
        try:
            stroops = stroops_of(amount=instruction.amount)
        except InexactAmount:
            return {}, PayoutCode.NOT_SUPPORTED
        return {"stroops": stroops, "destination": address, "account": account, "memo": memo}, None

    def _tombstone(self, reference: PayoutReference, code: PayoutCode) -> dict[str, Any]:
        return {
            "provider_key": reference.provider_key,
            "payout_id": reference.payout_id,
            "attempt_no": reference.attempt_no,
            "rail": self._execution.rail,
            "asset": reference.amount.asset.code,
            "amount_minor": reference.amount.minor,
            "memo": "",
            "state": str(PaymentState.NO_EFFECT),
            "code": str(code),
        }

    async def _find(self, tx: AsyncConnection, provider_key: object) -> Row[Any] | None:
        return (await tx.execute(_FIND, {"key": provider_key})).one_or_none()

    def _result(self, row: Row[Any]) -> ProviderResult:
        if row.state == PaymentState.PAID:
            # two persons may have confirmed another transaction than the one in review
            tx_hash = row.consumed_by_hash
            proof = {"tx_hash": tx_hash, "ledger": row.ledger, "op": row.op}
            return ProviderResult(
                outcome=Outcome.PAID,
                provider_ref=tx_hash,
                amount=Amount(self._assets[row.asset], row.amount_minor),
                fee=None if self._native is None else Amount(self._native, row.fee),
                proof=proof,
            )
        if row.state == PaymentState.NO_EFFECT:
            return ProviderResult(outcome=Outcome.NO_EFFECT, code=row.code)
        if row.state == PaymentState.BATCHED and row.attempt_state in _UNCLEAR:
            return ProviderResult(
                outcome=Outcome.UNKNOWN, provider_ref=row.tx_hash, code=PayoutCode.OUTCOME_UNKNOWN
            )
        # a transaction that voids its slot pays nobody
        pays = row.state == PaymentState.BATCHED and row.kind == Kind.PAYMENT
        out = pays and row.attempt_state in _OUT
        return ProviderResult(outcome=Outcome.PENDING, provider_ref=row.tx_hash if out else None)


async def _insert(tx: AsyncConnection, row: dict[str, Any], *, now: datetime) -> None:
    """Add a payment unless its key is known, or its payout has a live one."""
    columns = {"stroops": None, "destination": None, "account": None} | row
    await tx.execute(_INSERT, {**columns, "now": now})


_SAME = ("payout_id", "attempt_no", "asset", "amount_minor")
_SAME_DESTINATION = ("destination", "memo")


def _same(found: Row[Any], row: Mapping[str, Any]) -> bool:
    """Whether the payment under this key is the one asked for. A tombstone has no destination and fits any."""
    names = _SAME if found.destination is None else _SAME + _SAME_DESTINATION
    return all(getattr(found, name) == row[name] for name in names)
