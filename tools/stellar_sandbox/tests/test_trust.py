"""ChangeTrust, AllowTrust and SetTrustLineFlags: each result code, and the effect."""

from __future__ import annotations

import pytest
from stellar_sdk import Keypair, xdr

from prizewire_stellar_sandbox.core.model import (
    AUTH_CLAWBACK_ENABLED,
    AUTH_REQUIRED,
    AUTH_REVOCABLE,
    LINE_AUTHORIZED,
    LINE_CLAWBACK_ENABLED,
    LINE_MAINTAIN_LIABILITIES,
    Asset,
)
from tools.stellar_sandbox.tests.net import RESERVE, Net, key
from tools.stellar_sandbox.tests.ops import allow_trust, asset_arms, change_trust, line_flags, pay

ALICE, BOB, ISSUER = key("alice"), key("bob"), key("issuer")
USDC = Asset(b"USDC", ISSUER.raw_public_key())
LONG = Asset(b"PRIZE\0\0\0\0\0\0\0", ISSUER.raw_public_key())


def world(*, issuer_flags: int = 0) -> Net:
    net = Net()
    net.fund("issuer", flags=issuer_flags)
    net.fund("alice")
    net.fund("bob")
    return net


def codes(net: Net, source: Keypair, operation: xdr.Operation) -> list[str]:
    return net.outcome(net.tx(source, operation)).operations


def test_open_change_and_close() -> None:
    """A trustline counts as a subentry while it is open; its limit can be changed; limit zero closes it."""
    net = world()
    for asset in (USDC, LONG):
        assert codes(net, ALICE, change_trust(asset, 100)) == ["CHANGE_TRUST_SUCCESS"]
    assert net.account(ALICE).subentries == 2
    assert codes(net, ALICE, change_trust(USDC, 50)) == ["CHANGE_TRUST_SUCCESS"]
    line = net.line(ALICE, USDC)
    assert (line.balance, line.limit, line.flags) == (0, 50, LINE_AUTHORIZED)
    assert codes(net, ALICE, change_trust(USDC, 0)) == ["CHANGE_TRUST_SUCCESS"]
    assert net.account(ALICE).subentries == 1
    assert codes(net, ALICE, change_trust(USDC, 0)) == ["CHANGE_TRUST_INVALID_LIMIT"]


@pytest.mark.parametrize(
    "operation",
    [
        change_trust(USDC, -1),
        change_trust(None),
        change_trust(Asset(b"AB\0C", ISSUER.raw_public_key())),
        change_trust(Asset(b"SHRT\0\0\0\0\0\0\0\0", ISSUER.raw_public_key())),
        change_trust(Asset(b"ALI\0", ALICE.raw_public_key())),
    ],
)
def test_malformed(operation: xdr.Operation) -> None:
    """A negative limit, XLM, a bad code (also a short one in the long form), or one's own asset is malformed."""
    assert codes(world(), ALICE, operation) == ["CHANGE_TRUST_MALFORMED"]


def test_no_issuer() -> None:
    """Trust needs an issuer that exists, also to change a limit."""
    net = world()
    nobody = Asset(b"USDC", key("nobody").raw_public_key())
    assert codes(net, ALICE, change_trust(nobody)) == ["CHANGE_TRUST_NO_ISSUER"]
    net.trust(ALICE, nobody)
    assert codes(net, ALICE, change_trust(nobody, 5)) == ["CHANGE_TRUST_NO_ISSUER"]


def test_limit_below_balance() -> None:
    """The limit never falls below what is held, so a trustline with a balance cannot be closed."""
    net = world()
    net.trust(ALICE, USDC, balance=10)
    assert codes(net, ALICE, change_trust(USDC, 9)) == ["CHANGE_TRUST_INVALID_LIMIT"]
    assert codes(net, ALICE, change_trust(USDC, 0)) == ["CHANGE_TRUST_INVALID_LIMIT"]


def test_low_reserve() -> None:
    """A trustline needs one more base reserve."""
    net = world()
    net.alter(ALICE, balance=3 * RESERVE + 100 - 1)
    assert codes(net, ALICE, change_trust(USDC)) == ["CHANGE_TRUST_LOW_RESERVE"]
    net.alter(ALICE, balance=3 * RESERVE + 100)
    assert codes(net, ALICE, change_trust(USDC)) == ["CHANGE_TRUST_SUCCESS"]


def test_too_many_subentries() -> None:
    """An account has at most a thousand subentries."""
    net = world()
    net.alter(ALICE, subentries=1000, balance=10**12)
    assert codes(net, ALICE, change_trust(USDC)) == ["opTOO_MANY_SUBENTRIES"]


