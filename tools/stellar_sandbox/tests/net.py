"""A network in memory for tests of the pure core: entries in a dict, transactions built as raw XDR.

Transactions are put together from XDR rather than with the client library's builders, since those refuse most of
what a test of result codes must send.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass, field, replace

from stellar_sdk import Keypair, xdr
from stellar_sdk.operation import Operation

from prizewire_stellar_sandbox.core.apply import AppliedTransaction, ClosedLedger, close_ledger
from prizewire_stellar_sandbox.core.frames import decode
from prizewire_stellar_sandbox.core.model import (
    GENESIS_STROOPS,
    INT64_MAX,
    LINE_AUTHORIZED,
    Account,
    AccountKey,
    Asset,
    DataEntry,
    Entry,
    Key,
    LedgerHeader,
    Trustline,
    TrustlineKey,
)
from prizewire_stellar_sandbox.core.queue import Admission, Status, TransactionQueue
from prizewire_stellar_sandbox.core.validity import Moment
from prizewire_stellar_sandbox.core.view import View

PASSPHRASE = "Prizewire test network"
NETWORK_ID = hashlib.sha256(PASSPHRASE.encode()).digest()
XLM = 10_000_000
RESERVE = 5_000_000
START_TIME = 1_000_000


def key(label: str) -> Keypair:
    """A key derived from a label."""
    return Keypair.from_raw_ed25519_seed(hashlib.sha256(label.encode()).digest())


def muxed(keypair: Keypair, id_: int | None = None) -> xdr.MuxedAccount:
    """The account as an operation's source or destination."""
    raw = xdr.Uint256(keypair.raw_public_key())
    if id_ is None:
        return xdr.MuxedAccount(xdr.CryptoKeyType.KEY_TYPE_ED25519, ed25519=raw)
    return xdr.MuxedAccount(
        xdr.CryptoKeyType.KEY_TYPE_MUXED_ED25519,
        med25519=xdr.MuxedAccountMed25519(xdr.Uint64(id_), raw),
    )


def time_bounds(low: int, high: int) -> xdr.TimeBounds:
    """Time bounds in Unix seconds; 0 is open."""
    return xdr.TimeBounds(xdr.TimePoint(xdr.Uint64(low)), xdr.TimePoint(xdr.Uint64(high)))


def v2(
    *,
    times: xdr.TimeBounds | None = None,
    ledgers: tuple[int, int] | None = None,
    min_sequence: int | None = None,
    age: int = 0,
    gap: int = 0,
    extra: list[xdr.SignerKey] | None = None,
) -> xdr.Preconditions:
    """Preconditions of the second kind."""
    return xdr.Preconditions(
        xdr.PreconditionType.PRECOND_V2,
        v2=xdr.PreconditionsV2(
            times,
            None if ledgers is None else xdr.LedgerBounds(xdr.Uint32(ledgers[0]), xdr.Uint32(ledgers[1])),
            None if min_sequence is None else xdr.SequenceNumber(xdr.Int64(min_sequence)),
            xdr.Duration(xdr.Uint64(age)),
            xdr.Uint32(gap),
            extra or [],
        ),
    )


def between(low: int, high: int) -> xdr.Preconditions:
    """Plain time bounds."""
    return xdr.Preconditions(xdr.PreconditionType.PRECOND_TIME, time_bounds=time_bounds(low, high))


NO_CONDITIONS = xdr.Preconditions(xdr.PreconditionType.PRECOND_NONE)
NO_MEMO = xdr.Memo(xdr.MemoType.MEMO_NONE)


def raw(operation: Operation | xdr.Operation) -> xdr.Operation:
    """An operation as XDR."""
    return operation if isinstance(operation, xdr.Operation) else operation.to_xdr_object()


@dataclass(frozen=True)
class Tx:
    """A signed transaction."""

    envelope: bytes
    hash: bytes
    xdr: xdr.TransactionEnvelope


@dataclass(frozen=True)
class Result:
    """The result of a transaction, in names: ``txFAILED`` and ``["PAYMENT_NO_TRUST"]``."""

    code: str
    operations: list[str]
    fee: int
    inner: str | None = None


def result_of(result: bytes) -> Result:
    """Read TransactionResult XDR with the client library."""
    decoded = xdr.TransactionResult.from_xdr_bytes(result)
    code, results = decoded.result.code.name, decoded.result.results
    pair = decoded.result.inner_result_pair
    if pair is not None:
        inner = pair.result.result
        return Result(code, _operation_names(inner.results), decoded.fee_charged.int64, inner.code.name)
    return Result(code, _operation_names(results), decoded.fee_charged.int64)


