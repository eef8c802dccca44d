"""An operator retries an ended payout: rewards files a new one out of the money that came back, or says why not."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_contracts import ids
from prizewire_contracts.events.rewards import PayoutRequestedEvent
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.ledger.domain.accounts import Kind
from prizewire_rewards.metrics import PAYOUT_RETRIES
from prizewire_rewards.payouts.domain.commands import RequestPayout
from prizewire_rewards.payouts.handlers.requests import request_payout
from services.rewards.tests.payouts.integration.test_funding import create, funded  # noqa: F401 - a fixture
from services.rewards.tests.payouts.integration.test_quotes import won
from services.rewards.tests.quotes import request_quoted
from services.rewards.tests.rig import (
    FAKE_METHOD,
    FAKE_RAIL,
    Match,
    Rig,
    closed_event,
    closure_of,
    method_event,
    paid_event,
    payout_event,
    returned_event,
)
from services.rewards.tests.sql import as_owner, refused_to_the_owner


async def failed(rig: Rig, **method: Any) -> UUID:
    """A direct payout of 500.00 USDC to ann that failed, with its money back in the wallet."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann", **method))
    await rig.settle(Match(campaign, [("ann", "500.00")]))
    [requested] = await rig.events("payout.requested")
    payout = UUID(requested["data"]["payout_id"])
    await rig.feed(rig.payouts, closed_event(payout, "failed", closure=closure_of(payout)))
    assert await rig.winnings("ann") == 50_000
    return payout


def retry_event(payout: UUID, *, version: int = 2, **changes: Any) -> bytes:
    """``payout.retry_requested`` by olga."""
    data = {"retry_no": 1, "player": "ann", "by": "olga", "reason": "another account", **changes}
    return payout_event(payout, "retry_requested", version=version, **data)


async def withdraw(rig: Rig, amount: int) -> None:
    """Ann spends winnings on another payout."""
    command = RequestPayout(id=uuid4(), player="ann", asset="USDC", amount=amount, method_id=None)
    async with rig.db.transaction() as tx:
        await request_payout(command, ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now())


def counted(outcome: str) -> float:
    return float(PAYOUT_RETRIES.labels(outcome)._value.get())


async def test_a_retry_files_a_new_payout_of_the_same_money(rig: Rig) -> None:
    """It has the amount, prize, correlation id and parties of the old one, names it, and the operator files it."""
    before = counted("filed")
    old = await failed(rig)
    await rig.feed(rig.payouts, retry_event(old))
    assert await rig.stuck() == []
    first, retried = [
        PayoutRequestedEvent.model_validate(event) for event in await rig.events("payout.requested")
    ]
    new = ids.payout_id_for_retry(old)
    data, intent = retried.data, retried.data.intent
    assert (data.payout_id, data.retry_of, data.filed_by, data.player) == (new, old, "olga", "ann")
    assert (data.reward_ids, data.parties) == (first.data.reward_ids, first.data.parties)
    assert retried.correlationid == first.correlationid
    assert (intent.debit_amount, intent.pay_amount) == ("500.00", "500.00")
    origin = (intent.campaign, intent.competition, intent.source)
    assert origin == (first.data.intent.campaign, first.data.intent.competition, "/games/test")
    assert await rig.winnings("ann") == 0
    assert await rig.balance(Kind.PAYOUT_PENDING, new) == 50_000
    assert counted("filed") == before + 1
    assert await rig.breaches() == []


async def test_two_requests_make_one_payout(rig: Rig) -> None:
    """The same event again, and a later request, file nothing more: the later one is refused."""
    old = await failed(rig)
    event = retry_event(old)
    await rig.feed(rig.payouts, event, event)
    await rig.feed(rig.payouts, event)
    await rig.feed(rig.payouts, retry_event(old, version=3, retry_no=2))
    assert await rig.stuck() == []
    assert len(await rig.events("payout.requested")) == 2
    [refused] = await rig.events("payout.retry_refused")
    assert (refused["data"]["retry_no"], refused["data"]["code"]) == (2, "already_retried")
    assert str(ids.payout_id_for_retry(old)) in refused["data"]["detail"]
    assert await rig.balance(Kind.PAYOUT_PENDING, ids.payout_id_for_retry(old)) == 50_000
    assert await rig.breaches() == []


