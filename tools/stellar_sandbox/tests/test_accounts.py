"""CreateAccount, AccountMerge and BumpSequence: each result code, and the effect."""

from __future__ import annotations

from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.model import AUTH_IMMUTABLE, INT64_MAX, Asset, Signer
from tools.stellar_sandbox.tests.net import RESERVE, XLM, Net, key
from tools.stellar_sandbox.tests.ops import bump_sequence, create, inflation, merge, pay, signer_of

ALICE, BOB, NEW = key("alice"), key("bob"), key("new")


def world() -> Net:
    net = Net()
    net.fund("alice")
    net.fund("bob")
    return net


def codes(net: Net, operation: xdr.Operation) -> list[str]:
    return net.outcome(net.tx(ALICE, operation)).operations


def test_create_makes_an_account() -> None:
    """A new account holds what it was given and starts at the ledger's number in the high half."""
    net = world()
    assert codes(net, create(NEW, 5 * XLM)) == ["CREATE_ACCOUNT_SUCCESS"]
    account = net.account(NEW)
    assert (account.balance, account.sequence) == (5 * XLM, net.header.sequence << 32)
    assert (account.thresholds, account.subentries) == (b"\x01\0\0\0", 0)


def test_create_malformed() -> None:
    """A negative starting balance, or oneself as the destination, is malformed."""
    net = world()
    assert codes(net, create(NEW, -1)) == ["CREATE_ACCOUNT_MALFORMED"]
    assert codes(net, create(ALICE, XLM)) == ["CREATE_ACCOUNT_MALFORMED"]


def test_create_already_exists() -> None:
    """An account is created once."""
    assert codes(world(), create(BOB, XLM)) == ["CREATE_ACCOUNT_ALREADY_EXIST"]


def test_create_low_reserve() -> None:
    """The starting balance must cover two base reserves: one XLM."""
    net = world()
    assert codes(net, create(NEW, 2 * RESERVE - 1)) == ["CREATE_ACCOUNT_LOW_RESERVE"]
    assert codes(net, create(NEW, 2 * RESERVE)) == ["CREATE_ACCOUNT_SUCCESS"]


def test_create_underfunded() -> None:
    """The source keeps its own reserve."""
    assert codes(world(), create(NEW, 999 * XLM)) == ["CREATE_ACCOUNT_UNDERFUNDED"]


def test_merge_moves_everything() -> None:
    """The source disappears, its whole balance (after the fee) goes over, and the result names it."""
    net = world()
    result = net.applied(net.tx(ALICE, merge(BOB))).result
    decoded = xdr.TransactionResult.from_xdr_bytes(result).result.results
    assert decoded is not None
    assert decoded[0].tr is not None
    assert decoded[0].tr.account_merge_result is not None
    balance = decoded[0].tr.account_merge_result.source_account_balance
    assert balance is not None
    assert balance.int64 == 1000 * XLM - 100
    assert not net.exists(ALICE)
    assert net.account(BOB).balance == 2000 * XLM - 100


def test_merge_malformed_and_no_account() -> None:
    """An account merges neither into itself nor into one that does not exist."""
    net = world()
    assert codes(net, merge(ALICE)) == ["ACCOUNT_MERGE_MALFORMED"]
    assert codes(net, merge(NEW)) == ["ACCOUNT_MERGE_NO_ACCOUNT"]


def test_merge_immutable() -> None:
    """An account with immutable flags stays."""
    net = world()
    net.alter(ALICE, flags=AUTH_IMMUTABLE)
    assert codes(net, merge(BOB)) == ["ACCOUNT_MERGE_IMMUTABLE_SET"]


def test_merge_with_subentries() -> None:
    """Trustlines and data keep an account alive; signers alone do not."""
    net = world()
    net.trust(ALICE, Asset(b"USDC", BOB.raw_public_key()))
    assert codes(net, merge(BOB)) == ["ACCOUNT_MERGE_HAS_SUB_ENTRIES"]
    net = world()
    net.alter(ALICE, subentries=1, signers=(Signer(signer_of(NEW).to_xdr_bytes(), 1),))
    assert codes(net, merge(BOB)) == ["ACCOUNT_MERGE_SUCCESS"]


def test_merge_sequence_too_far() -> None:
    """A sequence number that a new account could reach again forbids the merge."""
    net = world()
    net.alter(ALICE, sequence=(net.header.sequence + 1 << 32) + 3)
    assert codes(net, merge(BOB)) == ["ACCOUNT_MERGE_SEQNUM_TOO_FAR"]


def test_merge_destination_full() -> None:
    """The destination cannot hold more stroops than fit into 64 bits."""
    net = world()
    net.fund("whale", stroops=INT64_MAX - 5)
    assert codes(net, merge(key("whale"))) == ["ACCOUNT_MERGE_DEST_FULL"]


def test_merge_then_use() -> None:
    """Operations behind a merge of their source find no account, and undo the merge."""
    net = world()
    result = net.outcome(net.tx(ALICE, merge(BOB), pay(BOB, 1)))
    assert (result.code, result.operations) == ("txFAILED", ["ACCOUNT_MERGE_SUCCESS", "opNO_ACCOUNT"])
    assert net.exists(ALICE)


def test_create_and_use_in_one_transaction() -> None:
    """A source that an earlier operation creates needs its own signature, and then works."""
    net = world()
    operations = (create(NEW, 5 * XLM), pay(BOB, 1, source=NEW))
    assert net.outcome(net.tx(ALICE, *operations)).operations[1] == "opBAD_AUTH"
    assert net.outcome(net.tx(ALICE, *operations, signers=[ALICE, NEW])).code == "txSUCCESS"


def test_bump_sequence() -> None:
    """The sequence number goes up to the given one, never down, and negative ones are refused."""
    net = world()
    assert codes(net, bump_sequence(-1)) == ["BUMP_SEQUENCE_BAD_SEQ"]
    assert codes(net, bump_sequence(50)) == ["BUMP_SEQUENCE_SUCCESS"]
    assert net.account(ALICE).sequence == 50
    assert codes(net, bump_sequence(7)) == ["BUMP_SEQUENCE_SUCCESS"]
    assert net.account(ALICE).sequence == 51


def test_unsupported_operation() -> None:
    """An operation that the sandbox does not have answers opNOT_SUPPORTED when it is sent."""
    net = world()
    result = net.refused(net.tx(ALICE, pay(BOB, 1), inflation()))
    assert result.operations == ["PAYMENT_SUCCESS", "opNOT_SUPPORTED"]
