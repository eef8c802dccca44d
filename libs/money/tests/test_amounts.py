"""Amounts: what is read, what is refused, what comes out."""

import copy
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prizewire_money import DECIMALS_MAX, MINOR_MAX, Amount, Asset, AssetMismatch, InvalidAmount

USDC = Asset("USDC", 7, True)
EUR = Asset("EUR", 2, True)
POINTS = Asset("POINTS", 0, False)

assets = st.builds(Asset, st.just("ANY"), st.integers(0, DECIMALS_MAX), st.booleans())
minors = st.integers(-MINOR_MAX, MINOR_MAX)


@pytest.mark.parametrize(
    ("asset", "text", "minor", "wire"),
    [
        (EUR, "12.5", 1250, "12.50"),
        (EUR, "12", 1200, "12.00"),
        (EUR, "0", 0, "0.00"),
        (EUR, "0.01", 1, "0.01"),
        (POINTS, "7", 7, "7"),
        (USDC, "922337203685.4775807", MINOR_MAX, "922337203685.4775807"),
    ],
)
def test_reads_decimals_and_writes_exactly_the_assets(asset: Asset, text: str, minor: int, wire: str) -> None:
    """A decimal text becomes minor units, and comes back with exactly the asset's decimals."""
    amount = Amount.parse(asset, text)
    assert amount.minor == minor
    assert str(amount) == amount.to_wire() == wire


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1.5, "amount_not_a_string"),
        (1, "amount_not_a_string"),
        (True, "amount_not_a_string"),
        (None, "amount_not_a_string"),
        (Decimal("1.5"), "amount_not_a_string"),
        (b"1.5", "amount_not_a_string"),
        ("", "amount_malformed"),
        (".", "amount_malformed"),
        (".5", "amount_malformed"),
        ("5.", "amount_malformed"),
        ("1e3", "amount_malformed"),
        ("1E3", "amount_malformed"),
        ("+1", "amount_malformed"),
        (" 1", "amount_malformed"),
        ("1 ", "amount_malformed"),
        ("1\n", "amount_malformed"),
        ("1,5", "amount_malformed"),
        ("1_000", "amount_malformed"),
        ("NaN", "amount_malformed"),
        ("Infinity", "amount_malformed"),
        ("-Infinity", "amount_malformed"),
        ("007", "amount_malformed"),
        ("00", "amount_malformed"),
        ("--1", "amount_malformed"),
        ("0x10", "amount_malformed"),
        ("\u0661\u0662", "amount_malformed"),
        ("1\u0662", "amount_malformed"),
        ("1.\u0662", "amount_malformed"),
        ("1\u200b", "amount_malformed"),
        ("\uff11", "amount_malformed"),
        ("1.001", "amount_too_many_decimals"),
        ("1.000", "amount_too_many_decimals"),
        ("92233720368547758.08", "amount_overflow"),
        ("9" * 5000, "amount_overflow"),
        ("-1", "amount_negative"),
        ("-0", "amount_negative"),
    ],
)
def test_refuses_with_a_stable_code(value: object, code: str) -> None:
    """Whatever is no plain decimal of the asset is refused, each kind with its own code."""
    with pytest.raises(InvalidAmount) as refusal:
        Amount.parse(EUR, value)
    assert refusal.value.code == code


def test_reads_negative_amounts_only_when_asked() -> None:
    """A minus is read where the caller allows it, and zero never has one."""
    assert Amount.parse(EUR, "-1.5", allow_negative=True) == Amount(EUR, -150)
    with pytest.raises(InvalidAmount) as refusal:
        Amount.parse(EUR, "-0.00", allow_negative=True)
    assert refusal.value.code == "amount_malformed"


@pytest.mark.parametrize("minor", [1.0, True, "1", None, Decimal(1)])
def test_minor_units_are_integers_only(minor: object) -> None:
    """Neither a float nor a bool slips in through the constructor."""
    with pytest.raises(InvalidAmount) as refusal:
        Amount(EUR, minor)  # type: ignore[arg-type] # the wrong type is the point
    assert refusal.value.code == "amount_malformed"


