"""The steps over a node and a store in memory."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from stellar_sdk import Keypair

from prizewire_payouts.stellar.adapters.transactions import StellarTransactions, attach_signatures
from prizewire_payouts.stellar.domain.model import ChainAsset, LedgerMoment, Payment
from prizewire_payouts.stellar.domain.states import TransactionState
from prizewire_payouts.stellar.handlers.building import Options, build_leased
from prizewire_payouts.stellar.handlers.delivering import (
    confirm_sent,
    expire_unsigned,
    resolve_checking,
    send_signed,
)
from services.payouts.tests.stellar.unit.fakes import (
    PASSPHRASE,
    FakeAccount,
    FakeNode,
    MemoryStore,
    an_attempt,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = Options()
_S = TransactionState


def key(label: str) -> Keypair:
    return Keypair.from_raw_ed25519_seed(hashlib.sha256(label.encode()).digest())


TREASURY, CHANNEL, PLAYER, ISSUER = (key(name) for name in ("treasury", "channel", "player", "issuer"))
USDC = ChainAsset("USDC", ISSUER.public_key)


class Setting:
    """A node with a treasury, a channel at sequence 4 and a player, and an empty store."""

    def __init__(self) -> None:
        self.node = FakeNode()
        for keypair in (TREASURY, CHANNEL, PLAYER):
            self.node.accounts_by_address[keypair.public_key] = FakeAccount(4, {USDC: 10**12})
        self.store = MemoryStore()
        self.maker = StellarTransactions(network_passphrase=PASSPHRASE, treasury=TREASURY.public_key)
        self.now = NOW

    def payment(self, account: str = PLAYER.public_key) -> Payment:
        return Payment(
            provider_key=uuid4(),
            payout_id=uuid4(),
            correlation_id="c",
            asset=USDC,
            stroops=10,
            destination=account,
            account=account,
            memo="",
            intent={},
            intent_signature="",
        )

    def attempt(self, state: TransactionState, *, valid_s: int = 60, **values: Any) -> None:
        """A real transaction of one payment on the slot of sequence 5, signed by both."""
        built = self.maker.payments(
            account=CHANNEL.public_key,
            sequence=5,
            payments=[self.payment()],
            memo="",
            max_time=self.node.moment.close_time + valid_s,
            fee=100,
        )
        tx_hash = bytes.fromhex(built.tx_hash)
        signed = attach_signatures(
            unsigned_xdr=built.unsigned_xdr,
            tx_hash=tx_hash,
            signatures=[(one.raw_public_key().hex(), one.sign(tx_hash).hex()) for one in (CHANNEL, TREASURY)],
            signers=(CHANNEL.public_key, TREASURY.public_key),
        )
        known: dict[str, Any] = {
            "tx_hash": built.tx_hash,
            "max_time": built.max_time,
            "unsigned_xdr": built.unsigned_xdr,
            "signed_xdr": signed,
        }
        self.store.add(an_attempt(state, account=CHANNEL.public_key, **(known | values)), due=self.now)

    @property
    def state(self) -> TransactionState:
        return self.store.state(1)

    def later(self, **step: int) -> None:
        self.now += timedelta(**step)

    async def send(self) -> None:
        await send_signed(store=self.store, rpc=self.node, options=OPTIONS, now=self.now)

    async def confirm(self) -> None:
        self.later(seconds=3)
        await confirm_sent(store=self.store, rpc=self.node, options=OPTIONS, now=self.now)

    async def resolve(self, *nodes: FakeNode) -> None:
        self.later(seconds=3)
        rpcs = nodes or (self.node,)
        await resolve_checking(store=self.store, rpcs=rpcs, options=OPTIONS, now=self.now)


@pytest.fixture
def setting() -> Setting:
    """A fresh one for each test."""
    return Setting()


async def test_sent_and_included_is_a_success(setting: Setting) -> None:
    """The undisturbed way: sent, in the next ledger, confirmed."""
    setting.attempt(_S.SIGNED)
    await setting.send()
    assert setting.state is _S.SENT
    setting.node.close()
    await setting.confirm()
    assert setting.state is _S.SUCCEEDED
    assert len(setting.node.sent) == 1


async def test_bytes_are_committed_before_they_leave(setting: Setting) -> None:
    """When the answer to the send is lost, the attempt is already marked as sent."""
    setting.node.swallow = True
    setting.attempt(_S.SIGNED)
    await setting.send()
    assert setting.state is _S.SENT
    assert setting.store.attempts[1].sent_ledger == 10


async def test_nothing_is_sent_when_the_commit_was_refused(setting: Setting) -> None:
    """An attempt that another process took meanwhile is left alone."""
    setting.attempt(_S.SIGNED)

    async def refuse(*_: Any, **__: Any) -> bool:
        return False

    setting.store.commit_sent = refuse  # type: ignore[method-assign] # another process was faster
    await setting.send()
    assert setting.node.sent == []


async def test_same_bytes_go_again_when_a_ledger_has_passed_without_them(setting: Setting) -> None:
    """Lost sends are repeated once for each ledger, byte for byte, and not more often."""
    setting.node.swallow = True
    setting.attempt(_S.SIGNED)
    await setting.send()
    await setting.confirm()
    assert len(setting.node.sent) == 1
    setting.node.close()
    setting.node.swallow = False
    await setting.confirm()
    assert len(setting.node.sent) == 2
    assert len(set(setting.node.sent)) == 1
    setting.node.close()
    await setting.confirm()
    assert setting.state is _S.SUCCEEDED


async def test_error_is_checked_and_found_to_be_success(setting: Setting) -> None:
    """A repeated send answers txBAD_SEQ because the first one was applied: the ledger says success."""
    setting.attempt(_S.SIGNED)
    await setting.node.send(setting.store.attempts[1].signed_xdr or "")
    setting.node.close()
    await setting.send()
    assert setting.state is _S.CHECKING
    await setting.resolve()
    assert setting.state is _S.SUCCEEDED


async def test_expired_before_the_send_is_not_sent(setting: Setting) -> None:
    """Past maxTime nothing leaves: the attempt is checked and proved dead."""
    setting.attempt(_S.SIGNED, valid_s=5)
    setting.node.close(seconds=6)
    await setting.send()
    assert setting.node.sent == []
    assert setting.state is _S.CHECKING
    await setting.resolve()
    assert setting.state is _S.DEAD


async def test_not_found_past_max_time_is_checked_first(setting: Setting) -> None:
    """NOT_FOUND is no outcome, even when the time is over."""
    setting.node.swallow = True
    setting.attempt(_S.SIGNED, valid_s=5)
    await setting.send()
    setting.node.close(seconds=6)
    await setting.confirm()
    assert setting.state is _S.CHECKING


async def test_an_unavailable_node_changes_nothing(setting: Setting) -> None:
    """Without an answer every step waits where it is."""
    for index, state in enumerate((_S.SIGNED, _S.SENT, _S.CHECKING, _S.BUILT, _S.LEASED), start=1):
        setting.attempt(state, attempt_id=index)
    setting.node.down = True
    setting.later(hours=1)
    before = {index: one.state for index, one in setting.store.attempts.items()}
    await setting.send()
    await setting.confirm()
    await setting.resolve()
    await expire_unsigned(store=setting.store, rpc=setting.node, options=OPTIONS, now=setting.now)
    await build_leased(
        store=setting.store, rpc=setting.node, maker=setting.maker, options=OPTIONS, now=setting.now
    )
    assert {index: one.state for index, one in setting.store.attempts.items()} == before


async def test_second_node_can_stop_a_death(setting: Setting) -> None:
    """Where two nodes are configured, both must be past maxTime and see the slot free."""
    setting.attempt(_S.CHECKING, valid_s=5)
    setting.node.close(seconds=6)
    behind = FakeNode()
    behind.accounts_by_address = {CHANNEL.public_key: FakeAccount(4)}
    await setting.resolve(setting.node, behind)
    assert setting.state is _S.CHECKING
    behind.moment = LedgerMoment(11, setting.node.moment.close_time)
    await setting.resolve(setting.node, behind)
    assert setting.state is _S.DEAD


async def test_node_that_falls_back_proves_nothing(setting: Setting) -> None:
    """An account that was read at an older ledger than the newest one is not used."""
    setting.attempt(_S.CHECKING, valid_s=5)
    old = setting.node.moment
    setting.node.close(seconds=6)
    setting.node.entries_at = old
    await setting.resolve()
    assert setting.state is _S.CHECKING


async def test_older_digest_on_the_ledger_needs_a_person(setting: Setting) -> None:
    """A revision that was proved dead and yet consumed the slot is a contradiction."""
    slot_id = uuid4()
    setting.attempt(_S.DEAD, slot_id=slot_id)
    await setting.node.send(setting.store.attempts[1].signed_xdr or "")
    setting.node.close()
    setting.attempt(_S.CHECKING, attempt_id=2, slot_id=slot_id, revision=2, tx_hash="cd" * 32)
    await setting.resolve()
    assert setting.store.state(2) is _S.REVIEW
    assert "proved dead" in setting.store.details[-1]


async def test_unanswered_request_expires_by_the_ledgers_clock(setting: Setting) -> None:
    """Our clock only says when to look; the ledger's close time decides."""
    setting.attempt(_S.BUILT, valid_s=5)
    setting.later(hours=1)
    await expire_unsigned(store=setting.store, rpc=setting.node, options=OPTIONS, now=setting.now)
    assert setting.state is _S.BUILT
    setting.node.close(seconds=6)
    setting.later(hours=1)
    await expire_unsigned(store=setting.store, rpc=setting.node, options=OPTIONS, now=setting.now)
    assert setting.state is _S.CHECKING


