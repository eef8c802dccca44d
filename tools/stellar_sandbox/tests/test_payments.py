"""Payment: each result code of the protocol, and what is moved."""

from __future__ import annotations

import pytest
from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.model import INT64_MAX, LINE_MAINTAIN_LIABILITIES, Asset
from tools.stellar_sandbox.tests.net import RESERVE, XLM, Net, key
from tools.stellar_sandbox.tests.ops import pay

USDC = Asset(b"USDC", key("issuer").raw_public_key())


def world() -> Net:
    """Alice and Bob hold USDC of an issuer; Carol holds only XLM."""
    net = Net()
    net.fund("issuer")
    for name in ("alice", "bob"):
        net.trust(net.fund(name), USDC, balance=100)
    net.fund("carol")
    return net


def failed(code: str) -> tuple[str, list[str]]:
    return "txFAILED", [code]


ALICE, BOB, CAROL, ISSUER, NOBODY = (key(name) for name in ("alice", "bob", "carol", "issuer", "nobody"))


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (pay(BOB, 0), "PAYMENT_MALFORMED"),
        (pay(BOB, -1), "PAYMENT_MALFORMED"),
        (pay(BOB, 1, asset=Asset(b"A\0B\0", ISSUER.raw_public_key())), "PAYMENT_MALFORMED"),
        (pay(BOB, 1, asset=Asset(b"\0\0\0\0", ISSUER.raw_public_key())), "PAYMENT_MALFORMED"),
        (pay(NOBODY, 1), "PAYMENT_NO_DESTINATION"),
        (pay(BOB, 1000 * XLM), "PAYMENT_UNDERFUNDED"),
        (pay(NOBODY, 1, asset=USDC), "PAYMENT_NO_DESTINATION"),
        (pay(CAROL, 1, asset=USDC), "PAYMENT_NO_TRUST"),
        (pay(BOB, 101, asset=USDC), "PAYMENT_UNDERFUNDED"),
        (pay(ALICE, 1, asset=USDC, source=CAROL), "PAYMENT_SRC_NO_TRUST"),
    ],
)
def test_failures_by_operation(operation: xdr.Operation, code: str) -> None:
    """What is wrong with the payment itself, or with the accounts as they are, has the protocol's code."""
    net = world()
    result = net.outcome(
        net.tx(ALICE, operation, signers=[ALICE] if not operation.source_account else [ALICE, CAROL])
    )
    assert (result.code, result.operations) == failed(code)


def test_destination_not_authorized() -> None:
    """A trustline that the issuer has not authorized takes nothing."""
    net = world()
    net.trust(net.fund("dave"), USDC, flags=LINE_MAINTAIN_LIABILITIES)
    result = net.outcome(net.tx(ALICE, pay(key("dave"), 1, asset=USDC)))
    assert result.operations == ["PAYMENT_NOT_AUTHORIZED"]


def test_source_not_authorized() -> None:
    """A trustline that lost its authorization gives nothing."""
    net = world()
    net.trust(net.fund("dave"), USDC, balance=5, flags=0)
    result = net.outcome(net.tx(key("dave"), pay(BOB, 1, asset=USDC)))
    assert result.operations == ["PAYMENT_SRC_NOT_AUTHORIZED"]


def test_line_full() -> None:
    """A trustline takes no more than its limit."""
    net = world()
    net.trust(net.fund("dave"), USDC, balance=5, limit=10)
    assert net.outcome(net.tx(ALICE, pay(key("dave"), 6, asset=USDC))).operations == ["PAYMENT_LINE_FULL"]
    assert net.outcome(net.tx(ALICE, pay(key("dave"), 5, asset=USDC))).code == "txSUCCESS"


def test_native_line_full() -> None:
    """An account holds no more stroops than fit into 64 bits."""
    net = world()
    net.fund("whale", stroops=INT64_MAX - 5)
    assert net.outcome(net.tx(ALICE, pay(key("whale"), 6))).operations == ["PAYMENT_LINE_FULL"]


def test_reserve_stays() -> None:
    """XLM can be paid down to the reserve (two, and one for the trustline) and no further."""
    net = world()
    free = net.account(ALICE).balance - 3 * RESERVE - 100
    assert net.outcome(net.tx(ALICE, pay(BOB, free + 1))).operations == ["PAYMENT_UNDERFUNDED"]
    assert net.outcome(net.tx(ALICE, pay(BOB, free - 100))).code == "txSUCCESS"
    assert net.account(ALICE).balance == 3 * RESERVE


def test_moves_native_and_credit() -> None:
    """What leaves one side arrives at the other, and nothing else changes but the fee."""
    net = world()
    assert net.outcome(net.tx(ALICE, pay(BOB, 7), pay(BOB, 30, asset=USDC))).code == "txSUCCESS"
    assert net.account(ALICE).balance == 1000 * XLM - 7 - 200
    assert net.account(BOB).balance == 1000 * XLM + 7
    assert (net.line(ALICE, USDC).balance, net.line(BOB, USDC).balance) == (70, 130)
    assert net.header.fee_pool == 200


def test_issuer_mints_and_burns() -> None:
    """The issuer pays out of nothing and receives into nothing; it needs no trustline."""
    net = world()
    assert net.outcome(net.tx(ISSUER, pay(BOB, 50, asset=USDC))).code == "txSUCCESS"
    assert net.outcome(net.tx(ALICE, pay(ISSUER, 60, asset=USDC))).code == "txSUCCESS"
    assert (net.line(ALICE, USDC).balance, net.line(BOB, USDC).balance) == (40, 150)


def test_payment_to_oneself() -> None:
    """XLM to oneself always succeeds, even when there is too little; credit to oneself is judged."""
    net = world()
    assert net.outcome(net.tx(ALICE, pay(ALICE, 10**18))).code == "txSUCCESS"
    assert net.outcome(net.tx(ALICE, pay(ALICE, 100, asset=USDC))).code == "txSUCCESS"
    assert net.line(ALICE, USDC).balance == 100


def test_muxed_destination_and_transfers() -> None:
    """An M… destination pays the account behind it, and what was moved is reported with its id."""
    net = world()
    applied = net.applied(net.tx(ALICE, pay(BOB, 9, mux=77), source_mux=5))
    (transfer,) = applied.transfers
    assert (transfer.kind, transfer.amount, transfer.recipient_mux) == ("payment", 9, 77)
    assert (transfer.sender, transfer.recipient) == (ALICE.raw_public_key(), BOB.raw_public_key())


def test_failed_operation_undoes_the_others() -> None:
    """One failing operation rolls the whole transaction back; fee and sequence number stay used."""
    net = world()
    applied = net.applied(net.tx(ALICE, pay(BOB, 7), pay(CAROL, 1, asset=USDC), pay(BOB, 8)))
    assert not applied.succeeded
    assert applied.transfers == ()
    assert net.account(BOB).balance == 1000 * XLM
    assert net.account(ALICE).balance == 1000 * XLM - 300
    assert net.account(ALICE).sequence == 1


def test_operations_after_a_failure_are_judged() -> None:
    """Each operation's own code is in the result, also behind the first failure."""
    net = world()
    result = net.outcome(net.tx(ALICE, pay(CAROL, 1, asset=USDC), pay(BOB, 8), pay(NOBODY, 1)))
    assert result.operations == ["PAYMENT_NO_TRUST", "PAYMENT_SUCCESS", "PAYMENT_NO_DESTINATION"]
