"""The reviewed policy file and the configured assets."""

from pathlib import Path

import pytest

from prizewire_signer.adapters.policy_file import load_policy, parse_chain_assets
from prizewire_signer.domain.model import AssetLimits, ChainAsset, Policy
from prizewire_signer.errors import PolicyInvalid
from services.signer.tests.fakes import ASSETS, CHAIN_ASSETS, ISSUER


def load(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return load_policy(path, assets=ASSETS, chain_assets=CHAIN_ASSETS)


def test_file_says_everything(tmp_path: Path) -> None:
    """Each field of the file becomes the policy's, amounts in minor units; only listed assets are signed."""
    policy = load(
        tmp_path,
        """
        version: 1
        kinds: [payment]
        operations_max: 50
        fee_stroops_max: 100000
        validity_s_max: 120
        clock_skew_s_max: 5
        digests_per_slot_max: 3
        voids_per_slot_max: 4
        slots_per_payout_max: 2
        free_margin_s: 30
        assets:
          USDC: {payout_max: "5000.00", day_max: "20000", again_max: "700"}
          XLM: {payout_max: "1", day_max: "2"}
        """,
    )
    assert policy == Policy(
        kinds=frozenset({"payment"}),
        operations_max=50,
        fee_stroops_max=100_000,
        validity_s_max=120,
        clock_skew_s_max=5,
        digests_per_slot_max=3,
        voids_per_slot_max=4,
        slots_per_payout_max=2,
        free_margin_s=30,
        limits={
            "USDC": AssetLimits(payout_minor_max=500_000, day_minor_max=2_000_000, again_minor_max=70_000),
            # without again_max it is as much as payout_max
            "XLM": AssetLimits(
                payout_minor_max=10_000_000, day_minor_max=20_000_000, again_minor_max=10_000_000
            ),
        },
    )


def test_without_a_file_defaults_hold(tmp_path: Path) -> None:
    """An installation without a policy file has the default policy for its configured assets."""
    default = load_policy(None, assets=ASSETS, chain_assets=CHAIN_ASSETS)
    assert set(default.limits) == set(CHAIN_ASSETS)
    assert (default.operations_max, default.fee_stroops_max) == (100, 2_000_000)
    assert load(tmp_path, "version: 1") == default


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "a: [",
        "version: 2",
        "unknown: 1",
        "kinds: [fee_bump]",
        "kinds: [anything]",
        "operations_max: 101",
        "operations_max: 0",
        "free_margin_s: 0",
        "version: true",
        "fee_stroops_max: 1.5",
        "validity_s_max: -1",
        'assets: {USDC: {payout_max: "1"}}',
        "assets: {USDC: {payout_max: 1.5, day_max: 2}}",
        'assets: {USDC: {payout_max: "1.234", day_max: "2"}}',
        'assets: {EURC: {payout_max: "1", day_max: "2"}}',
    ],
)
def test_file_that_is_not_understood_whole_is_refused(tmp_path: Path, text: str) -> None:
    """A typing error must not become a looser policy: the signer does not start."""
    with pytest.raises(PolicyInvalid):
        load(tmp_path, text)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """Where the configured policy file is missing the signer does not start with defaults."""
    with pytest.raises(PolicyInvalid):
        load_policy(tmp_path / "none.yaml", assets=ASSETS, chain_assets=CHAIN_ASSETS)


def test_configured_assets() -> None:
    """Codes with their issuers, and the native asset by its name."""
    issuer = ISSUER.public_key
    expected = {"USDC": ChainAsset(code="USDC", issuer=issuer), "XLM": ChainAsset(code=None, issuer=None)}
    assert parse_chain_assets(f"USDC:{issuer}, XLM") == expected
    assert parse_chain_assets(f"USDC:{issuer},XLM:native") == expected
    for text in ("USDC", f"USDC:{issuer},USDC:{issuer}", "USDC:GABC", f"XLM:{issuer[:-1]}"):
        with pytest.raises(PolicyInvalid):
            parse_chain_assets(text)
