"""Method types: what the details of a payout method of each type must be. ``installed`` finds them all."""

from prizewire_railkit.method_types.base import (
    MALFORMED,
    DetailsRefused,
    MethodDetails,
    MethodType,
    OnChain,
    Verification,
    mask,
    read_details,
    refusal,
)

__all__ = [
    "MALFORMED",
    "DetailsRefused",
    "MethodDetails",
    "MethodType",
    "OnChain",
    "Verification",
    "mask",
    "read_details",
    "refusal",
]
