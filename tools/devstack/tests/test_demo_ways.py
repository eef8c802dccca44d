"""The ways of payouts are read from the steps of a trace."""

from typing import Any

from prizewire_devstack.demo.ways import Way, ways_of
from prizewire_devstack.tracing import Step


def step(payout: str, kind: str, **detail: Any) -> Step:
    return Step(
        at="2026-11-20T12:00:00Z",
        service="payouts",
        kind=f"payout.{kind}",
        id=payout,
        summary="",
        detail=detail,
    )


def test_a_way_has_its_rail_its_unknown_outcome_and_its_approvers() -> None:
    """Steps of attempts and of other services are not counted; a payout that is not paid has no rail."""
    found = ways_of(
        [
            step("1", "requested", player="ada"),
            step("1", "held", code="above_automatic_limit"),
            step("1", "approval", approver="kim"),
            step("1", "approval", approver="lee"),
            step("1", "paid", rail="stellar"),
            step("2", "requested", player="bo"),
            step("2", "unknown", code="outcome_unknown"),
            step("2", "paid", rail="fake"),
            step("3", "requested", player="cy"),
            step("3", "unknown"),
            Step(at="", service="payouts", kind="attempt.paid", id="4", summary="", detail={}),
            Step(at="", service="rewards", kind="payout.requested", id="5", summary="", detail={}),
        ],
        wanted=["stellar", "fake"],
    )
    assert found.ways == (
        Way(
            payout_id="1",
            player="ada",
            rail="stellar",
            held_for=("above_automatic_limit",),
            approvers=("kim", "lee"),
        ),
        Way(payout_id="2", player="bo", rail="fake", was_unknown=True),
        Way(payout_id="3", player="cy", was_unknown=True),
    )
    assert found.by_rail == {"fake": 1, "stellar": 1}
    assert [one.player for one in found.by_proof] == ["bo"]
    assert [one.player for one in found.by_two] == ["ada"]
    assert found.complete
