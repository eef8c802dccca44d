"""SetOptions and ManageData: each result code, and the effect."""

from __future__ import annotations

import pytest
from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.model import AUTH_IMMUTABLE, DataEntry, DataKey, Signer
from tools.stellar_sandbox.tests.net import RESERVE, Net, key, signed_payload
from tools.stellar_sandbox.tests.ops import data, options, signer_of

ALICE, BOB = key("alice"), key("bob")


def world() -> Net:
    net = Net()
    net.fund("alice")
    net.fund("bob")
    return net


def codes(net: Net, operation: xdr.Operation) -> list[str]:
    return net.outcome(net.tx(ALICE, operation)).operations


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (options(add=0x10), "SET_OPTIONS_UNKNOWN_FLAG"),
        (options(clear=0x10), "SET_OPTIONS_UNKNOWN_FLAG"),
        (options(add=1, clear=1), "SET_OPTIONS_BAD_FLAGS"),
        (options(master=256), "SET_OPTIONS_THRESHOLD_OUT_OF_RANGE"),
        (options(high=256), "SET_OPTIONS_THRESHOLD_OUT_OF_RANGE"),
        (options(signer=(signer_of(ALICE), 1)), "SET_OPTIONS_BAD_SIGNER"),
        (options(signer=(signer_of(BOB), 256)), "SET_OPTIONS_BAD_SIGNER"),
        (options(signer=(signed_payload(BOB, b""), 1)), "SET_OPTIONS_BAD_SIGNER"),
        (options(domain=b"bad\ndomain"), "SET_OPTIONS_INVALID_HOME_DOMAIN"),
        (options(inflation=key("nobody")), "SET_OPTIONS_INVALID_INFLATION"),
        (options(add=0x8), "SET_OPTIONS_AUTH_REVOCABLE_REQUIRED"),
    ],
)
def test_set_options_failures(operation: xdr.Operation, code: str) -> None:
    """What is wrong with the options has the protocol's code."""
    assert codes(world(), operation) == [code]


def test_immutable_flags() -> None:
    """Immutable flags are neither set nor cleared again."""
    net = world()
    net.alter(ALICE, flags=AUTH_IMMUTABLE)
    assert codes(net, options(add=1)) == ["SET_OPTIONS_CANT_CHANGE"]
    assert codes(net, options(clear=AUTH_IMMUTABLE)) == ["SET_OPTIONS_CANT_CHANGE"]


def test_sets_given_options() -> None:
    """Flags, weights, thresholds, domain and inflation destination change where given, and only there."""
    net = world()
    assert codes(net, options(add=3, domain=b"prizewire.example", inflation=BOB, low=1)) == [
        "SET_OPTIONS_SUCCESS"
    ]
    assert codes(net, options(clear=1, medium=2, high=3, master=4)) == ["SET_OPTIONS_SUCCESS"]
    account = net.account(ALICE)
    assert (account.flags, account.thresholds) == (2, bytes([4, 1, 2, 3]))
    assert account.home_domain == b"prizewire.example"
    assert account.inflation_dest == BOB.raw_public_key()


def test_signers_come_change_and_go() -> None:
    """Each signer is a subentry; they are kept sorted; weight zero removes one, and nothing if there is none."""
    net = world()
    keys = [key("one"), key("two"), key("three")]
    for keypair in keys:
        assert codes(net, options(signer=(signer_of(keypair), 1))) == ["SET_OPTIONS_SUCCESS"]
    assert codes(net, options(signer=(signer_of(keys[0]), 9))) == ["SET_OPTIONS_SUCCESS"]
    account = net.account(ALICE)
    assert account.subentries == 3
    assert list(account.signers) == sorted(account.signers)
    assert {signer.weight for signer in account.signers} == {1, 9}
    for keypair in (keys[0], keys[0], key("another")):
        assert codes(net, options(signer=(signer_of(keypair), 0))) == ["SET_OPTIONS_SUCCESS"]
    assert net.account(ALICE).subentries == 2
    assert len(net.account(ALICE).signers) == 2


def test_too_many_signers() -> None:
    """An account has at most twenty signers; changing one of them is still possible."""
    net = world()
    signers = tuple(sorted(Signer(signer_of(key(f"s{i}")).to_xdr_bytes(), 1) for i in range(20)))
    net.alter(ALICE, signers=signers, subentries=20)
    assert codes(net, options(signer=(signer_of(key("more")), 1))) == ["SET_OPTIONS_TOO_MANY_SIGNERS"]
    assert codes(net, options(signer=(signer_of(key("s3")), 2))) == ["SET_OPTIONS_SUCCESS"]


def test_signer_low_reserve() -> None:
    """A signer needs one more base reserve."""
    net = world()
    net.alter(ALICE, balance=3 * RESERVE + 100 - 1)
    assert codes(net, options(signer=(signer_of(BOB), 1))) == ["SET_OPTIONS_LOW_RESERVE"]


def test_data_comes_changes_and_goes() -> None:
    """A data entry is a subentry; it is changed in place and removed by giving no value."""
    net = world()
    name = b"config.memo_required"
    assert codes(net, data(name, b"1")) == ["MANAGE_DATA_SUCCESS"]
    assert codes(net, data(name, b"2")) == ["MANAGE_DATA_SUCCESS"]
    entry = net.entries[DataKey(ALICE.raw_public_key(), name)]
    assert isinstance(entry, DataEntry)
    assert entry.value == b"2"
    assert net.account(ALICE).subentries == 1
    assert codes(net, data(name, None)) == ["MANAGE_DATA_SUCCESS"]
    assert net.account(ALICE).subentries == 0
    assert codes(net, data(name, None)) == ["MANAGE_DATA_NAME_NOT_FOUND"]


def test_data_invalid_name() -> None:
    """A name is not empty and has no control characters."""
    net = world()
    assert codes(net, data(b"", b"1")) == ["MANAGE_DATA_INVALID_NAME"]
    assert codes(net, data(b"a\x7f", b"1")) == ["MANAGE_DATA_INVALID_NAME"]


def test_data_low_reserve() -> None:
    """A data entry needs one more base reserve; changing one does not."""
    net = world()
    net.alter(ALICE, balance=3 * RESERVE + 100)
    assert codes(net, data(b"a", b"1")) == ["MANAGE_DATA_SUCCESS"]
    net.alter(ALICE, balance=3 * RESERVE + 200)
    assert codes(net, data(b"b", b"1")) == ["MANAGE_DATA_LOW_RESERVE"]
    assert codes(net, data(b"a", b"2")) == ["MANAGE_DATA_SUCCESS"]
