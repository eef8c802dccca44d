"""What evidence is worth beside what the ledger shows, and who may give it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_payouts.stellar.domain.model import (
    NATIVE,
    Kind,
    LedgerMoment,
    LookUp,
    LookUpStatus,
    PaymentFacts,
    TxContents,
    TxResult,
)
from prizewire_payouts.stellar.domain.review import (
    EVIDENCE_EDGES,
    EVIDENCE_START,
    Digest,
    Evidence,
    EvidenceState,
    Held,
    LedgerReport,
    Review,
    ReviewOutcome,
    Settlement,
    check_confirmer,
    check_filer,
    evaluate_evidence,
)
from prizewire_payouts.stellar.domain.states import ReviewRefused, TransactionState

NOW = datetime(2026, 11, 20, tzinfo=UTC)
TREASURY, CHANNEL, OTHER = "GTREASURY", "GCHANNEL", "GOTHER"
MINE, DEAD, VOID, FOREIGN = ("1" * 64, "2" * 64, "3" * 64, "f" * 64)
ONE, TWO, THREE = UUID(int=1), UUID(int=2), UUID(int=3)
MAX_TIME = 1_000
_O = ReviewOutcome


def fact(number: int) -> PaymentFacts:
    return PaymentFacts(source=TREASURY, destination=f"GP{number}", asset=NATIVE, stroops=number)


def held(number: int) -> Held:
    return Held(
        provider_key=UUID(int=number),
        payout_id=uuid4(),
        asset="XLM",
        amount="1",
        facts=fact(number),
        memo="seven",
        player=f"player {number}",
        filed_by="rewards",
    )


REVIEW = Review(
    attempt_id=9,
    state=TransactionState.REVIEW,
    kind=Kind.PAYMENT,
    account=CHANNEL,
    sequence=5,
    slot_id=uuid4(),
    tx_hash=MINE,
    since=NOW,
    why="the slot is consumed",
    digests=(
        # the dead revision also held a payment that was taken out since
        Digest(DEAD, Kind.PAYMENT, TransactionState.DEAD, MAX_TIME - 90, {ONE: 0, THREE: 1}),
        Digest(VOID, Kind.VOID_SLOT, TransactionState.DEAD, MAX_TIME - 50, {}),
        Digest(MINE, Kind.PAYMENT, TransactionState.REVIEW, MAX_TIME, {ONE: 0, TWO: 1}),
    ),
    held=(held(1), held(2)),
    evidence=(),
)


def look_up(status: LookUpStatus, **changes: Any) -> LookUp:
    success = status is LookUpStatus.SUCCESS
    known: dict[str, Any] = {
        "status": status,
        "latest": LedgerMoment(100, MAX_TIME + 100),
        "oldest": 1,
        "ledger": 42,
        "result": TxResult(200, "txSUCCESS" if success else "txFAILED", None),
        "contents": TxContents(source=CHANNEL, sequence=5, memo="seven", payments=(fact(1), fact(2))),
    }
    return LookUp(**(known | changes))


NOT_FOUND = LookUp(status=LookUpStatus.NOT_FOUND, latest=LedgerMoment(100, MAX_TIME + 100), oldest=90)


def word(found: Mapping[str, LookUp] | None = None, **changes: Any) -> LedgerReport:
    known: dict[str, Any] = {
        "sequence": 5,
        "ledger": 100,
        "close_time": MAX_TIME + 61,
        "look_ups": {name: [NOT_FOUND] for name in (MINE, DEAD, VOID, FOREIGN)}
        | {name: [one] for name, one in (found or {}).items()},
    }
    return LedgerReport(**(known | changes))


def settle(outcome: ReviewOutcome, tx_hash: str | None, said: LedgerReport, **changes: Any) -> Settlement:
    ledger = changes.pop("ledger", 42 if outcome is _O.SUCCEEDED else None)
    review = replace(REVIEW, **changes)
    return evaluate_evidence(
        review=review, outcome=outcome, tx_hash=tx_hash, ledger=ledger, report=said, after_s=60
    )


def refused(outcome: ReviewOutcome, tx_hash: str | None, said: LedgerReport, **changes: Any) -> str:
    with pytest.raises(ReviewRefused) as caught:
        settle(outcome, tx_hash, said, **changes)
    return caught.value.code


def test_evidence_leaves_filed_once() -> None:
    """What is filed is confirmed or refused, and that is the end of it."""
    assert {EvidenceState.FILED} == EVIDENCE_START
    assert {old for old, _ in EVIDENCE_EDGES} == {EvidenceState.FILED}
    assert {new for _, new in EVIDENCE_EDGES} == {EvidenceState.CONFIRMED, EvidenceState.REFUSED}


def test_two_persons_decide_if_no_node_has_the_transaction() -> None:
    """The nodes' memory is too short: the transaction in review paid what it holds."""
    found = settle(_O.SUCCEEDED, MINE, word())
    assert (found.result, found.tx_hash, found.ledger, found.seen) == ("succeeded", MINE, 42, False)
    assert found.paid == {ONE: 0, TWO: 1}
    lost = settle(_O.SUCCEEDED, FOREIGN, word())
    assert (lost.tx_hash, lost.paid) == (FOREIGN, {ONE: 0, TWO: 1})


