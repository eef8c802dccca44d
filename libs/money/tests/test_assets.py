"""Assets and their registry."""

from typing import Any

import pytest

from prizewire_money import Asset, AssetRegistry, InvalidAsset, UnknownAsset

DEFINITIONS: dict[str, dict[str, object]] = {
    "USDC": {"decimals": 7, "redeemable": True},
    "POINTS": {"decimals": 0, "redeemable": False},
}


@pytest.mark.parametrize("code", ["", "usdc", "1UP", "US-DC", "ABCDEFGHIJKLM", "USDC\n", "É", 5, None])
def test_refuses_a_bad_code(code: Any) -> None:
    """A code is one to twelve of A-Z and 0-9 with a letter first."""
    with pytest.raises(InvalidAsset) as refusal:
        Asset(code, 2, True)
    assert refusal.value.code == "invalid_asset"


@pytest.mark.parametrize("decimals", [-1, 10, 18, 19, 2.0, True, "2", None])
def test_refuses_bad_decimals(decimals: Any) -> None:
    """Decimals are an integer from 0 to 18; a bool is none."""
    with pytest.raises(InvalidAsset):
        Asset("USDC", decimals, True)


@pytest.mark.parametrize("redeemable", [1, 0, "true", None])
def test_refuses_a_redeemable_that_is_no_bool(redeemable: Any) -> None:
    """Whether an asset may leave the system is said with true or false, nothing that looks like it."""
    with pytest.raises(InvalidAsset):
        Asset("USDC", 7, redeemable)


def test_registry_is_a_mapping_in_order_of_codes() -> None:
    """Look-up, membership, iteration and length work, whatever the order in the file was."""
    registry = AssetRegistry.from_mapping(DEFINITIONS)
    assert registry["USDC"] == Asset("USDC", 7, True)
    assert "POINTS" in registry
    assert "EUR" not in registry
    assert list(registry) == ["POINTS", "USDC"]
    assert len(registry) == 2


def test_an_asset_that_is_unknown_is_an_error_with_its_code() -> None:
    """The message names the asset, and those that there are."""
    with pytest.raises(UnknownAsset) as refusal:
        AssetRegistry.from_mapping(DEFINITIONS)["EUR"]
    assert refusal.value.code == "asset_unknown"
    assert str(refusal.value) == "there is no asset EUR: use one of POINTS, USDC"


@pytest.mark.parametrize(
    "definition",
    [
        {"decimals": 2},
        {"decimals": 2, "redeemable": True, "issuer": "x"},
        {"decimals": "2", "redeemable": True},
        None,
    ],
)
def test_refuses_a_malformed_definition(definition: Any) -> None:
    """A definition has exactly its two fields, of the right types."""
    with pytest.raises(InvalidAsset):
        AssetRegistry.from_mapping({"EUR": definition})


def test_refuses_an_asset_under_another_name() -> None:
    """A registry never answers with another asset than the one asked for."""
    with pytest.raises(InvalidAsset):
        AssetRegistry({"EUR": Asset("USD", 2, True)})
