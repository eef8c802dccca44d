"""Results as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prizewire_contracts.codes import RefusalCode
from prizewire_settlement.competitions.domain.rules import score_from_text, score_to_text
from prizewire_settlement.errors import Reason
from prizewire_settlement.prizes.domain import PlayerResult
from prizewire_settlement.rounds.domain.acceptance import document_of, hash_of, results_of

MILLIONTHS = st.integers(-(10**17), 10**17)
RESULTS = st.lists(
    st.builds(
        PlayerResult,
        st.text(min_size=1, max_size=8).filter(lambda name: name.isprintable()),
        st.none() | st.integers(1, 99),
        st.dictionaries(st.sampled_from(["points", "kills"]), MILLIONTHS),
    ),
    max_size=6,
    unique_by=lambda result: result.player,
)


@pytest.mark.parametrize(
    ("text", "millionths"),
    [("8.5", 8_500_000), ("9", 9_000_000), ("-0.000001", -1), ("0", 0), ("-12.50", -12_500_000)],
)
def test_scores_are_millionths(text: str, millionths: int) -> None:
    """Scores are parsed without floats."""
    assert score_from_text(text) == millionths


@given(MILLIONTHS)
def test_scores_read_back_as_they_were_written(score: int) -> None:
    """A score keeps its value through text and back."""
    assert score_from_text(score_to_text(score)) == score


@given(RESULTS, st.randoms(use_true_random=False))
def test_a_document_does_not_depend_on_the_order_of_players(
    results: list[PlayerResult], order: object
) -> None:
    """The same result in another order is the same result."""
    shuffled = list(results)
    order.shuffle(shuffled)  # type: ignore[attr-defined] # Hypothesis hands out a Random
    assert document_of(shuffled) == document_of(results)
    assert hash_of(document_of(shuffled)) == hash_of(document_of(results))


@given(RESULTS)
def test_a_document_reads_back(results: list[PlayerResult]) -> None:
    """Nothing of a result is lost in its document."""
    assert sorted(results_of(document_of(results))) == sorted(results)


def test_another_result_has_another_hash() -> None:
    """A place, a player or a score that differs makes another result."""
    base = [PlayerResult("ann", 1, {"points": 1})]
    others = [
        [PlayerResult("ann", 2, {"points": 1})],
        [PlayerResult("bob", 1, {"points": 1})],
        [PlayerResult("ann", 1, {"points": 2})],
        [PlayerResult("ann", 1, {"kills": 1})],
        [PlayerResult("ann", None, {"points": 1})],
    ]
    hashes = {hash_of(document_of(result)) for result in (base, *others)}
    assert len(hashes) == len(others) + 1


def test_every_reason_is_a_refusal_code_of_the_contracts() -> None:
    """What settlement says in a refusal is what others can read."""
    assert {str(reason) for reason in Reason} <= {str(code) for code in RefusalCode}
