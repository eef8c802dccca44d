"""From an asset's minor units to Stellar's seven decimals, exactly."""

from prizewire_money import Amount
from prizewire_payouts.stellar.domain.errors import InexactAmount

STELLAR_DECIMALS = 7
"""Every amount on Stellar is an int64 of ten-millionths, whatever the asset (stellar-xdr: ``Int64 amount``)."""
STROOPS_MAX = 2**63 - 1


def stroops_of(*, amount: Amount) -> int:
    """The amount in ten-millionths.

    Raises:
        InexactAmount: it is not positive, has more than seven decimals that matter, or exceeds an int64.
    """
    if amount.minor <= 0:
        raise InexactAmount(f"{amount} {amount.asset.code} is no amount to pay")
    shift = STELLAR_DECIMALS - amount.asset.decimals
    if shift >= 0:
        stroops = amount.minor * int(10**shift)
    else:
        stroops, rest = divmod(amount.minor, int(10**-shift))
        if rest:
            raise InexactAmount(f"{amount} {amount.asset.code} has more than {STELLAR_DECIMALS} decimals")
    if stroops > STROOPS_MAX:
        raise InexactAmount(f"{amount} {amount.asset.code} exceeds what a Stellar amount can hold")
    return stroops


def stroops_text(*, stroops: int) -> str:
    """Ten-millionths as the decimal text that Stellar's libraries take."""
    whole, fraction = divmod(stroops, 10**STELLAR_DECIMALS)
    return f"{whole}.{fraction:07}"


def split_fee(*, fee: int, items: int) -> list[int]:
    """A transaction's fee in stroops, shared by its items; the parts sum to the whole."""
    share, rest = divmod(fee, items)
    return [share + (1 if index < rest else 0) for index in range(items)]