async def build(setting: Setting) -> None:
    await build_leased(
        store=setting.store, rpc=setting.node, maker=setting.maker, options=OPTIONS, now=setting.now
    )


def leased(setting: Setting, *payments: Payment, **values: Any) -> None:
    known: dict[str, Any] = {"sequence": None, "revision": None, "tx_hash": None, "payments": payments}
    attempt = an_attempt(_S.LEASED, account=CHANNEL.public_key, **(known | values))
    if values.get("sequence") is None:
        object.__setattr__(attempt, "slot_id", None)
    setting.store.add(attempt, due=setting.now)


async def test_next_sequence_is_above_ledger_and_memory(setting: Setting) -> None:
    """Neither a node that lags nor our own memory alone names the next sequence number."""
    leased(setting, setting.payment())
    await build(setting)
    assert setting.store.plans[-1].built.sequence == 5
    leased(setting, setting.payment(), attempt_id=2, channel_sequence=9)
    await build(setting)
    assert setting.store.plans[-1].built.sequence == 10


async def test_revision_keeps_its_slot_and_bids_more(setting: Setting) -> None:
    """A rebuilt transaction stays on its sequence number, with a higher fee, valid by the ledger's clock."""
    leased(setting, setting.payment(), sequence=5, revision=2)
    await build(setting)
    built = setting.store.plans[-1].built
    assert (built.sequence, built.fee) == (5, 1_000)
    assert built.max_time == setting.node.moment.close_time + 90


