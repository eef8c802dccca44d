"""The rules around operations: signatures, sequence numbers, time, fees, fee bumps, preconditions."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from stellar_sdk import Keypair, xdr

from prizewire_stellar_sandbox.core.frames import MalformedEnvelope, decode
from prizewire_stellar_sandbox.core.model import INT64_MAX, Signer
from prizewire_stellar_sandbox.core.queue import Status
from prizewire_stellar_sandbox.core.validity import Moment, check
from prizewire_stellar_sandbox.core.view import View
from tools.stellar_sandbox.tests.net import (
    NETWORK_ID,
    RESERVE,
    START_TIME,
    XLM,
    Net,
    Tx,
    between,
    key,
    result_of,
    signed_payload,
    v2,
)
from tools.stellar_sandbox.tests.ops import bump_sequence, merge, options, pay, signer_of

ALICE, BOB, CAROL = key("alice"), key("bob"), key("carol")


@pytest.fixture
def net() -> Net:
    net = Net()
    for name in ("alice", "bob", "carol"):
        net.fund(name)
    return net


def signer(who: Keypair, weight: int) -> Signer:
    return Signer(signer_of(who).to_xdr_bytes(), weight)


# Signatures


def test_no_signature(net: Net) -> None:
    """Without a signature nothing happens."""
    assert net.refused(net.tx(ALICE, pay(BOB, 1), signers=[])).code == "txBAD_AUTH"


def test_wrong_signature_bytes(net: Net) -> None:
    """The right hint is not enough: the signature itself is verified."""
    good = net.tx(ALICE, pay(BOB, 1))
    assert good.xdr.v1 is not None
    bad = xdr.DecoratedSignature(xdr.SignatureHint(ALICE.signature_hint()), xdr.Signature(bytes(64)))
    assert net.refused(Net.with_signatures(good.xdr.v1.tx, good.hash, [bad])).code == "txBAD_AUTH"


def test_wrong_hint(net: Net) -> None:
    """A signature whose hint names another key is not found."""
    good = net.tx(ALICE, pay(BOB, 1))
    assert good.xdr.v1 is not None
    decorated = good.xdr.v1.signatures[0]
    bad = xdr.DecoratedSignature(xdr.SignatureHint(b"abcd"), decorated.signature)
    assert net.refused(Net.with_signatures(good.xdr.v1.tx, good.hash, [bad])).code == "txBAD_AUTH"


def test_signature_for_another_network(net: Net) -> None:
    """A signature holds on the network it was made for."""
    good = net.tx(ALICE, pay(BOB, 1))
    assert good.xdr.v1 is not None
    other = hashlib.sha256(b"another" + good.hash).digest()
    signature = ALICE.sign_decorated(other).to_xdr_object()
    assert net.refused(Net.with_signatures(good.xdr.v1.tx, good.hash, [signature])).code == "txBAD_AUTH"


def test_unused_signature(net: Net) -> None:
    """A signature that nothing needs makes the transaction invalid."""
    assert net.refused(net.tx(ALICE, pay(BOB, 1), signers=[ALICE, CAROL])).code == "txBAD_AUTH_EXTRA"


def test_same_signature_twice(net: Net) -> None:
    """The second copy of a signature is one too many."""
    assert net.refused(net.tx(ALICE, pay(BOB, 1), signers=[ALICE, ALICE])).code == "txBAD_AUTH_EXTRA"


def test_signing_twice_weighs_once(net: Net) -> None:
    """A second copy of a signature adds no weight."""
    net.alter(ALICE, thresholds=bytes([1, 1, 2, 2]))
    seen = net.refused(net.tx(ALICE, pay(BOB, 1), signers=[ALICE, ALICE]))
    assert seen.operations == ["opBAD_AUTH"]


def test_operation_source_must_sign(net: Net) -> None:
    """Each operation's source signs for it."""
    operation = pay(BOB, 1, source=CAROL)
    assert net.refused(net.tx(ALICE, operation)).operations == ["opBAD_AUTH"]
    assert net.outcome(net.tx(ALICE, operation, signers=[ALICE, CAROL])).code == "txSUCCESS"
    assert net.account(CAROL).balance == 1000 * XLM - 1