def test_sums_and_differences_refuse_overflow() -> None:
    """Leaving the range of a signed bigint is an error in both directions, never a wrapped number."""
    top, one = Amount(EUR, MINOR_MAX), Amount(EUR, 1)
    for left, right in ((top, one), (-top, -one)):
        with pytest.raises(InvalidAmount) as refusal:
            left + right
        assert refusal.value.code == "amount_overflow"


def test_assets_do_not_mix() -> None:
    """Adding, subtracting and comparing need the same asset on both sides."""
    for attempt in (
        lambda: Amount(EUR, 1) + Amount(USDC, 1),
        lambda: Amount(EUR, 1) - Amount(USDC, 1),
        lambda: Amount(EUR, 1) < Amount(USDC, 1),
        lambda: Amount(EUR, 1) >= Amount(USDC, 1),
    ):
        with pytest.raises(AssetMismatch) as refusal:
            attempt()
        assert refusal.value.code == "asset_mismatch"
    assert Amount(EUR, 1) != Amount(USDC, 1)


def test_plain_numbers_do_not_mix_with_amounts() -> None:
    """An integer, float or bool beside an amount is a mistake of the caller."""
    for other in (1, 1.0, True):
        with pytest.raises(TypeError):
            Amount(EUR, 1) + other  # type: ignore[operator] # the wrong type is the point
        with pytest.raises(TypeError):
            assert Amount(EUR, 1) < other  # type: ignore[operator] # the wrong type is the point


def test_is_hashable_frozen_and_slotted() -> None:
    """Amounts are values: equal ones hash alike, none can be changed, and a copy equals its original."""
    assert len({Amount(EUR, 5), Amount.parse(EUR, "0.05")}) == 1
    with pytest.raises(AttributeError):
        Amount(EUR, 5).minor = 6  # type: ignore[misc] # frozen is the point
    assert not hasattr(Amount(EUR, 5), "__dict__")
    assert copy.deepcopy(Amount(EUR, 5)) == Amount(EUR, 5)
    assert Amount.zero(EUR) == Amount(EUR, 0)
    assert not Amount.zero(EUR)


@given(assets, minors)
def test_wire_text_reads_back_to_the_same_amount(asset: Asset, minor: int) -> None:
    """Writing and reading is the identity for every asset and every amount in range."""
    amount = Amount(asset, minor)
    assert Amount.parse(asset, amount.to_wire(), allow_negative=True) == amount
    assert Decimal(amount.to_wire()) == Decimal(minor).scaleb(-asset.decimals)


@given(st.one_of(st.text(max_size=30), st.text(alphabet="0123456789.-+eE ", max_size=30)), assets)
def test_any_text_is_read_exactly_or_refused(text: str, asset: Asset) -> None:
    """No text ends in another error than InvalidAmount, and what is read means what Decimal says it means."""
    try:
        amount = Amount.parse(asset, text, allow_negative=True)
    except InvalidAmount:
        return
    assert text.isascii()
    assert Decimal(text) == Decimal(amount.minor).scaleb(-asset.decimals)


@given(st.integers(-(2**61), 2**61), st.integers(-(2**61), 2**61))
def test_arithmetic_is_that_of_integers(left: int, right: int) -> None:
    """Sum, difference and order are those of the minor units."""
    a, b = Amount(EUR, left), Amount(EUR, right)
    assert (a + b).minor == left + right
    assert (a - b).minor == left - right
    assert (a < b, a <= b, a > b, a >= b) == (left < right, left <= right, left > right, left >= right)


def test_uses_the_standard_library_only() -> None:
    """The package imports nothing that would have to be installed."""
    import ast
    import sys

    import prizewire_money

    allowed = {*sys.stdlib_module_names, "prizewire_money"}
    for file in Path(prizewire_money.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert {name.partition(".")[0] for name in names} <= allowed, file
