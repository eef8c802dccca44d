"""What follows on a slot that was not consumed, and what the signer's refusals mean."""

from datetime import timedelta

import pytest

from prizewire_contracts.codes import RetryDecision, decision_for
from prizewire_payouts.stellar.domain.states import NextAction, SlotUse, next_action, void_pause
from prizewire_payouts.stellar.handlers.codes import ITEM_CODES, SIGNER_WAITS, code_of

_O = NextAction


@pytest.mark.parametrize(
    ("held", "digests", "voids", "said", "expected"),
    [
        # nothing was ever signed there: the payments that are left are built again, or the slot waits for others
        (3, 0, 0, "", _O.REBUILD),
        (0, 0, 0, "", _O.IDLE),
        # something may have been signed: build again up to the cap, and void where nobody is left to be paid
        (3, 1, 0, "", _O.REBUILD),
        (3, 3, 0, "", _O.REBUILD),
        (3, 4, 0, "", _O.VOID),
        (3, 9, 0, "", _O.VOID),
        (0, 1, 0, "", _O.VOID),
        # once begun, voiding is seen through
        (3, 1, 1, "", _O.VOID),
        (0, 1, 7, "", _O.VOID),
        # the signer's cap may be lower than ours
        (3, 1, 0, "full", _O.VOID),
        (3, 0, 0, "full", _O.VOID),
        # nothing is bound on a slot where the signer never signed
        (3, 4, 1, "unsigned", _O.REBUILD),
        (0, 4, 1, "unsigned", _O.IDLE),
    ],
)
def test_the_next_step_of_a_slot(
    held: int, digests: int, voids: int, said: str, expected: NextAction
) -> None:
    """Each row of the table."""
    use = SlotUse(held=held, digests=digests, voids=voids, full=said == "full", unsigned=said == "unsigned")
    assert next_action(use=use, digests_max=4) is expected


def test_a_slot_that_may_bind_payouts_never_lies_idle() -> None:
    """Wherever something may have been signed, either payments or a void consume the slot."""
    for held in (0, 1):
        for digests in range(1, 6):
            for voids in (0, 1):
                for full in (False, True):
                    use = SlotUse(held=held, digests=digests, voids=voids, full=full)
                    assert next_action(use=use, digests_max=4) is not _O.IDLE


def test_voids_are_tried_at_once_and_then_ever_more_rarely() -> None:
    """The first void goes at once; later ones wait, doubling up to an hour; thirty outlast a day."""
    pauses = [void_pause(voids=number) for number in range(32)]
    assert pauses[0] == timedelta()
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(hours=1)
    assert sum(pauses, timedelta()) > timedelta(hours=20)


def test_refusals_without_a_faulty_payout_end_no_payout() -> None:
    """A limit of the day is waited for and an expired intent held; every other refusal gives the payout up."""
    assert decision_for(code_of("day_over_limit")) is RetryDecision.WAIT
    assert decision_for(code_of("intent_expired")) is RetryDecision.HOLD
    assert decision_for(code_of("amount_mismatch")) is RetryDecision.GIVE_UP
    assert not set(ITEM_CODES) & SIGNER_WAITS