def test_operation_source_missing(net: Net) -> None:
    """A source that never existed signs for itself and still finds no account."""
    operation = pay(BOB, 1, source=key("nobody"))
    seen = net.outcome(net.tx(ALICE, operation, signers=[ALICE, key("nobody")]))
    assert (seen.code, seen.operations) == ("txFAILED", ["opNO_ACCOUNT"])


@pytest.mark.parametrize(
    ("signers", "code"),
    [
        ([ALICE], "opBAD_AUTH"),
        ([BOB], "opBAD_AUTH"),
        ([ALICE, BOB], "PAYMENT_SUCCESS"),
        ([BOB, CAROL], "PAYMENT_SUCCESS"),
    ],
)
def test_weights_reach_the_threshold(net: Net, signers: list[Keypair], code: str) -> None:
    """The weights of those who signed are added up against the medium threshold."""
    net.alter(
        ALICE,
        thresholds=bytes([1, 1, 3, 4]),
        signers=(signer(BOB, 2), signer(CAROL, 2)),
        subentries=2,
    )
    assert net.outcome(net.tx(ALICE, pay(BOB, 1), signers=signers)).operations == [code]


def test_each_operation_has_its_threshold(net: Net) -> None:
    """Low, medium and high operations ask for different weights."""
    net.alter(ALICE, thresholds=bytes([1, 1, 2, 3]), signers=(signer(BOB, 1), signer(CAROL, 1)), subentries=2)
    one, two, three = [ALICE], [ALICE, BOB], [ALICE, BOB, CAROL]

    def codes(operation: xdr.Operation, signers: list[Keypair]) -> list[str]:
        return net.outcome(net.tx(ALICE, operation, signers=signers)).operations

    assert codes(bump_sequence(1), one) == ["BUMP_SEQUENCE_SUCCESS"]
    assert codes(pay(BOB, 1), one) == ["opBAD_AUTH"]
    assert codes(pay(BOB, 1), two) == ["PAYMENT_SUCCESS"]
    assert codes(options(add=1), two) == ["SET_OPTIONS_SUCCESS"]
    assert codes(options(high=2), two) == ["opBAD_AUTH"]
    assert codes(merge(BOB), two) == ["opBAD_AUTH"]
    assert codes(options(high=2), three) == ["SET_OPTIONS_SUCCESS"]


def test_master_weight_zero(net: Net) -> None:
    """With a master weight of zero the account's own key counts for nothing."""
    net.alter(ALICE, thresholds=bytes([0, 0, 0, 0]), signers=(signer(BOB, 1),), subentries=1)
    assert net.refused(net.tx(ALICE, pay(BOB, 1))).code == "txBAD_AUTH"
    assert net.outcome(net.tx(ALICE, pay(BOB, 1), signers=[BOB])).code == "txSUCCESS"


def test_pre_authorized_transaction(net: Net) -> None:
    """A signer that is a transaction's hash authorizes that one, without a signature, and is used up."""
    tx = net.tx(ALICE, pay(BOB, 1), signers=[])
    pre_auth = Signer((1).to_bytes(4, "big") + tx.hash, 1)
    net.alter(ALICE, signers=(pre_auth,), subentries=1)
    assert net.outcome(tx).code == "txSUCCESS"
    assert net.account(ALICE).signers == ()
    assert net.account(ALICE).subentries == 0


def test_hash_signer(net: Net) -> None:
    """A hash(x) signer is satisfied by x."""
    secret = b"open sesame"
    hash_x = hashlib.sha256(secret).digest()
    net.alter(ALICE, signers=(Signer((2).to_bytes(4, "big") + hash_x, 1),), subentries=1)
    unsigned = net.tx(ALICE, pay(BOB, 1), signers=[])
    assert unsigned.xdr.v1 is not None
    signature = xdr.DecoratedSignature(xdr.SignatureHint(hash_x[-4:]), xdr.Signature(secret))
    assert (
        net.outcome(Net.with_signatures(unsigned.xdr.v1.tx, unsigned.hash, [signature])).code == "txSUCCESS"
    )