async def test_the_database_keeps_one_retry_of_a_payout(rig: Rig) -> None:
    """A second row that retries the same payout is refused, and what a payout retries does not change."""
    old = await failed(rig)
    await rig.feed(rig.payouts, retry_event(old))
    new = ids.payout_id_for_retry(old)
    _, message = await refused_to_the_owner(rig, f"UPDATE payouts SET retry_of = NULL WHERE id = '{new}'")
    assert "what it is bound to does not change" in message
    [columns] = await rig.rows(
        "SELECT string_agg(column_name, ', ') AS names FROM information_schema.columns "
        "WHERE table_name = 'payouts' AND column_name <> 'id'"
    )
    copy = (
        f"INSERT INTO payouts (id, {columns['names']}) SELECT gen_random_uuid(), {columns['names']} "
        f"FROM payouts WHERE id = '{new}'"
    )
    state, _ = await refused_to_the_owner(rig, copy)
    assert state == "23505"


async def test_spent_money_is_not_retried(rig: Rig) -> None:
    """The refusal names what is missing, no money moves, and a request after new winnings is filed."""
    before = counted("insufficient_balance")
    old = await failed(rig)
    await withdraw(rig, 10_000)
    await rig.feed(rig.payouts, retry_event(old))
    [refused] = await rig.events("payout.retry_refused")
    assert refused["subject"] == str(old)
    assert refused["data"]["code"] == "insufficient_balance"
    assert "400.00 USDC is available" in refused["data"]["detail"]
    assert await rig.winnings("ann") == 40_000
    assert counted("insufficient_balance") == before + 1
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.WALLET)
    await rig.settle(Match(campaign, [("ann", "100.00")]))
    await rig.feed(rig.payouts, retry_event(old, version=3, retry_no=2))
    assert await rig.winnings("ann") == 0
    assert await rig.balance(Kind.PAYOUT_PENDING, ids.payout_id_for_retry(old)) == 50_000
    assert await rig.breaches() == []


async def test_an_end_and_its_retry_in_one_batch(rig: Rig) -> None:
    """The money is back before the retry takes it."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    await rig.settle(Match(campaign, [("ann", "500.00")]))
    [requested] = await rig.events("payout.requested")
    old = UUID(requested["data"]["payout_id"])
    await rig.feed(rig.payouts, closed_event(old, "failed", closure=closure_of(old)), retry_event(old))
    assert await rig.stuck() == []
    assert await rig.balance(Kind.PAYOUT_PENDING, ids.payout_id_for_retry(old)) == 50_000
    assert await rig.breaches() == []


async def test_a_payout_whose_money_is_not_back_is_not_retried(rig: Rig) -> None:
    """A request for an open or paid payout parks: payouts and rewards disagree about its end."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    await rig.settle(Match(campaign, [("ann", "500.00")]))
    [requested] = await rig.events("payout.requested")
    old = UUID(requested["data"]["payout_id"])
    await rig.feed(rig.payouts, retry_event(old, version=1))
    assert await rig.stuck() == [("parked", "event_mismatch")]
    await as_owner(rig, "DELETE FROM stuck_events")
    await rig.feed(rig.payouts, paid_event(old, player="ann", amount="500.00"), retry_event(old))
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert len(await rig.events("payout.requested")) == 1
    assert await rig.breaches() == []


async def test_a_returned_amount_is_retried_without_the_fee(rig: Rig) -> None:
    """Of a payment that came back in part, that part is paid again; the player has paid the fee."""
    old = await failed_by_return(rig)
    await rig.feed(rig.payouts, retry_event(old, version=3))
    assert await rig.stuck() == []
    retried = PayoutRequestedEvent.model_validate((await rig.events("payout.requested"))[-1]).data.intent
    assert (retried.debit_amount, retried.pay_amount) == ("499.00", "499.00")
    assert await rig.winnings("ann") == 0
    assert await rig.breaches() == []


