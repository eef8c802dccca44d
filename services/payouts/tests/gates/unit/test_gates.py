"""The gates as pure functions."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from prizewire_money import Amount
from prizewire_payouts.gates.domain import GATES, Facts, GateCode, GateLimits, hold_of, judge, lacks_screening
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.players.domain import PlayerFacts, TaxState
from prizewire_payouts.screening.domain import Screening, Verdict
from services.payouts.tests.rig import ASSETS, EURC, START

PAYOUT = Payout(
    payout_id=UUID(int=1),
    correlation_id="corr-1",
    causation_id="",
    player="ana",
    campaign=None,
    competition=None,
    source=None,
    amount=Amount(EURC, 10_000),
    method_id=UUID(int=2),
    method_version=1,
    method_type="fake",
    rail_type="fake",
    address=None,
    memo=None,
    filed_by="rewards",
    reward_ids=(),
    intent={},
    intent_signature="",
    intent_expires_at=START + timedelta(hours=1),
    needs_closure=False,
    requested_at=START,
    changed_at=START,
)
LIMITS = GateLimits(
    new_destination_above={"EURC": Amount(EURC, 9_999)},
    destination_new_for=timedelta(hours=72),
    tax_above={"EURC": Amount(EURC, 60_000)},
    withdrawals_max=3,
    withdrawals_sum={"EURC": Amount(EURC, 50_000)},
    withdrawals_within=timedelta(hours=24),
    destination_max=5,
    destination_sum={"EURC": Amount(EURC, 80_000)},
    screened_within=timedelta(hours=24),
)
KNOWN = Facts(destination_since=START - timedelta(days=30))


def _screening(verdict: Verdict, *, hours: int = 0) -> Screening:
    """An answer of the screening service, so many hours ago."""
    at = START - timedelta(hours=hours)
    return Screening(payout_id=PAYOUT.payout_id, verdict=verdict, reference="R-1", reason=None, at=at)


def _tax(state: TaxState) -> PlayerFacts:
    """A player with this tax form."""
    return PlayerFacts(player="ana", tax_state=state, tax_reported_at=START)


def codes(facts: Facts, *, payout: Payout = PAYOUT, limits: GateLimits = LIMITS) -> list[str]:
    return [str(one.gate) for one in judge(payout=payout, facts=facts, limits=limits, now=START)]


@pytest.mark.parametrize(
    ("facts", "payout", "wanted"),
    [
        ({}, {}, []),
        ({"destination_since": START - timedelta(hours=72)}, {}, []),
        ({"destination_since": START - timedelta(hours=71)}, {}, ["new_destination"]),
        ({"destination_since": None}, {"method_id": None}, ["new_destination"]),
        ({"destination_since": START}, {"amount": Amount(EURC, 9_999)}, []),
        ({"destination_since": START}, {"amount": Amount(ASSETS["XLM"], 10**9)}, []),
        ({"destination_denied": True}, {}, ["destination_denied"]),
        ({"payouts_to": 4}, {}, []),
        ({"payouts_to": 5}, {}, ["destination_frequent"]),
        ({"payouts_to": 5}, {"player": None}, ["destination_frequent"]),
        ({"payouts_to": 1, "paid_to": Amount(EURC, 70_000)}, {}, []),
        ({"payouts_to": 1, "paid_to": Amount(EURC, 70_001)}, {}, ["destination_frequent"]),
        ({"screening": _screening(Verdict.CLEAR)}, {}, []),
        ({"screening": _screening(Verdict.HIT)}, {}, ["screening_hit"]),
        ({"withdrawals": 2}, {}, []),
        ({"withdrawals": 3}, {}, ["withdrawals_frequent"]),
        ({"withdrawals": 3}, {"player": None}, []),
        ({"withdrawals": 1, "withdrawn": Amount(EURC, 40_000)}, {}, []),
        ({"withdrawals": 1, "withdrawn": Amount(EURC, 40_001)}, {}, ["withdrawals_frequent"]),
        ({"before_in_year": Amount(EURC, 50_000)}, {}, []),
        ({"before_in_year": Amount(EURC, 50_001)}, {}, ["tax_form_missing"]),
        ({"before_in_year": Amount(EURC, 50_001)}, {"player": None}, []),
        ({"before_in_year": Amount(EURC, 50_001), "player": _tax(TaxState.FILED)}, {}, []),
        (
            {"before_in_year": Amount(EURC, 50_001), "player": _tax(TaxState.REJECTED)},
            {},
            ["tax_form_missing"],
        ),
        (
            {"destination_denied": True, "destination_since": START, "withdrawals": 3},
            {},
            ["destination_denied", "new_destination", "withdrawals_frequent"],
        ),
    ],
)
def test_each_gate_finds_what_it_is_for(
    facts: Mapping[str, Any], payout: Mapping[str, Any], wanted: list[str]
) -> None:
    """At its limit a payout passes, above it it does not; an asset without a limit passes."""
    assert codes(replace(KNOWN, **facts), payout=replace(PAYOUT, **payout)) == wanted


def test_without_limits_only_the_deny_list_holds() -> None:
    """A new installation pays as before."""
    worst = Facts(destination_denied=True, withdrawals=10**6, withdrawn=Amount(EURC, 10**12))
    assert codes(worst, limits=GateLimits()) == ["destination_denied"]


def test_the_first_gate_names_the_hold_and_the_strictest_counts_the_persons() -> None:
    """Two persons where one of the gates needs them."""
    limits = replace(LIMITS, two_approvers={GateCode.WITHDRAWALS_FREQUENT})
    findings = judge(
        payout=PAYOUT, facts=Facts(destination_since=START, withdrawals=9), limits=limits, now=START
    )
    held = hold_of(findings=findings, limits=limits)
    assert held is not None
    assert (held.reason, held.approvers) == ("new_destination", 2)
    alone = hold_of(findings=findings[:1], limits=limits)
    assert alone is not None
    assert alone.approvers == 1
    assert hold_of(findings=(), limits=limits) is None


def test_every_code_has_a_gate() -> None:
    """In the order of the codes, which is the order in which they name a hold."""
    assert list(GATES) == list(GateCode)


@pytest.mark.parametrize(
    ("screening", "lacks"),
    [
        (None, True),
        (_screening(Verdict.CLEAR), False),
        (_screening(Verdict.HIT), False),
        (_screening(Verdict.CLEAR, hours=24), False),
        (_screening(Verdict.CLEAR, hours=25), True),
    ],
)
def test_a_payout_lacks_a_recent_answer(screening: Screening | None, lacks: bool) -> None:
    """Of at most so many hours; where no service is asked, nothing is lacking."""
    facts = replace(KNOWN, screening=screening)
    assert lacks_screening(facts=facts, limits=LIMITS, now=START) is lacks
    assert not lacks_screening(facts=facts, limits=GateLimits(), now=START)