@pytest.mark.parametrize("payload", [b"a payload", b"abc"])
def test_signed_payload_signer(net: Net, payload: bytes) -> None:
    """A signed-payload signer is satisfied by its key's signature over the payload."""
    net.alter(ALICE, signers=(Signer(signed_payload(BOB, payload).to_xdr_bytes(), 1),), subentries=1)
    unsigned = net.tx(ALICE, pay(CAROL, 1), signers=[])
    assert unsigned.xdr.v1 is not None
    signature = BOB.sign_payload_decorated(payload).to_xdr_object()
    assert (
        net.outcome(Net.with_signatures(unsigned.xdr.v1.tx, unsigned.hash, [signature])).code == "txSUCCESS"
    )


def test_signatures_lost_before_apply(net: Net) -> None:
    """Signers that change earlier in the same ledger make a valid transaction fail, fee and sequence used."""
    dave = net.fund("dave", signers=(signer(ALICE, 1),), subentries=1)
    takes_over = net.tx(ALICE, options(master=0, source=dave))
    # Transactions are applied in the order of their hashes: take an amount that makes this one the second.
    spends = next(tx for tx in (net.tx(dave, pay(BOB, n)) for n in range(1, 99)) if tx.hash > takes_over.hash)
    for tx in (takes_over, spends):
        assert net.send(tx).status is Status.PENDING
    first, second = net.close().transactions
    assert (first.frame.hash, first.succeeded) == (takes_over.hash, True)
    assert result_of(second.result).code == "txBAD_AUTH"
    assert (second.fee, net.account(dave).sequence) == (100, 1)


def test_operation_signatures_lost_before_apply(net: Net) -> None:
    """An operation whose source changed its signers earlier in the same ledger fails by itself."""
    dave = net.fund("dave", signers=(signer(CAROL, 1),), subentries=1)
    takes_over = net.tx(dave, options(master=0))
    spends = next(
        tx
        for tx in (
            net.tx(ALICE, pay(BOB, n), pay(BOB, n, source=dave), signers=[ALICE, dave]) for n in range(1, 99)
        )
        if tx.hash > takes_over.hash
    )
    for tx in (takes_over, spends):
        assert net.send(tx).status is Status.PENDING
    _, second = net.close().transactions
    seen = result_of(second.result)
    assert (seen.code, seen.operations) == ("txFAILED", ["PAYMENT_SUCCESS", "opBAD_AUTH"])
    assert net.account(BOB).balance == 1000 * XLM


# Sequence numbers


@pytest.mark.parametrize("sequence", [0, 5, 7, INT64_MAX])
def test_bad_sequence(net: Net, sequence: int) -> None:
    """Only the next sequence number is taken."""
    net.alter(ALICE, sequence=5)
    assert net.refused(net.tx(ALICE, pay(BOB, 1), sequence=sequence)).code == "txBAD_SEQ"


def test_sequence_is_used_once(net: Net) -> None:
    """After it was applied, a transaction is kept away for ten ledgers, then refused by its number."""
    tx = net.tx(ALICE, pay(BOB, 1))
    assert net.outcome(tx).code == "txSUCCESS"
    for _ in range(9):
        assert net.send(tx).status is Status.TRY_AGAIN_LATER
        net.close()
    assert net.refused(tx).code == "txBAD_SEQ"


def test_starting_sequence_is_never_used(net: Net) -> None:
    """The number with which an account created in this ledger would start is refused."""
    net.alter(ALICE, sequence=(net.header.sequence + 1 << 32) - 1)
    assert net.refused(net.tx(ALICE, pay(BOB, 1))).code == "txBAD_SEQ"


def test_no_source(net: Net) -> None:
    """The source of the transaction must exist."""
    assert net.refused(net.tx(key("nobody"), pay(BOB, 1))).code == "txNO_ACCOUNT"