def _operation_names(results: list[xdr.OperationResult] | None) -> list[str]:
    names = []
    for result in results or []:
        if result.tr is None:
            names.append(result.code.name)
            continue
        arms = [arm for name, arm in vars(result.tr).items() if name != "type" and arm is not None]
        names.append(str(arms[0].code.name))
    return names


def signed_payload(keypair: Keypair, payload: bytes) -> xdr.SignerKey:
    """A signer that signs a payload instead of the transaction."""
    return xdr.SignerKey(
        xdr.SignerKeyType.SIGNER_KEY_TYPE_ED25519_SIGNED_PAYLOAD,
        ed25519_signed_payload=xdr.SignerKeyEd25519SignedPayload(
            xdr.Uint256(keypair.raw_public_key()), payload
        ),
    )


@dataclass
class Net:
    """The network: put entries in, send transactions, close ledgers, look."""

    entries: dict[Key, Entry] = field(default_factory=dict)
    header: LedgerHeader = field(default_factory=lambda: LedgerHeader(sequence=10, close_time=START_TIME))
    queue: TransactionQueue = field(default_factory=TransactionQueue)

    # State

    def get(self, key_: Key) -> Entry | None:
        return self.entries.get(key_)

    def put(self, entry: Entry) -> None:
        self.entries[entry.key] = entry

    def fund(self, label: str, *, stroops: int = 1000 * XLM, **fields: object) -> Keypair:
        """An account that has always been there."""
        keypair = key(label)
        account = Account(account_id=keypair.raw_public_key(), balance=stroops, sequence=0)
        self.put(replace(account, **fields))  # type: ignore[arg-type] # whatever the test wants to set
        return keypair

    def asset(self, issuer: Keypair, code: bytes = b"USDC") -> Asset:
        return Asset(code, issuer.raw_public_key())

    def trust(
        self,
        holder: Keypair,
        asset: Asset,
        *,
        balance: int = 0,
        limit: int = INT64_MAX,
        flags: int = LINE_AUTHORIZED,
    ) -> None:
        """A trustline that has always been there."""
        self.put(Trustline(holder.raw_public_key(), asset, balance, limit, flags))
        self.alter(holder, subentries=self.account(holder).subentries + 1)

    def alter(self, who: Keypair, **fields: object) -> None:
        self.put(replace(self.account(who), **fields))  # type: ignore[arg-type] # whatever the test wants to set

    def account(self, who: Keypair) -> Account:
        entry = self.entries[AccountKey(who.raw_public_key())]
        assert isinstance(entry, Account)
        return entry

    def exists(self, who: Keypair) -> bool:
        return AccountKey(who.raw_public_key()) in self.entries

    def line(self, who: Keypair, asset: Asset) -> Trustline:
        entry = self.entries[TrustlineKey(who.raw_public_key(), asset)]
        assert isinstance(entry, Trustline)
        return entry

    def total_xlm(self) -> int:
        """All stroops: those on accounts and those that fees took."""
        held = sum(entry.balance for entry in self.entries.values() if isinstance(entry, Account))
        return held + self.header.fee_pool

    # Transactions

    def tx(
        self,
        source: Keypair,
        *operations: Operation | xdr.Operation,
        fee: int | None = None,
        sequence: int | None = None,
        conditions: xdr.Preconditions = NO_CONDITIONS,
        memo: xdr.Memo = NO_MEMO,
        signers: list[Keypair] | None = None,
        source_mux: int | None = None,
    ) -> Tx:
        """A transaction; the fee and the sequence number are the right ones unless given."""
        if sequence is None:
            sequence = self.account(source).sequence + 1 if self.exists(source) else 1
        tx = xdr.Transaction(
            source_account=muxed(source, source_mux),
            fee=xdr.Uint32(100 * max(1, len(operations)) if fee is None else fee),
            seq_num=xdr.SequenceNumber(xdr.Int64(sequence)),
            cond=conditions,
            memo=memo,
            operations=[raw(operation) for operation in operations],
            ext=xdr.TransactionExt(0),
        )
        hash_ = hashlib.sha256(NETWORK_ID + (2).to_bytes(4, "big") + tx.to_xdr_bytes()).digest()
        signatures = [
            signer.sign_decorated(hash_).to_xdr_object()
            for signer in ([source] if signers is None else signers)
        ]
        return self.with_signatures(tx, hash_, signatures)

    @staticmethod
    def with_signatures(tx: xdr.Transaction, hash_: bytes, signatures: list[xdr.DecoratedSignature]) -> Tx:
        envelope = xdr.TransactionEnvelope(
            xdr.EnvelopeType.ENVELOPE_TYPE_TX, v1=xdr.TransactionV1Envelope(tx, signatures)
        )
        return Tx(envelope.to_xdr_bytes(), hash_, envelope)

    @staticmethod
    def bump(inner: Tx, payer: Keypair, *, fee: int, signers: list[Keypair] | None = None) -> Tx:
        """A fee bump over a signed transaction."""
        assert inner.xdr.v1 is not None
        tx = xdr.FeeBumpTransaction(
            muxed(payer),
            xdr.Int64(fee),
            xdr.FeeBumpTransactionInnerTx(xdr.EnvelopeType.ENVELOPE_TYPE_TX, v1=inner.xdr.v1),
            xdr.FeeBumpTransactionExt(0),
        )
        hash_ = hashlib.sha256(NETWORK_ID + (5).to_bytes(4, "big") + tx.to_xdr_bytes()).digest()
        signatures = [
            signer.sign_decorated(hash_).to_xdr_object()
            for signer in ([payer] if signers is None else signers)
        ]
        envelope = xdr.TransactionEnvelope(
            xdr.EnvelopeType.ENVELOPE_TYPE_TX_FEE_BUMP,
            fee_bump=xdr.FeeBumpTransactionEnvelope(tx, signatures),
        )
        return Tx(envelope.to_xdr_bytes(), hash_, envelope)

    def send(self, tx: Tx, *, room: int = 10) -> Admission:
        """Send a transaction; ``room`` is how many seconds ahead upper time bounds are judged."""
        moment = Moment(
            header=replace(self.header, sequence=self.header.sequence + 1),
            earliest_close=self.header.close_time,
            latest_close=self.header.close_time + room,
        )
        frame = decode(tx.envelope, network_id=NETWORK_ID)
        assert frame.hash == tx.hash
        return self.queue.offer(frame, view=View(self), moment=moment)

    def close(self, *, seconds: int = 5) -> ClosedLedger:
        """Close the next ledger over the queue."""
        closing = close_ledger(
            entries=self,
            previous=self.header,
            header=replace(
                self.header,
                sequence=self.header.sequence + 1,
                close_time=self.header.close_time + seconds,
            ),
            order_seed=bytes(32),
            candidates=self.queue.frames(),
        )
        closed = _finish(closing)
        for key_, entry in closed.changes.items():
            if entry is None:
                self.entries.pop(key_, None)
            else:
                self.entries[key_] = entry
        self.header = closed.header
        self.queue.settle(
            closed=closed.header.sequence,
            applied=[item.frame for item in closed.transactions],
            dropped=list(closed.dropped),
        )
        return closed

    def applied(self, tx: Tx) -> AppliedTransaction:
        """Send a transaction that must be accepted, close a ledger, and return its result."""
        admission = self.send(tx)
        assert admission.status is Status.PENDING, admission.error and result_of(admission.error)
        closed = self.close()
        return next(item for item in closed.transactions if item.frame.hash == tx.hash)

    def outcome(self, tx: Tx) -> Result:
        """The result of a transaction, whether it was refused when it was sent or failed when applied."""
        admission = self.send(tx)
        if admission.status is Status.ERROR:
            assert admission.error is not None
            return result_of(admission.error)
        assert admission.status is Status.PENDING
        closed = self.close()
        return result_of(next(item.result for item in closed.transactions if item.frame.hash == tx.hash))

    def refused(self, tx: Tx) -> Result:
        """The result of a transaction that must not be accepted."""
        admission = self.send(tx)
        assert admission.status is Status.ERROR
        assert admission.error is not None
        return result_of(admission.error)


def _finish(closing: Generator[None, None, ClosedLedger]) -> ClosedLedger:
    """What a generator returns at its end."""
    while True:
        try:
            next(closing)
        except StopIteration as done:
            closed: ClosedLedger = done.value
            return closed


def genesis_net() -> tuple[Net, Keypair]:
    """A network with nothing but its root account."""
    net = Net()
    return net, net.fund("root", stroops=GENESIS_STROOPS)


def data_entry(who: Keypair, name: bytes, value: bytes) -> DataEntry:
    """A data entry that has always been there (count it on the account)."""
    return DataEntry(who.raw_public_key(), name, value)
