"""The destinations that an intent allows."""

import pytest

from prizewire_payouts.payouts.domain.model import AllowedDestination, allows
from services.payouts.tests.fakes import make_method
from services.payouts.tests.rig import ADDRESS


@pytest.mark.parametrize(
    ("way", "fits"),
    [
        (AllowedDestination(rail="stellar", destination=ADDRESS, commitment=None, memo="7"), True),
        (AllowedDestination(rail="stellar", destination=ADDRESS, commitment=None, memo=None), False),
        (AllowedDestination(rail="stellar", destination=ADDRESS, commitment=None, memo="8"), False),
        (AllowedDestination(rail="fake", destination=ADDRESS, commitment=None, memo="7"), False),
        (AllowedDestination(rail="stellar", destination=None, commitment=None, memo="7"), False),
    ],
)
def test_an_intent_allows_a_method_only_whole(way: AllowedDestination, fits: bool) -> None:
    """Rail, destination and memo must all be the method's."""
    assert allows(allowed=[way], method=make_method(address=ADDRESS, memo="7")) is fits
    assert not allows(allowed=[], method=make_method(address=ADDRESS, memo="7"))


def test_an_intent_allows_details_by_their_commitment() -> None:
    """Off-chain methods are named by their commitment, and by nothing else."""
    found = make_method(commitment="c" * 64)
    assert allows(
        allowed=[AllowedDestination(rail="fake", destination=None, commitment="c" * 64, memo=None)],
        method=found,
    )
    for way in (
        AllowedDestination(rail="fake", destination=None, commitment="d" * 64, memo=None),
        AllowedDestination(rail="fake", destination="c" * 64, commitment="c" * 64, memo=None),
        AllowedDestination(rail="fake", destination=None, commitment=None, memo=None),
    ):
        assert not allows(allowed=[way], method=found)