def test_missing_operation(net: Net) -> None:
    """A transaction does something."""
    assert net.refused(net.tx(ALICE)).code == "txMISSING_OPERATION"


# Time


def test_too_early(net: Net) -> None:
    """The lower time bound is held against the last close time."""
    assert (
        net.refused(net.tx(ALICE, pay(BOB, 1), conditions=between(START_TIME + 1, 0))).code == "txTOO_EARLY"
    )
    assert net.outcome(net.tx(ALICE, pay(BOB, 1), conditions=between(START_TIME, 0))).code == "txSUCCESS"


def test_too_late_when_sent(net: Net) -> None:
    """The upper time bound must leave room for the next ledgers."""
    late = net.tx(ALICE, pay(BOB, 1), conditions=between(0, START_TIME + 9))
    assert net.refused(late).code == "txTOO_LATE"
    good = net.tx(ALICE, pay(BOB, 1), conditions=between(0, START_TIME + 10))
    assert net.send(good).status is Status.PENDING


def test_expired_before_the_ledger(net: Net) -> None:
    """A transaction that expires in the queue leaves no trace, no fee, no used sequence number."""
    tx = net.tx(ALICE, pay(BOB, 1), conditions=between(0, START_TIME + 10))
    assert net.send(tx).status is Status.PENDING
    closed = net.close(seconds=11)
    assert closed.transactions == ()
    assert [frame.hash for frame in closed.dropped] == [tx.hash]
    assert (net.account(ALICE).sequence, net.account(ALICE).balance) == (0, 1000 * XLM)
    assert net.send(tx).status is Status.TRY_AGAIN_LATER


def test_upper_bound_is_inclusive(net: Net) -> None:
    """A ledger that closes exactly at the upper bound still takes the transaction."""
    tx = net.tx(ALICE, pay(BOB, 1), conditions=between(0, START_TIME + 10))
    assert net.send(tx).status is Status.PENDING
    assert len(net.close(seconds=10).transactions) == 1


# Fees


def test_insufficient_fee(net: Net) -> None:
    """The bid is at least 100 stroops for each operation; the answer says what it must be."""
    seen = net.refused(net.tx(ALICE, pay(BOB, 1), pay(BOB, 1), fee=199))
    assert (seen.code, seen.fee) == ("txINSUFFICIENT_FEE", 200)


def test_charges_the_base_fee_not_the_bid(net: Net) -> None:
    """A high bid is only a ceiling."""
    applied = net.applied(net.tx(ALICE, pay(BOB, 1), fee=5000))
    assert applied.fee == 100
    assert net.account(ALICE).balance == 1000 * XLM - 101
    assert net.header.fee_pool == 100


def test_insufficient_balance_for_the_bid(net: Net) -> None:
    """The whole bid must be there above the reserve."""
    net.alter(ALICE, balance=2 * RESERVE + 499)
    assert net.refused(net.tx(ALICE, bump_sequence(1), fee=500)).code == "txINSUFFICIENT_BALANCE"
    assert net.outcome(net.tx(ALICE, bump_sequence(1), fee=499)).code == "txSUCCESS"


def test_bids_are_added_up_again_when_the_ledger_is_put_together(net: Net) -> None:
    """Of two transactions that their payer can no longer pay together, only the first gets in."""
    payer = net.fund("payer", stroops=2 * RESERVE + 1500)
    for who in (ALICE, BOB):
        bumped = net.bump(net.tx(who, pay(CAROL, 1)), payer, fee=1000)
        net.queue.restore(decode(bumped.envelope, network_id=NETWORK_ID))
    closed = net.close()
    assert (len(closed.transactions), len(closed.dropped)) == (1, 1)


