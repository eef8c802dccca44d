"""Assets, exact amounts, rounding and prize arithmetic. Standard library only."""

from prizewire_money.amounts import MINOR_MAX, Amount
from prizewire_money.assets import DECIMALS_MAX, Asset, AssetRegistry
from prizewire_money.errors import (
    AmountCode,
    AssetMismatch,
    InvalidAllocation,
    InvalidAmount,
    InvalidAsset,
    InvalidBasisPoints,
    MoneyError,
    UnknownAsset,
)
from prizewire_money.shares import BPS_WHOLE, FeeSplit, allocate, basis_points, split_fees

__all__ = [
    "BPS_WHOLE",
    "DECIMALS_MAX",
    "MINOR_MAX",
    "Amount",
    "AmountCode",
    "Asset",
    "AssetMismatch",
    "AssetRegistry",
    "FeeSplit",
    "InvalidAllocation",
    "InvalidAmount",
    "InvalidAsset",
    "InvalidBasisPoints",
    "MoneyError",
    "UnknownAsset",
    "allocate",
    "basis_points",
    "split_fees",
]