def test_the_outcome_is_read_from_the_ledger() -> None:
    """Ledger and fee come from the ledger, whatever the evidence leaves open."""
    found = settle(_O.SUCCEEDED, MINE, word({MINE: look_up(LookUpStatus.SUCCESS)}))
    assert (found.ledger, found.fee_charged, found.seen, found.paid) == (42, 200, True, {ONE: 0, TWO: 1})


def test_a_failure_without_a_known_cause() -> None:
    """A foreign or unknown transaction consumed the slot: no stored digest did."""
    assert settle(_O.FAILED, None, word()).result == "expired"
    named = settle(_O.FAILED, FOREIGN, word())
    assert (named.result, named.tx_hash, named.ledger, named.paid) == ("expired", FOREIGN, 100, {})
    shown = look_up(
        LookUpStatus.SUCCESS,
        contents=TxContents(source=CHANNEL, sequence=5, memo=None, payments=(None,)),
    )
    assert settle(_O.FAILED, FOREIGN, word({FOREIGN: shown})).ledger == 42


def test_failure_of_a_digest_of_ours() -> None:
    """A stored digest that failed on the ledger is reported to the signer by its hash."""
    found = settle(_O.FAILED, MINE, word({MINE: look_up(LookUpStatus.FAILED)}))
    assert (found.result, found.tx_hash, found.seen, found.paid) == ("failed", MINE, True, {})


@pytest.mark.parametrize("outcome", [_O.SUCCEEDED, _O.FAILED])
@pytest.mark.parametrize(
    ("digest", "status"),
    [(MINE, LookUpStatus.SUCCESS), (DEAD, LookUpStatus.SUCCESS), (MINE, LookUpStatus.FAILED)],
)
def test_ledger_is_above_two_persons(outcome: ReviewOutcome, digest: str, status: LookUpStatus) -> None:
    """Evidence is refused while the ledger shows another outcome of one of our digests."""
    shown = word({digest: look_up(status)})
    claimed = DEAD if digest == MINE else MINE
    assert refused(outcome, claimed, shown) == "ledger_contradicts"
    if outcome is _O.FAILED:
        assert refused(outcome, None, shown) == "ledger_contradicts"
    same = (outcome is _O.SUCCEEDED) is (status is LookUpStatus.SUCCESS)
    if not same:
        assert refused(outcome, digest, shown) == "ledger_contradicts"


def test_digest_that_was_proved_dead_and_yet_applied() -> None:
    """Its payments that still wait are paid, those it left out are not, those that ended before are named."""
    found = settle(_O.SUCCEEDED, DEAD, word({DEAD: look_up(LookUpStatus.SUCCESS)}))
    assert (found.tx_hash, found.paid, found.unsettled) == (DEAD, {ONE: 0}, (THREE,))


def test_void_that_was_applied_frees_all() -> None:
    """A void that consumed the slot made none of the payments."""
    found = settle(
        _O.SUCCEEDED,
        VOID,
        word({VOID: look_up(LookUpStatus.SUCCESS)}),
    )
    assert (found.result, found.paid) == ("succeeded", {})


def test_a_lost_transaction_is_recognized_by_its_payments() -> None:
    """A transaction whose hash we do not have is matched by its operations, in whatever order they stand."""
    turned = TxContents(source=CHANNEL, sequence=5, memo="seven", payments=(fact(2), fact(1)))
    found = settle(_O.SUCCEEDED, FOREIGN, word({FOREIGN: look_up(LookUpStatus.SUCCESS, contents=turned)}))
    assert found.paid == {TWO: 0, ONE: 1}
    part = TxContents(source=CHANNEL, sequence=5, memo="seven", payments=(fact(2),))
    some = settle(_O.SUCCEEDED, FOREIGN, word({FOREIGN: look_up(LookUpStatus.SUCCESS, contents=part)}))
    assert some.paid == {TWO: 0}


@pytest.mark.parametrize(
    ("contents", "code"),
    [
        ({"payments": (fact(1), fact(3))}, "facts_mismatch"),
        ({"payments": (fact(1), fact(1))}, "facts_mismatch"),
        ({"payments": (fact(1), None)}, "facts_mismatch"),
        ({"payments": ()}, "facts_mismatch"),
        ({"payments": (replace(fact(1), source=OTHER),)}, "facts_mismatch"),
        ({"payments": (replace(fact(1), stroops=2),)}, "facts_mismatch"),
        ({"memo": "eight"}, "facts_mismatch"),
        ({"memo": None}, "facts_mismatch"),
        ({"sequence": 6}, "evidence_not_of_slot"),
        ({"source": OTHER}, "evidence_not_of_slot"),
    ],
)
def test_transaction_that_did_something_else(contents: dict[str, Any], code: str) -> None:
    """Another amount, recipient, memo, source or slot is no evidence for these payments."""
    known = {"source": CHANNEL, "sequence": 5, "memo": "seven", "payments": (fact(1), fact(2))}
    shown = look_up(LookUpStatus.SUCCESS, contents=TxContents(**(known | contents)))
    assert refused(_O.SUCCEEDED, FOREIGN, word({FOREIGN: shown})) == code