def test_balance_is_judged_before_unused_signatures(net: Net) -> None:
    """Of two things wrong the protocol names the balance first, in a transaction and in a fee bump."""
    inner = net.tx(ALICE, pay(BOB, 1))
    bumped = net.bump(inner, CAROL, fee=1000 * XLM, signers=[CAROL, BOB])
    assert net.refused(bumped).code == "txINSUFFICIENT_BALANCE"
    net.alter(ALICE, balance=2 * RESERVE + 499)
    plain = net.tx(ALICE, bump_sequence(1), fee=500, signers=[ALICE, BOB])
    assert net.refused(plain).code == "txINSUFFICIENT_BALANCE"


def test_bids_of_one_payer_add_up(net: Net) -> None:
    """Queued transactions of one fee payer must be payable together."""
    net.fund("payer", stroops=2 * RESERVE + 1500)
    for who, status in ((ALICE, Status.PENDING), (BOB, Status.ERROR)):
        bumped = net.bump(net.tx(who, pay(CAROL, 1)), key("payer"), fee=1000)
        assert net.send(bumped).status is status


def test_fees_are_taken_first(net: Net) -> None:
    """Every fee of a ledger is taken before the first transaction is applied."""
    net.fund("dave", stroops=2 * RESERVE + 100)
    everything = net.tx(ALICE, pay(BOB, 2 * RESERVE, source=key("dave")), signers=[ALICE, key("dave")])
    own = net.tx(key("dave"), bump_sequence(1))
    for tx in (everything, own):
        assert net.send(tx).status is Status.PENDING
    closed = net.close()
    outcome = {item.frame.hash: item for item in closed.transactions}
    assert outcome[own.hash].succeeded
    assert not outcome[everything.hash].succeeded
    assert net.account(key("dave")).balance == 2 * RESERVE


# Fee bumps


def test_fee_bump_pays_for_another(net: Net) -> None:
    """The payer is charged for one operation more; the source uses its sequence number and pays nothing."""
    inner = net.tx(ALICE, pay(BOB, 1), fee=100)
    applied = net.applied(net.bump(inner, CAROL, fee=400))
    assert applied.fee == 200
    assert net.account(CAROL).balance == 1000 * XLM - 200
    assert net.account(ALICE).balance == 1000 * XLM - 1
    assert net.account(ALICE).sequence == 1
    decoded = xdr.TransactionResult.from_xdr_bytes(applied.result)
    assert decoded.result.code.name == "txFEE_BUMP_INNER_SUCCESS"
    pair = decoded.result.inner_result_pair
    assert pair is not None
    assert pair.transaction_hash.hash == inner.hash


def test_fee_bump_of_a_free_transaction(net: Net) -> None:
    """The inner transaction's own fee does not count."""
    seen = net.outcome(net.bump(net.tx(ALICE, pay(BOB, 1), fee=0), CAROL, fee=200))
    assert (seen.code, seen.inner) == ("txFEE_BUMP_INNER_SUCCESS", "txSUCCESS")


def test_fee_bump_inner_failure(net: Net) -> None:
    """A failing inner transaction shows its operations' codes inside."""
    seen = net.outcome(net.bump(net.tx(ALICE, pay(key("nobody"), 1)), CAROL, fee=400))
    assert (seen.code, seen.inner) == ("txFEE_BUMP_INNER_FAILED", "txFAILED")
    assert seen.operations == ["PAYMENT_NO_DESTINATION"]


def test_fee_bump_inner_invalid(net: Net) -> None:
    """An inner transaction that is invalid in itself is refused with its own code inside."""
    seen = net.refused(net.bump(net.tx(ALICE, pay(BOB, 1), sequence=9), CAROL, fee=400))
    assert (seen.code, seen.inner) == ("txFEE_BUMP_INNER_FAILED", "txBAD_SEQ")


def test_fee_bump_insufficient_fee(net: Net) -> None:
    """A bump pays the base fee for all operations and itself, and no lower rate than the inner bid."""
    cheap = net.refused(net.bump(net.tx(ALICE, pay(BOB, 1)), CAROL, fee=199))
    assert (cheap.code, cheap.fee) == ("txINSUFFICIENT_FEE", 200)
    lower = net.refused(net.bump(net.tx(ALICE, pay(BOB, 1), fee=1000), CAROL, fee=1999))
    assert (lower.code, lower.fee) == ("txINSUFFICIENT_FEE", 2000)


