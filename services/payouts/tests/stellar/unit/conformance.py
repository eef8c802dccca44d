"""What every node port must do, the fake and the real one alike."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

from stellar_sdk import Keypair

from prizewire_payouts.stellar.adapters.transactions import StellarTransactions, attach_signatures
from prizewire_payouts.stellar.domain.model import (
    AccountQuery,
    Built,
    ChainAsset,
    LookUp,
    LookUpStatus,
    Payment,
    SendStatus,
)
from prizewire_payouts.stellar.ports import ChainRpc


@dataclass
class Bench:
    """A node with a treasury that holds ``asset``, a channel, a player with a trustline and one without, an account
    that asks for memos, and ``closed``, which returns once another ledger has closed.
    """

    node: ChainRpc
    passphrase: str
    treasury: Keypair
    channel: Keypair
    lined: str
    unlined: str
    wants_memo: str
    asset: ChainAsset
    closed: Callable[[], Awaitable[None]]

    async def sequence(self) -> int:
        read = await self.node.accounts([AccountQuery(self.channel.public_key)])
        return read.accounts[self.channel.public_key].sequence

    async def build(self, *destinations: str, sequence: int | None = None, valid_s: int = 60) -> Built:
        maker = StellarTransactions(network_passphrase=self.passphrase, treasury=self.treasury.public_key)
        moment = await self.node.latest_ledger()
        return maker.payments(
            account=self.channel.public_key,
            sequence=await self.sequence() + 1 if sequence is None else sequence,
            payments=[
                Payment(
                    provider_key=uuid4(),
                    payout_id=uuid4(),
                    correlation_id="c",
                    asset=self.asset,
                    stroops=10_000_000,
                    destination=one,
                    account=one,
                    memo="",
                    intent={},
                    intent_signature="",
                )
                for one in destinations
            ],
            memo="",
            max_time=moment.close_time + valid_s,
            fee=100 * len(destinations),
        )

    def signed(self, built: Built, *keys: Keypair) -> str:
        """Signed by these keys, by channel and treasury where none are named."""
        tx_hash = bytes.fromhex(built.tx_hash)
        signers = keys or (self.channel, self.treasury)
        return attach_signatures(
            unsigned_xdr=built.unsigned_xdr,
            tx_hash=tx_hash,
            signatures=[(key.raw_public_key().hex(), key.sign(tx_hash).hex()) for key in signers],
            signers=tuple(key.public_key for key in signers),
        )

    async def found(self, tx_hash: str) -> LookUp:
        for _ in range(20):
            look_up = await self.node.look_up(tx_hash)
            if look_up.status is not LookUpStatus.NOT_FOUND:
                return look_up
            await self.closed()
        raise AssertionError(f"{tx_hash} was not included in twenty ledgers")


class NodeConformance:
    """Inherit, and provide the fixture ``bench``."""

    async def test_ledgers_go_forward(self, bench: Bench) -> None:
        """Sequence and close time never go back, and a closed ledger shows."""
        before = await bench.node.latest_ledger()
        await bench.closed()
        after = await bench.node.latest_ledger()
        assert after.sequence > before.sequence
        assert after.close_time >= before.close_time

    async def test_accounts_show_what_preflight_needs(self, bench: Bench) -> None:
        """Existing accounts come with sequence, trustlines and SEP-29's flag; missing ones are left out."""
        nowhere = Keypair.from_raw_ed25519_seed(hashlib.sha256(b"nowhere at all").digest()).public_key
        asset = frozenset({bench.asset})
        names = [bench.lined, bench.unlined, bench.wants_memo, nowhere]
        read = await bench.node.accounts([AccountQuery(name, asset) for name in names])
        moment = await bench.node.latest_ledger()
        assert set(read.accounts) == {bench.lined, bench.unlined, bench.wants_memo}
        assert read.ledger <= moment.sequence
        assert read.accounts[bench.lined].lines[bench.asset].authorized
        assert read.accounts[bench.lined].lines[bench.asset].room > 0
        assert read.accounts[bench.unlined].lines == {}
        assert read.accounts[bench.wants_memo].memo_required
        assert not read.accounts[bench.lined].memo_required
        assert read.accounts[bench.lined].spendable > 0

    async def test_fee_stats_are_ordered(self, bench: Bench) -> None:
        """Percentiles rise."""
        stats = await bench.node.fee_stats()
        assert 0 <= stats.p50 <= stats.p90 <= stats.p99

    async def test_unknown_hash_is_not_found(self, bench: Bench) -> None:
        """A hash that no ledger holds is not found, and the node says how far it sees."""
        found = await bench.node.look_up("ab" * 32)
        assert found.status is LookUpStatus.NOT_FOUND
        assert found.oldest <= found.latest.sequence
        assert found.ledger is None

    async def test_sent_transaction_is_found_with_its_result(self, bench: Bench) -> None:
        """A good transaction is pending, then it is found applied, and its slot consumed.

        A repetition is a duplicate. If a ledger closes before it, the node answers TRY_AGAIN_LATER or ERROR.
        """
        before = await bench.sequence()
        built = await bench.build(bench.lined, bench.lined)
        first = await bench.node.send(bench.signed(built))
        again = await bench.node.send(bench.signed(built))
        assert first.status is SendStatus.PENDING
        assert again.status in {SendStatus.DUPLICATE, SendStatus.TRY_AGAIN_LATER, SendStatus.ERROR}
        found = await bench.found(built.tx_hash)
        assert found.status is LookUpStatus.SUCCESS
        assert found.ledger is not None
        assert found.ledger <= found.latest.sequence
        assert found.closed_at is not None
        assert found.result is not None
        assert (found.result.code, found.result.fee_charged) == ("txSUCCESS", 200)
        assert found.result.operations is not None
        assert [one.inner for one in found.result.operations] == ["PAYMENT_SUCCESS"] * 2
        assert await bench.sequence() == before + 1

    async def test_failed_transaction_names_the_guilty_and_consumes_the_slot(self, bench: Bench) -> None:
        """One bad payment fails all; each operation has its own result; the sequence number is used up."""
        before = await bench.sequence()
        built = await bench.build(bench.lined, bench.unlined, bench.lined)
        await bench.node.send(bench.signed(built))
        found = await bench.found(built.tx_hash)
        assert found.status is LookUpStatus.FAILED
        assert found.result is not None
        assert found.result.code == "txFAILED"
        assert found.result.operations is not None
        inner = [one.inner for one in found.result.operations]
        assert inner == ["PAYMENT_SUCCESS", "PAYMENT_NO_TRUST", "PAYMENT_SUCCESS"]
        assert await bench.sequence() == before + 1

    async def test_void_consumes_its_slot_and_nothing_else(self, bench: Bench) -> None:
        """A bump to 0, signed by the channel alone, succeeds, leaves the number as the transaction made it, and what
        was built on the same slot can never be applied any more.
        """
        before = await bench.sequence()
        payment = await bench.build(bench.lined)
        moment = await bench.node.latest_ledger()
        void = StellarTransactions(
            network_passphrase=bench.passphrase, treasury=bench.treasury.public_key
        ).void(
            account=bench.channel.public_key,
            sequence=before + 1,
            max_time=moment.close_time + 60,
            fee=100,
        )
        answer = await bench.node.send(bench.signed(void, bench.channel))
        assert answer.status is SendStatus.PENDING
        found = await bench.found(void.tx_hash)
        assert found.status is LookUpStatus.SUCCESS
        assert found.result is not None
        assert (found.result.code, found.result.fee_charged) == ("txSUCCESS", 100)
        assert await bench.sequence() == before + 1
        late = await bench.node.send(bench.signed(payment))
        assert (late.status, late.code) == (SendStatus.ERROR, "txBAD_SEQ")

    async def test_wrong_sequence_is_an_error_and_no_outcome(self, bench: Bench) -> None:
        """A used sequence number is refused at once; nothing of the transaction is on the ledger."""
        built = await bench.build(bench.lined, sequence=await bench.sequence())
        answer = await bench.node.send(bench.signed(built))
        assert (answer.status, answer.code) == (SendStatus.ERROR, "txBAD_SEQ")
        assert (await bench.node.look_up(built.tx_hash)).status is LookUpStatus.NOT_FOUND

    async def test_expired_transaction_is_an_error(self, bench: Bench) -> None:
        """After its maxTime a transaction is refused at once."""
        built = await bench.build(bench.lined, valid_s=-10)
        answer = await bench.node.send(bench.signed(built))
        assert (answer.status, answer.code) == (SendStatus.ERROR, "txTOO_LATE")