def test_issuer_that_requires_authorization() -> None:
    """A new trustline waits for the issuer; once authorized it takes payments."""
    net = world(issuer_flags=AUTH_REQUIRED | AUTH_REVOCABLE | AUTH_CLAWBACK_ENABLED)
    assert codes(net, ALICE, change_trust(USDC)) == ["CHANGE_TRUST_SUCCESS"]
    assert net.line(ALICE, USDC).flags == LINE_CLAWBACK_ENABLED
    assert codes(net, ISSUER, pay(ALICE, 5, asset=USDC)) == ["PAYMENT_NOT_AUTHORIZED"]
    assert codes(net, ISSUER, line_flags(ALICE, USDC, add=1)) == ["SET_TRUST_LINE_FLAGS_SUCCESS"]
    assert codes(net, ISSUER, pay(ALICE, 5, asset=USDC)) == ["PAYMENT_SUCCESS"]
    assert codes(net, ISSUER, allow_trust(ALICE, b"USDC", 0)) == ["ALLOW_TRUST_SUCCESS"]
    assert net.line(ALICE, USDC).flags == LINE_CLAWBACK_ENABLED
    assert codes(net, ALICE, pay(ISSUER, 5, asset=USDC)) == ["PAYMENT_SRC_NOT_AUTHORIZED"]
    assert codes(net, ISSUER, allow_trust(ALICE, b"USDC", 1)) == ["ALLOW_TRUST_SUCCESS"]


@pytest.mark.parametrize(
    "operation",
    [
        allow_trust(ISSUER, b"USDC", 1),
        allow_trust(ALICE, b"US\0C", 1),
        allow_trust(ALICE, b"USDC", 3),
    ],
)
def test_allow_trust_malformed(operation: xdr.Operation) -> None:
    """Oneself as the trustor, a bad code, or unknown flags are malformed."""
    assert codes(world(), ISSUER, operation) == ["ALLOW_TRUST_MALFORMED"]


def test_allow_trust_without_line() -> None:
    """There must be a trustline to authorize."""
    assert codes(world(), ISSUER, allow_trust(ALICE, b"USDC", 1)) == ["ALLOW_TRUST_NO_TRUST_LINE"]


@pytest.mark.parametrize("authorize", [0, LINE_MAINTAIN_LIABILITIES])
def test_allow_trust_cannot_revoke(authorize: int) -> None:
    """Authorization is taken back only by an issuer that is revocable."""
    net = world()
    net.trust(ALICE, USDC)
    assert codes(net, ISSUER, allow_trust(ALICE, b"USDC", authorize)) == ["ALLOW_TRUST_CANT_REVOKE"]


@pytest.mark.parametrize(
    "operation",
    [
        line_flags(ALICE, None, add=1),
        line_flags(ALICE, Asset(b"A\0C\0", ISSUER.raw_public_key()), add=1),
        line_flags(ALICE, Asset(b"USDC", BOB.raw_public_key()), add=1),
        line_flags(ISSUER, USDC, add=1),
        line_flags(ALICE, USDC, add=1, clear=1),
        line_flags(ALICE, USDC, add=4),
        line_flags(ALICE, USDC, add=3),
        line_flags(ALICE, USDC, clear=8),
    ],
)
def test_line_flags_malformed(operation: xdr.Operation) -> None:
    """XLM, a bad code, another's asset, oneself, overlapping or unknown flags are malformed."""
    assert codes(world(), ISSUER, operation) == ["SET_TRUST_LINE_FLAGS_MALFORMED"]


def test_line_flags_without_line() -> None:
    """There must be a trustline."""
    found = codes(world(), ISSUER, line_flags(ALICE, USDC, add=1))
    assert found == ["SET_TRUST_LINE_FLAGS_NO_TRUST_LINE"]


def test_line_flags_cannot_revoke() -> None:
    """Clearing an authorization needs a revocable issuer, unless it is replaced by a full one."""
    net = world()
    net.trust(ALICE, USDC)
    found = codes(net, ISSUER, line_flags(ALICE, USDC, clear=LINE_AUTHORIZED))
    assert found == ["SET_TRUST_LINE_FLAGS_CANT_REVOKE"]
    net.trust(BOB, USDC, flags=LINE_MAINTAIN_LIABILITIES)
    upgrade = line_flags(BOB, USDC, clear=LINE_MAINTAIN_LIABILITIES, add=LINE_AUTHORIZED)
    assert codes(net, ISSUER, upgrade) == ["SET_TRUST_LINE_FLAGS_SUCCESS"]


def test_line_flags_invalid_state() -> None:
    """A line is authorized fully or for its liabilities, not both."""
    net = world()
    net.trust(ALICE, USDC)
    found = codes(net, ISSUER, line_flags(ALICE, USDC, add=LINE_MAINTAIN_LIABILITIES))
    assert found == ["SET_TRUST_LINE_FLAGS_INVALID_STATE"]


def test_pool_shares_are_not_supported() -> None:
    """The sandbox has no liquidity pools and says so."""
    pool = xdr.LiquidityPoolParameters(
        xdr.LiquidityPoolType.LIQUIDITY_POOL_CONSTANT_PRODUCT,
        constant_product=xdr.LiquidityPoolConstantProductParameters(
            xdr.Asset(xdr.AssetType.ASSET_TYPE_NATIVE), xdr.Asset(**asset_arms(USDC)), xdr.Int32(30)
        ),
    )
    operation = change_trust(USDC)
    assert operation.body.change_trust_op is not None
    operation.body.change_trust_op.line = xdr.ChangeTrustAsset(
        xdr.AssetType.ASSET_TYPE_POOL_SHARE, liquidity_pool=pool
    )
    assert codes(world(), ALICE, operation) == ["opNOT_SUPPORTED"]