def test_fee_bump_payer_rules(net: Net) -> None:
    """The payer exists, signs, signs alone, and can pay the whole bid."""
    inner = net.tx(ALICE, pay(BOB, 1))
    assert net.refused(net.bump(inner, key("nobody"), fee=200)).code == "txNO_ACCOUNT"
    assert net.refused(net.bump(inner, CAROL, fee=200, signers=[])).code == "txBAD_AUTH"
    assert net.refused(net.bump(inner, CAROL, fee=200, signers=[CAROL, BOB])).code == "txBAD_AUTH_EXTRA"
    assert net.refused(net.bump(inner, CAROL, fee=1000 * XLM)).code == "txINSUFFICIENT_BALANCE"
    assert net.refused(net.bump(inner, CAROL, fee=-1)).code == "txMALFORMED"


# The queue


def test_duplicate_and_second_transaction(net: Net) -> None:
    """The same transaction again is a duplicate; another of the same source has to wait."""
    first = net.tx(ALICE, pay(BOB, 1))
    assert net.send(first).status is Status.PENDING
    assert net.send(first).status is Status.DUPLICATE
    assert net.send(net.tx(ALICE, pay(BOB, 2))).status is Status.TRY_AGAIN_LATER
    assert net.send(net.tx(ALICE, pay(BOB, 2), sequence=2)).status is Status.TRY_AGAIN_LATER
    assert net.refused(net.tx(ALICE, pay(BOB, 2), sequence=0)).code == "txBAD_SEQ"
    assert net.send(net.tx(BOB, pay(ALICE, 1))).status is Status.PENDING


def test_fee_bump_replaces_for_ten_times_the_fee(net: Net) -> None:
    """A bump of ten times the rate replaces a queued transaction; a lower bid is answered with the needed fee."""
    inner = net.tx(ALICE, pay(BOB, 1))
    assert net.send(inner).status is Status.PENDING
    seen = net.refused(net.bump(inner, CAROL, fee=1999))
    assert (seen.code, seen.fee) == ("txINSUFFICIENT_FEE", 2000)
    bumped = net.bump(inner, CAROL, fee=2000)
    assert net.send(bumped).status is Status.PENDING
    assert net.send(inner).status is Status.DUPLICATE
    assert net.send(bumped).status is Status.DUPLICATE
    assert [item.frame.hash for item in net.close().transactions] == [bumped.hash]
    assert net.account(BOB).balance == 1000 * XLM + 1


def test_replaced_while_closing(net: Net) -> None:
    """A bump that arrives while its inner transaction is being applied is forgotten: the number is used."""
    inner = net.tx(ALICE, pay(BOB, 1))
    assert net.send(inner).status is Status.PENDING
    waiting = net.queue.frames()
    assert net.send(net.bump(inner, CAROL, fee=2000)).status is Status.PENDING
    net.queue.settle(closed=11, applied=waiting, dropped=[])
    assert len(net.queue) == 0


# Preconditions


def test_ledger_bounds(net: Net) -> None:
    """The ledger that takes the transaction lies within the bounds, the upper one exclusive."""
    next_ledger = net.header.sequence + 1

    def code(low: int, high: int) -> str:
        return net.outcome(net.tx(ALICE, bump_sequence(0), conditions=v2(ledgers=(low, high)))).code

    assert code(next_ledger + 1, 0) == "txTOO_EARLY"
    assert code(0, next_ledger) == "txTOO_LATE"
    assert code(next_ledger, next_ledger + 1) == "txSUCCESS"


