"""A stored intent that rewards did not sign for its payout is not renewed, and a check reports it."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.checks.invariants import Invariant
from prizewire_rewards.metrics import MISMATCHES
from prizewire_rewards.payouts.storage.payouts import open_payouts
from services.rewards.tests.rig import (
    INTENTS,
    Match,
    Rig,
    captured_logs,
    method_event,
    paid_event,
    payout_event,
)

FORGED = {
    "another payout and amount": (
        """intent = intent || '{"payout_id": "5fd8f6a2-0a57-4d7e-9f10-3f9d8f3f0a11", "pay_amount": "400.00"}'""",
        "signature",
    ),
    "another destination": (
        """intent = jsonb_set(intent, '{allowed,0,destination}', '"GEVE"')""",
        "signature",
    ),
    "an unknown key": ("""intent = intent || '{"key_id": "nobody"}'""", "not pinned"),
    "another time": ("""intent = intent || '{"issued_at": 1800000000}'""", "signature"),
    "no intent": ("intent = '{}'", "it is no intent"),
    "version 1": ("""intent = intent || '{"v": 1}'""", "signature"),
    "no valid destination": ("""intent = intent || '{"allowed": [7]}'""", "it is no intent"),
    "a fraction": ("""intent = intent || '{"issued_at": 1.5}'""", "it is no intent"),
    "the signed intent of another payout": (
        "(intent, intent_signature) = (SELECT o.intent, o.intent_signature FROM payouts o WHERE o.player = 'bob')",
        "its payout_id is not that of the payout",
    ),
}

ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "id": ({"id": uuid4()}, "payout_id"),
    "amount": ({"amount": 99}, "debit_amount"),
    "fee": ({"fee": 1}, "pay_amount"),
    "asset": ({"asset": "EURC"}, "debit_asset"),
    "player": ({"player": "eve"}, "player"),
    "campaign": ({"campaign": None}, "campaign"),
    "competition": ({"competition": None}, "competition"),
    "source": ({"source": "/games/other"}, "source"),
    "funding account": ({"funding_account": "eve"}, "funding_account"),
    "correlation": ({"correlation_id": "other"}, "correlation_id"),
}


async def two_payouts(rig: Rig) -> UUID:
    """Direct payouts of 1.00 USDC to ann and of 400.00 to bob. Returns ann's."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"), method_event("bob"))
    await rig.settle(Match(campaign, [("ann", "1.00"), ("bob", "400.00")]))
    [row] = await rig.rows("SELECT id FROM payouts WHERE player = 'ann'")
    return UUID(str(row["id"]))


async def refused(rig: Rig, payout: UUID, *, problem: str) -> None:
    """A renewal is refused, and the check names the payout."""
    counted = MISMATCHES.labels("intent_invalid")
    before = counted._value.get()
    with captured_logs() as lines:
        await rig.feed(rig.payouts, payout_event(payout, "held", reason="intent_expired"))
    assert await rig.events("payout.intent_renewed") == []
    assert await rig.stuck() == [("parked", "intent_invalid")]
    assert counted._value.get() == before + 1
    assert any(line.get("subject") == str(payout) for line in lines), lines
    [row] = await rig.rows("SELECT detail FROM stuck_events")
    assert problem in row["detail"]
    found = [one for one in await rig.breaches() if one.startswith(Invariant.INTENTS_SIGNED)]
    assert [str(payout) in one and problem in one for one in found] == [True]


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_intent_is_not_renewed(rig: Rig, name: str) -> None:
    """An attacker with the service's login writes the intent of an open payout: rewards signs nothing."""
    payout = await two_payouts(rig)
    change, problem = FORGED[name]
    async with rig.db.transaction() as tx:
        await tx.exec_driver_sql(f"UPDATE payouts SET {change} WHERE id = '{payout}'")
    await refused(rig, payout, problem=problem)


async def test_the_signed_terms_are_compared_with_the_row(rig: Rig) -> None:
    """The signature is genuine, and the difference is named. The rails are compared too."""
    payout_id = await two_payouts(rig)
    async with rig.db.transaction() as tx:
        [payout] = await open_payouts(tx, [payout_id])
    assert INTENTS.problem_of(payout) is None
    for changes, name in ROWS.values():
        assert INTENTS.problem_of(replace(payout, **changes)) == f"its {name} is not that of the payout"
    other = replace(payout, rail_types=("fake",))
    assert INTENTS.problem_of(other) == "its rails are not those of the payout"


async def test_intents_of_ended_payouts_are_not_checked(rig: Rig) -> None:
    """They are worth nothing: payouts pays no ended payout."""
    payout = await two_payouts(rig)
    await rig.feed(rig.payouts, paid_event(payout, player="ann", amount="1.00"))
    async with rig.db.transaction() as tx:
        await tx.exec_driver_sql(f"UPDATE payouts SET intent = '{{}}' WHERE id = '{payout}'")
    assert await rig.breaches() == []