def test_foreign_failure_is_no_success_and_a_payment_no_failure() -> None:
    """A failed transaction made no payment; a transaction with a payment of these payouts cannot be filed as failed."""
    failed = word({FOREIGN: look_up(LookUpStatus.FAILED)})
    assert refused(_O.SUCCEEDED, FOREIGN, failed) == "ledger_contradicts"
    assert settle(_O.FAILED, FOREIGN, failed).result == "expired"
    paid = word({FOREIGN: look_up(LookUpStatus.SUCCESS)})
    assert refused(_O.FAILED, FOREIGN, paid) == "facts_mismatch"


def test_ledger_number_must_fit() -> None:
    """A transaction that stands in another ledger than was filed is not the one that was found."""
    assert refused(_O.SUCCEEDED, MINE, word({MINE: look_up(LookUpStatus.SUCCESS)}), ledger=43) == (
        "ledger_contradicts"
    )


def test_slot_must_be_consumed_and_over() -> None:
    """Before the sequence number is used up, or while a digest may still apply, nobody decides."""
    assert refused(_O.FAILED, None, word(sequence=4)) == "slot_not_consumed"
    assert refused(_O.FAILED, None, word(close_time=MAX_TIME + 60)) == "review_too_early"
    assert settle(_O.FAILED, None, word(sequence=None)).result == "expired"
    early = evaluate_evidence(
        review=REVIEW, outcome=_O.FAILED, tx_hash=None, ledger=None, report=word(close_time=0), after_s=None
    )
    assert early.result == "expired", "evidence may be filed before it can be confirmed"


def filed(**changes: Any) -> Evidence:
    known: dict[str, Any] = {
        "evidence_id": UUID(int=7),
        "state": EvidenceState.FILED,
        "outcome": _O.FAILED,
        "tx_hash": FOREIGN,
        "ledger": None,
        "found": "archive",
        "reason": "why",
        "filed_by": "olga",
        "filed_at": NOW,
    }
    return Evidence(**(known | changes))


def confirmation(review: Review, **changes: Any) -> str | None:
    known: dict[str, Any] = {
        "evidence_id": UUID(int=7),
        "by": "paul",
        "outcome": _O.FAILED,
        "tx_hash": FOREIGN,
    }
    try:
        check_confirmer(review=review, **(known | changes))
    except ReviewRefused as error:
        return error.code
    return None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"by": "olga"}, "same_person"),
        ({"by": "player 1"}, "decider_is_party"),
        ({"by": "rewards"}, "decider_is_party"),
        ({"outcome": _O.SUCCEEDED}, "evidence_contradicted"),
        ({"tx_hash": MINE}, "evidence_contradicted"),
        ({"tx_hash": None}, "evidence_contradicted"),
        ({"evidence_id": UUID(int=8)}, "evidence_not_found"),
    ],
)
def test_second_person(changes: dict[str, Any], code: str | None) -> None:
    """Another person than the first, no party, who says the very same of the very same evidence."""
    assert confirmation(replace(REVIEW, evidence=(filed(),)), **changes) == code


@pytest.mark.parametrize("state", [EvidenceState.CONFIRMED, EvidenceState.REFUSED])
def test_decided_evidence_is_stale(state: EvidenceState) -> None:
    """Evidence is decided once."""
    assert confirmation(replace(REVIEW, evidence=(filed(state=state),))) == "evidence_not_open"


def test_a_transaction_after_its_review_is_decided() -> None:
    """Neither filing nor confirming touches what is no longer in review."""
    over = replace(REVIEW, state=TransactionState.FAILED, evidence=(filed(),))
    assert confirmation(over) == "not_in_review"
    with pytest.raises(ReviewRefused, match="nothing to decide"):
        check_filer(review=over, by="paul")


def test_one_piece_of_evidence_at_a_time() -> None:
    """While evidence waits no other is filed, and no party files any."""
    with pytest.raises(ReviewRefused) as caught:
        check_filer(review=replace(REVIEW, evidence=(filed(),)), by="paul")
    assert caught.value.code == "evidence_open"
    with pytest.raises(ReviewRefused) as party:
        check_filer(review=REVIEW, by="player 2")
    assert party.value.code == "decider_is_party"
    check_filer(review=REVIEW, by="paul")