def test_minimum_sequence(net: Net) -> None:
    """With a minimum, the account's number may lie anywhere from it up to the transaction's."""
    net.alter(ALICE, sequence=5)

    def code(least: int, sequence: int) -> str:
        tx = net.tx(ALICE, pay(BOB, 1), sequence=sequence, conditions=v2(min_sequence=least))
        return net.outcome(tx).code

    assert code(6, 9) == "txBAD_SEQ"
    assert code(5, 5) == "txBAD_SEQ"
    assert code(3, 9) == "txSUCCESS"
    assert net.account(ALICE).sequence == 9


def test_minimum_sequence_age_and_gap(net: Net) -> None:
    """The account's number must have been unused for some seconds or ledgers."""
    net.alter(ALICE, sequence_time=START_TIME - 10, sequence_ledger=net.header.sequence - 3)

    def code(*, age: int = 0, gap: int = 0) -> str:
        return net.outcome(net.tx(ALICE, pay(BOB, 1), conditions=v2(age=age, gap=gap))).code

    assert code(age=11) == "txBAD_MIN_SEQ_AGE_OR_GAP"
    assert code(gap=5) == "txBAD_MIN_SEQ_AGE_OR_GAP"
    assert code(age=10, gap=4) == "txSUCCESS"
    assert net.account(ALICE).sequence_time == net.header.close_time
    assert net.account(ALICE).sequence_ledger == net.header.sequence


def test_extra_signers(net: Net) -> None:
    """Extra signers must sign too, and may not be named twice."""
    conditions = v2(extra=[signer_of(BOB)])
    assert net.refused(net.tx(ALICE, pay(BOB, 1), conditions=conditions)).code == "txBAD_AUTH"
    twice = v2(extra=[signer_of(BOB), signer_of(BOB)])
    assert net.refused(net.tx(ALICE, pay(BOB, 1), conditions=twice)).code == "txMALFORMED"
    seen = net.outcome(net.tx(ALICE, pay(BOB, 1), conditions=conditions, signers=[ALICE, BOB]))
    assert seen.code == "txSUCCESS"


# Envelopes


def test_not_an_envelope() -> None:
    """Bytes that are no whole envelope are refused before anything is looked at."""
    net = Net()
    net.fund("alice")
    good = net.tx(ALICE, pay(BOB, 1)).envelope
    for nonsense in (b"", b"\0\0\0\x09", good[:-1], good + b"\0\0\0\0"):
        with pytest.raises(MalformedEnvelope):
            decode(nonsense, network_id=NETWORK_ID)


def test_old_envelope_becomes_new(net: Net) -> None:
    """A type 0 envelope has the same hash and is shown as type 2, as on the network."""
    good = net.tx(ALICE, pay(BOB, 1), conditions=between(0, START_TIME + 100))
    assert good.xdr.v1 is not None
    new = good.xdr.v1.tx
    old = xdr.TransactionEnvelope(
        xdr.EnvelopeType.ENVELOPE_TYPE_TX_V0,
        v0=xdr.TransactionV0Envelope(
            xdr.TransactionV0(
                source_account_ed25519=xdr.Uint256(ALICE.raw_public_key()),
                fee=new.fee,
                seq_num=new.seq_num,
                time_bounds=new.cond.time_bounds,
                memo=new.memo,
                operations=new.operations,
                ext=xdr.TransactionV0Ext(0),
            ),
            good.xdr.v1.signatures,
        ),
    )
    frame = decode(old.to_xdr_bytes(), network_id=NETWORK_ID)
    assert frame.envelope == good.envelope
    assert net.outcome(Tx(old.to_xdr_bytes(), good.hash, old)).code == "txSUCCESS"


def test_soroban_data_on_a_payment(net: Net) -> None:
    """Resource data belongs to Soroban operations only."""
    good = net.tx(ALICE, pay(BOB, 1))
    frame = decode(good.envelope, network_id=NETWORK_ID).inner
    moment = Moment(replace(net.header, sequence=11), START_TIME, START_TIME + 10)
    assert check(frame, view=View(net), moment=moment) is None
    result = check(replace(frame, has_soroban_data=True), view=View(net), moment=moment)
    assert result is not None
    assert xdr.TransactionResult.from_xdr_bytes(result).result.code.name == "txMALFORMED"