async def test_revision_is_never_the_same_bytes(setting: Setting) -> None:
    """Within one ledger a revision with the same payments still has a maxTime, and so a hash, of its own."""
    last = setting.node.moment.close_time + 90
    leased(setting, setting.payment(), sequence=5, revision=2, slot_max_time=last)
    await build(setting)
    assert setting.store.plans[-1].built.max_time == last + 1


async def test_unfit_channel_gives_its_payments_back(setting: Setting) -> None:
    """A channel that does not exist or cannot pay its fee rests; a rebuilt attempt waits on it instead."""
    setting.node.accounts_by_address[CHANNEL.public_key].spendable = 50
    leased(setting, setting.payment())
    await build(setting)
    assert setting.state is _S.RELEASED
    rest = setting.store.released[-1][1]
    assert rest is not None
    assert rest[0] > setting.now
    leased(setting, setting.payment(), attempt_id=2, sequence=5, revision=2)
    await build(setting)
    assert setting.store.state(2) is _S.LEASED


async def test_lease_of_bad_payments_only_is_released(setting: Setting) -> None:
    """Nothing good to build: the channel is free at once and the bad have their codes."""
    bad = setting.payment(key("nobody").public_key)
    leased(setting, bad)
    await build(setting)
    assert setting.state is _S.RELEASED
    assert setting.store.released[-1][0] == {bad.provider_key: "destination_missing"}