async def failed_by_return(rig: Rig) -> UUID:
    """A direct payout of 500.00 over the rail fake, of which 499.00 came back."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann", **FAKE_METHOD))
    await rig.settle(Match(campaign, [("ann", "500.00")]))
    [requested] = await rig.events("payout.requested")
    payout = UUID(requested["data"]["payout_id"])
    paid = paid_event(payout, player="ann", amount="500.00", **FAKE_RAIL)
    await rig.feed(rig.payouts, paid, returned_event(payout, amount="499.00"))
    return payout


async def test_a_retry_goes_to_the_named_method_or_is_refused(rig: Rig) -> None:
    """A method of the player is used, the default one stays as it is; a method of another player is refused."""
    old = await failed(rig)
    other, foreign = uuid4(), uuid4()
    await rig.feed(
        rig.payouts,
        method_event("ann", method_id=other, is_default=False, **FAKE_METHOD),
        method_event("bob", method_id=foreign),
    )
    await rig.feed(rig.payouts, retry_event(old, method_id=str(foreign)))
    [refused] = await rig.events("payout.retry_refused")
    assert refused["data"]["code"] == "method_unknown"
    await rig.feed(rig.payouts, retry_event(old, version=3, retry_no=2, method_id=str(other)))
    data = PayoutRequestedEvent.model_validate((await rig.events("payout.requested"))[-1]).data
    assert (data.method_id, [way.rail for way in data.intent.allowed]) == (other, ["fake"])
    assert await rig.breaches() == []


async def test_a_player_without_a_method_keeps_the_money(rig: Rig) -> None:
    """Without a default method the retry is refused."""
    method_id = uuid4()
    old = await failed(rig, method_id=method_id)
    await rig.feed(rig.payouts, method_event("ann", method_id=method_id, version=2, state="removed"))
    await rig.feed(rig.payouts, retry_event(old))
    [refused] = await rig.events("payout.retry_refused")
    assert refused["data"]["code"] == "no_payout_method"
    assert await rig.winnings("ann") == 50_000


async def test_an_exchanged_payout_needs_a_new_quote(rig: Rig) -> None:
    """Its quote has expired: the player asks for the money in another asset again, and the money stays in the wallet."""
    old = await request_quoted(rig, await won(rig, "ann"), debit="40.00", pay="36.81")
    await rig.feed(rig.payouts, closed_event(old, "failed", closure=None))
    assert await rig.winnings("ann") == 10_000
    await rig.feed(rig.payouts, retry_event(old))
    assert await rig.stuck() == []
    [refused] = await rig.events("payout.retry_refused")
    assert refused["data"]["code"] == "quote_required"
    assert await rig.winnings("ann") == 10_000
    assert await rig.breaches() == []


async def test_an_operators_payout_is_retried_to_its_own_destination(funded: Rig) -> None:  # noqa: F811 - a fixture
    """Out of the funding account that the money came back to, by the operator who retries it; never to a method."""
    old = UUID((await create(funded)).json()["payout_id"])
    await funded.feed(funded.payouts, closed_event(old, "rejected", closure=closure_of(old)))
    operators = {"player": None, "by": "omar"}
    await funded.feed(funded.payouts, retry_event(old, method_id=str(uuid4()), **operators))
    [refused] = await funded.events("payout.retry_refused")
    assert refused["data"]["code"] == "method_unknown"
    await funded.feed(funded.payouts, retry_event(old, version=3, retry_no=2, **operators))
    assert await funded.stuck() == []
    first, retried = [
        PayoutRequestedEvent.model_validate(event).data for event in await funded.events("payout.requested")
    ]
    assert (retried.player, retried.filed_by, retried.retry_of) == (None, "omar", old)
    assert retried.intent.allowed == first.intent.allowed
    assert retried.parties == first.parties
    assert await funded.balance(Kind.FUNDING, "marketing") == 75_000
    assert await funded.breaches() == []


async def test_a_changed_destination_is_not_used_again(funded: Rig) -> None:  # noqa: F811 - a fixture
    """An attacker with the service's login writes another address into the ended payout: the retry is refused."""
    old = UUID((await create(funded)).json()["payout_id"])
    await funded.feed(funded.payouts, closed_event(old, "rejected", closure=closure_of(old)))
    changed = "jsonb_set(intent, '{allowed,0,destination}', '\"GEVIL\"')"
    async with funded.db.transaction() as tx:
        await tx.exec_driver_sql(f"UPDATE payouts SET intent = {changed} WHERE id = '{old}'")
    await funded.feed(funded.payouts, retry_event(old, player=None))
    [refused] = await funded.events("payout.retry_refused")
    assert refused["data"]["code"] == "intent_invalid"
    assert await funded.balance(Kind.FUNDING, "marketing") == 100_000


@pytest.mark.parametrize(
    "change",
    [
        "amount = 49999",
        "asset = 'EURC'",
        "player = 'eve'",
    ],
)
async def test_the_check_compares_a_retry_with_what_came_back(rig: Rig, change: str) -> None:
    """A payout that retries another one over another amount, asset or player is a breach."""
    old = await failed(rig)
    await rig.feed(rig.payouts, retry_event(old))
    await as_owner(
        rig,
        "ALTER TABLE payouts DISABLE TRIGGER USER",
        f"UPDATE payouts SET {change} WHERE retry_of = '{old}'",
        "ALTER TABLE payouts ENABLE TRIGGER USER",
    )
    assert any(breach.startswith("retries_fit_their_payouts") for breach in await rig.breaches())
