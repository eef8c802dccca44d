"""States, amounts, fees and result codes of the Stellar execution."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stellar_sdk import xdr

from prizewire_contracts.codes import PAYOUT_DECISIONS, PayoutCode, RetryDecision
from prizewire_money import Amount, Asset
from prizewire_payouts.stellar.domain.model import OperationResult, split_fee, stroops_of, stroops_text
from prizewire_payouts.stellar.domain.states import (
    ATTEMPT_EDGES,
    ATTEMPT_START,
    HOLDING,
    IllegalStep,
    InexactAmount,
    TransactionState,
    check_step,
)
from prizewire_payouts.stellar.handlers.building import fee_of
from prizewire_payouts.stellar.handlers.codes import NOT_RUN, PAYMENT_CODES, failed_operations

_S = TransactionState


def test_every_state_is_reached_and_only_ends_stay() -> None:
    """From the lease every state can be reached; the ends have no way out, all others have one."""
    reached = set(ATTEMPT_START)
    while True:
        more = {new for old, new in ATTEMPT_EDGES if old in reached} - reached
        if not more:
            break
        reached |= more
    assert reached == set(TransactionState)
    ends = {state for state in TransactionState if state not in {old for old, _ in ATTEMPT_EDGES}}
    assert ends == {_S.RELEASED, _S.REFUSED, _S.SUCCEEDED, _S.FAILED, _S.SUPERSEDED}
    assert not HOLDING & ends


def test_nothing_built_ends_without_the_ledger_or_a_refusal() -> None:
    """Once built, an attempt leaves its channel only by the signer's refusal, the ledger's result, or proof that it can never apply."""
    free = {new for old, new in ATTEMPT_EDGES if old in HOLDING - {_S.LEASED} and new not in HOLDING}
    assert free == {_S.REFUSED, _S.SUCCEEDED, _S.FAILED, _S.DEAD}
    assert {old for old, new in ATTEMPT_EDGES if new is _S.DEAD} == {_S.CHECKING}
    assert {old for old, new in ATTEMPT_EDGES if new is _S.REFUSED} == {_S.BUILT}


def test_edge_outside_the_table_is_refused() -> None:
    """A step that the table does not have raises."""
    with pytest.raises(IllegalStep):
        check_step(old=_S.SENT, new=_S.DEAD)


@pytest.mark.parametrize(
    ("decimals", "minor", "stroops"), [(2, 1, 100_000), (7, 1, 1), (0, 3, 30_000_000), (9, 500, 5)]
)
def test_minor_units_become_stroops_exactly(decimals: int, minor: int, stroops: int) -> None:
    """Seven decimals hold the amount exactly, or it is refused."""
    asset = Asset("TOKEN", decimals, redeemable=True)
    assert stroops_of(amount=Amount(asset, minor)) == stroops


@pytest.mark.parametrize(("decimals", "minor"), [(9, 501), (2, 0), (2, -5), (0, 2**63 // 10**7 + 1)])
def test_inexact_amounts_are_refused(decimals: int, minor: int) -> None:
    """Rounding, nothing, less than nothing, and more than an int64 of stroops are no payments."""
    with pytest.raises(InexactAmount):
        stroops_of(amount=Amount(Asset("TOKEN", decimals, redeemable=True), minor))


@given(stroops=st.integers(1, 2**63 - 1))
def test_text_for_the_library_is_exact(stroops: int) -> None:
    """The decimal text names the very stroops."""
    whole, _, fraction = stroops_text(stroops=stroops).partition(".")
    assert len(fraction) == 7
    assert int(whole + fraction) == stroops


@given(fee=st.integers(0, 2_000_000), items=st.integers(1, 100))
def test_shares_of_a_fee_sum_to_it(fee: int, items: int) -> None:
    """No stroop of the fee is lost or made."""
    shares = split_fee(fee=fee, items=items)
    assert len(shares) == items
    assert sum(shares) == fee
    assert max(shares) - min(shares) <= 1


def test_fee_keeps_floor_and_ceiling() -> None:
    """Never below the base fee for each operation, never above the ceiling for the whole."""
    assert fee_of(operations=100, bid=0, fee_max=2_000_000) == 10_000
    assert fee_of(operations=100, bid=500, fee_max=2_000_000) == 50_000
    assert fee_of(operations=100, bid=10**9, fee_max=2_000_000) == 2_000_000


def test_every_payment_result_has_a_code() -> None:
    """The table covers the protocol's payment results, and each code has a decision that is not to look again."""
    names = {one.name for one in xdr.PaymentResultCode} - {"PAYMENT_SUCCESS"}
    assert set(PAYMENT_CODES) == names
    assert {one.name for one in xdr.OperationResultCode} - {"opINNER"} == NOT_RUN
    for code in [*PAYMENT_CODES.values(), PayoutCode.TX_FAILED]:
        assert PAYOUT_DECISIONS[code] is not RetryDecision.LOOK_UP


def test_only_the_guilty_are_failed_operationsd() -> None:
    """Successes, operations that were not run, and our own faults leave their items free."""
    results = [
        OperationResult("opINNER", "PAYMENT_SUCCESS"),
        OperationResult("opINNER", "PAYMENT_NO_TRUST"),
        OperationResult("opBAD_AUTH", None),
        OperationResult("opINNER", "PAYMENT_UNDERFUNDED"),
        OperationResult("opINNER", "PAYMENT_SOMETHING_NEW"),
    ]
    assert failed_operations(results) == {
        1: PayoutCode.NO_TRUSTLINE,
        3: PayoutCode.TREASURY_UNDERFUNDED,
        4: PayoutCode.TX_FAILED,
    }
