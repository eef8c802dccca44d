"""What is proved of a transaction, and what never is."""

import pytest

from prizewire_payouts.stellar.domain.model import LedgerMoment, LookUp, LookUpStatus, TxResult
from prizewire_payouts.stellar.domain.proof import NodeReport, Verdict, applied, judge

SLOT = 7
MAX_TIME = 1_000


def missing(*, latest: int = 50, oldest: int = 1) -> LookUp:
    return LookUp(status=LookUpStatus.NOT_FOUND, latest=LedgerMoment(latest, MAX_TIME + 5), oldest=oldest)


def held(status: LookUpStatus, code: str) -> LookUp:
    return LookUp(
        status=status,
        latest=LedgerMoment(50, MAX_TIME),
        oldest=1,
        ledger=40,
        result=TxResult(100, code, None),
    )


def said(
    sequence: int | None, *look_ups: LookUp, close_time: int = MAX_TIME + 1, entry_ledger: int = 50
) -> NodeReport:
    return NodeReport(
        entry_ledger=entry_ledger, close_time=close_time, sequence=sequence, look_ups=look_ups or (missing(),)
    )


def verdict(*witnesses: NodeReport, since: int | None = 30) -> Verdict:
    return judge(sequence=SLOT, max_time=MAX_TIME, since=since, reports=witnesses).verdict


def test_dead_needs_a_ledger_past_max_time_with_the_slot_unconsumed() -> None:
    """Not found and past maxTime is death only with the account's sequence number below the slot's."""
    assert verdict(said(SLOT - 1)) is Verdict.DEAD
    assert verdict(said(SLOT - 1, close_time=MAX_TIME)) is Verdict.WAIT


def test_every_node_must_say_so() -> None:
    """Death needs the word of all nodes; one that lags behind keeps it open."""
    assert verdict(said(SLOT - 1), said(SLOT - 1)) is Verdict.DEAD
    assert verdict(said(SLOT - 1), said(SLOT - 1, close_time=MAX_TIME - 1)) is Verdict.WAIT
    assert verdict(said(SLOT - 1), said(SLOT)) is Verdict.REVIEW
    assert verdict() is Verdict.WAIT


def test_consumed_slot_without_a_known_digest_needs_a_person() -> None:
    """At or above the slot's sequence number and nothing found: never death, never a new slot."""
    assert verdict(said(SLOT)) is Verdict.REVIEW
    assert verdict(said(SLOT + 3)) is Verdict.REVIEW
    assert verdict(said(None)) is Verdict.REVIEW


def test_look_up_older_than_the_account_is_no_absence() -> None:
    """A node that looked the digest up before it saw the slot consumed has to be asked again."""
    assert verdict(said(SLOT, missing(latest=49), entry_ledger=50)) is Verdict.WAIT


def test_the_finding_names_a_short_memory() -> None:
    """A history that does not reach back to the send proves nothing, and the finding says so."""
    finding = judge(sequence=SLOT, max_time=MAX_TIME, since=30, reports=[said(SLOT, missing(oldest=31))])
    assert finding.verdict is Verdict.REVIEW
    assert "memory" in finding.why


def test_outcome_on_the_ledger_wins_over_all_else() -> None:
    """A success or a failure as a whole is an outcome, whatever time it is; the digest is named."""
    success = held(LookUpStatus.SUCCESS, "txSUCCESS")
    finding = judge(
        sequence=SLOT,
        max_time=MAX_TIME,
        since=30,
        reports=[said(SLOT, missing(), success, close_time=MAX_TIME - 50)],
    )
    assert (finding.verdict, finding.digest) == (Verdict.SUCCEEDED, 1)
    assert verdict(said(SLOT, held(LookUpStatus.FAILED, "txFAILED"))) is Verdict.FAILED


@pytest.mark.parametrize("code", ["txBAD_SEQ", "txTOO_LATE", "txBAD_AUTH", "txINSUFFICIENT_BALANCE"])
def test_failed_codes_that_may_leave_the_slot_are_no_outcome(code: str) -> None:
    """A FAILED transaction whose code does not say that it was applied proves nothing while the slot is free."""
    look_up = held(LookUpStatus.FAILED, code)
    assert applied(look_up, consumed=False) is None
    assert verdict(said(SLOT - 1, look_up, close_time=MAX_TIME)) is Verdict.WAIT


def test_bad_sequence_is_never_an_outcome() -> None:
    """txBAD_SEQ says that something else consumed the slot."""
    assert applied(held(LookUpStatus.FAILED, "txBAD_SEQ"), consumed=True) is None
    assert applied(held(LookUpStatus.FAILED, "txBAD_AUTH"), consumed=True) is Verdict.FAILED
    assert verdict(said(SLOT, held(LookUpStatus.FAILED, "txBAD_SEQ"))) is Verdict.REVIEW
