"""The destinations that an intent allows."""

import pytest

from prizewire_money import Amount
from prizewire_payouts.payouts.domain.model import AllowedWay, ways_to
from services.payouts.tests.fakes import make_method
from services.payouts.tests.rig import ADDRESS, EURC

MOST = Amount(EURC, 1_250)


@pytest.mark.parametrize(
    ("way", "fits"),
    [
        (AllowedWay(rail="stellar", destination=ADDRESS, commitment=None, memo="7", amount_max=MOST), True),
        (AllowedWay(rail="stellar", destination=ADDRESS, commitment=None, memo=None, amount_max=MOST), False),
        (AllowedWay(rail="stellar", destination=ADDRESS, commitment=None, memo="8", amount_max=MOST), False),
        (AllowedWay(rail="other", destination=ADDRESS, commitment=None, memo="7", amount_max=MOST), True),
        (AllowedWay(rail="stellar", destination=None, commitment=None, memo="7", amount_max=MOST), False),
    ],
)
def test_an_intent_allows_a_method_only_whole(way: AllowedWay, fits: bool) -> None:
    """Destination and memo must be the method's. The rail types are the configuration's matter."""
    assert bool(ways_to(allowed=[way], method=make_method(address=ADDRESS, memo="7"), amount=MOST)) is fits
    assert not ways_to(allowed=[], method=make_method(address=ADDRESS, memo="7"), amount=MOST)


def test_an_intent_allows_details_by_their_commitment() -> None:
    """Off-chain methods are named by their commitment, and by nothing else."""
    found = make_method(commitment="c" * 64)
    assert ways_to(
        allowed=[AllowedWay(rail="fake", destination=None, commitment="c" * 64, memo=None, amount_max=MOST)],
        method=found,
        amount=MOST,
    )
    for way in (
        AllowedWay(rail="fake", destination=None, commitment="d" * 64, memo=None, amount_max=MOST),
        AllowedWay(rail="fake", destination="c" * 64, commitment="c" * 64, memo=None, amount_max=MOST),
        AllowedWay(rail="fake", destination=None, commitment=None, memo=None, amount_max=MOST),
    ):
        assert not ways_to(allowed=[way], method=found, amount=MOST)


def test_a_way_bounds_the_amount() -> None:
    """A way that fits allows its most and not a cent more, and another way for the same method may allow more."""
    method, less, more = make_method(address=ADDRESS, memo="7"), Amount(EURC, 1_249), Amount(EURC, 1_251)
    ways = [
        AllowedWay(rail="stellar", destination=ADDRESS, commitment=None, memo="7", amount_max=most)
        for most in (less, MOST)
    ]
    assert not ways_to(allowed=ways[:1], method=method, amount=MOST)
    assert ways_to(allowed=ways, method=method, amount=MOST)
    assert not ways_to(allowed=ways, method=method, amount=more)
