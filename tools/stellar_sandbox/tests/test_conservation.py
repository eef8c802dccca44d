"""Nothing is made or lost: a property over random transactions of every supported kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from stellar_sdk import Keypair, xdr

from prizewire_stellar_sandbox.core.apply import ClosedLedger
from prizewire_stellar_sandbox.core.model import (
    GENESIS_STROOPS,
    Account,
    Asset,
    DataEntry,
    Trustline,
)
from prizewire_stellar_sandbox.core.queue import Status
from tools.stellar_sandbox.tests.net import XLM, Net, genesis_net, key
from tools.stellar_sandbox.tests.ops import (
    allow_trust,
    bump_sequence,
    change_trust,
    create,
    data,
    line_flags,
    merge,
    options,
    pay,
    signer_of,
)

NAMES = ("root", "ann", "ben", "cat", "dan", "eve")
PEOPLE = [key(name) for name in NAMES]
ASSETS = [
    Asset(b"USDC", key("ann").raw_public_key()),
    Asset(b"PRIZE\0\0\0\0\0\0\0", key("ben").raw_public_key()),
]

people = st.sampled_from(PEOPLE)
assets = st.sampled_from(ASSETS)
amounts = st.one_of(st.integers(1, 50), st.integers(1, 30 * XLM), st.integers(-1, 2**63 - 1))
small = st.integers(0, 3)


@dataclass(frozen=True)
class Planned:
    """A transaction to send: its source, its operations, and who pays for a bump of it, if anybody."""

    source: Keypair
    operations: list[xdr.Operation]
    bumped_by: Keypair | None


def operations() -> st.SearchStrategy[xdr.Operation]:
    """Any supported operation, mostly sensible."""
    source = st.one_of(st.none(), people)
    return st.one_of(
        st.builds(create, people, st.integers(0, 200 * XLM), source=source),
        st.builds(pay, people, amounts, asset=st.one_of(st.none(), assets), source=source),
        st.builds(pay, people, st.integers(1, 100), asset=assets, source=source),
        st.builds(change_trust, assets, st.sampled_from([0, 60, 2**63 - 1]), source=source),
        st.builds(allow_trust, people, st.just(b"USDC"), small, source=source),
        st.builds(line_flags, people, assets, clear=small, add=small, source=source),
        st.builds(
            options,
            add=st.one_of(st.none(), st.sampled_from([1, 2, 3, 4])),
            clear=st.one_of(st.none(), st.sampled_from([1, 2])),
            signer=st.one_of(st.none(), st.tuples(st.builds(signer_of, people), st.integers(0, 1))),
            source=source,
        ),
        st.builds(data, st.sampled_from([b"a", b"b"]), st.one_of(st.none(), st.just(b"1")), source=source),
        st.builds(merge, people, source=source),
        st.builds(bump_sequence, st.integers(0, 99), source=source),
    )


plans = st.lists(
    st.builds(Planned, people, st.lists(operations(), min_size=1, max_size=5), st.one_of(st.none(), people)),
    min_size=1,
    max_size=4,
)


def signers_of(plan: Planned) -> list[Keypair]:
    """Everybody whose signature the transaction needs, once."""
    public = {plan.source.raw_public_key()}
    for operation in plan.operations:
        if operation.source_account is not None and operation.source_account.ed25519 is not None:
            public.add(operation.source_account.ed25519.uint256)
    return [person for person in PEOPLE if person.raw_public_key() in public]


def balances(net: Net) -> Counter[tuple[bytes, Asset | None]]:
    """What each account holds of each asset."""
    held: Counter[tuple[bytes, Asset | None]] = Counter()
    for entry in net.entries.values():
        if isinstance(entry, Account):
            held[entry.account_id, None] = entry.balance
        elif isinstance(entry, Trustline):
            held[entry.account_id, entry.asset] = entry.balance
    return held


def check_transfers(before: Counter[tuple[bytes, Asset | None]], net: Net, closed: ClosedLedger) -> None:
    """The reported transfers and fees explain every change of every balance."""
    expected = before.copy()
    for item in closed.transactions:
        expected[item.frame.fee_source, None] -= item.fee
        for transfer in item.transfers:
            for account_id, amount in (
                (transfer.sender, -transfer.amount),
                (transfer.recipient, transfer.amount),
            ):
                if transfer.asset is None or transfer.asset.issuer != account_id:
                    expected[account_id, transfer.asset] += amount
    after = balances(net)
    assert {place: held for place, held in expected.items() if held} == {
        place: held for place, held in after.items() if held
    }


def check_entries(net: Net) -> None:
    """Balances lie within their limits, and subentries are counted right."""
    subentries: Counter[bytes] = Counter()
    for entry in net.entries.values():
        if isinstance(entry, Account):
            assert entry.balance >= 0
            subentries[entry.account_id] += len(entry.signers)
        elif isinstance(entry, Trustline):
            assert 0 <= entry.balance <= entry.limit
            subentries[entry.account_id] += 1
        elif isinstance(entry, DataEntry):
            subentries[entry.account_id] += 1
    for entry in net.entries.values():
        if isinstance(entry, Account):
            assert entry.subentries == subentries[entry.account_id]


@settings(max_examples=150)
@given(ledgers=st.lists(plans, min_size=1, max_size=6))
def test_nothing_is_made_or_lost(ledgers: list[list[Planned]]) -> None:
    """XLM on accounts and in the fee pool is always a hundred billion; transfers explain all other changes."""
    net, root = genesis_net()
    funding = [create(person, 100 * XLM) for person in PEOPLE[1:]]
    trusting = [change_trust(asset, source=person) for asset in ASSETS for person in PEOPLE[3:]]
    minting = [
        pay(person, 40, asset=asset, source=key(name))
        for name, asset in zip(NAMES[1:3], ASSETS, strict=True)
        for person in PEOPLE[3:]
    ]
    opening = net.tx(root, *funding, *trusting, *minting, signers=PEOPLE)
    assert net.outcome(opening).code == "txSUCCESS"
    for plan in ledgers:
        for planned in plan:
            tx = net.tx(planned.source, *planned.operations, signers=signers_of(planned))
            if planned.bumped_by is not None:
                tx = net.bump(tx, planned.bumped_by, fee=10_000)
            sequence = net.account(planned.source).sequence if net.exists(planned.source) else None
            status = net.send(tx).status
            assert sequence is not None or status is Status.ERROR
        before = balances(net)
        closed = net.close()
        assert net.total_xlm() == GENESIS_STROOPS
        check_transfers(before, net, closed)
        check_entries(net)
        for item in closed.transactions:
            assert item.succeeded or item.transfers == ()
            # What the ledger writes down is XDR that the client library reads and writes alike.
            assert xdr.TransactionResult.from_xdr_bytes(item.result).to_xdr_bytes() == item.result
            assert xdr.TransactionMeta.from_xdr_bytes(item.meta).to_xdr_bytes() == item.meta
