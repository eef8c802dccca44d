"""Moves of nearly all types that the ledger allows, for tests of their documents."""

from datetime import timedelta
from uuid import UUID, uuid4

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.claims.handlers.claims import expire_due
from services.rewards.tests.claims.integration.test_claims import HOLDS_ALL, PLAIN, make
from services.rewards.tests.money import TopupSession, entered, opened, top_up, voided
from services.rewards.tests.payouts.integration.test_funding import payout_body
from services.rewards.tests.quotes import FakeMethod, request_quoted
from services.rewards.tests.rig import (
    FAKE_RAIL,
    Match,
    Rig,
    closed_event,
    closure_of,
    paid_event,
    returned_event,
)


async def move_everything(rig: Rig) -> None:
    """Move money by prizes, claims, entries, disownments and debts, and by exchanged payouts and one out of the funding account ``ops``,
    which exists.
    """
    for more in (prizes, claims, entries, disowned, debts, operators, exchanges):
        await more(rig)


async def prizes(rig: Rig) -> None:
    """Prizes that became final, were corrected before and after that, and were voided; with fees and an unclaimed rest."""
    campaign = await rig.campaign(funded=100_000)
    waited = Match(
        campaign,
        [("rex", "10.00"), ("sue", "3.00")],
        platform="2.00",
        organizer="1.00",
        organizer_player="club",
        unclaimed="0.50",
        final=False,
    )
    final = Match(campaign, [("tom", "10.00")])
    void = Match(campaign, [("una", "4.00")], final=False)
    await rig.settle(waited, final, void)
    await rig.feed(
        rig.settlements,
        *waited.corrected([("rex", "8.00")], at=2),
        waited.finalized(version=3),
        *final.corrected([("una", "10.00")], at=2),
        void.voided(at=2),
    )


async def claims(rig: Rig) -> None:
    """A claim that expires and one that is refused."""
    late = Match(
        await rig.campaign(funded=100_000, delivery=Delivery.CLAIM, settings=PLAIN),
        [("val", "2.00")],
        final=False,
    )
    held = Match(
        await rig.campaign(funded=100_000, delivery=Delivery.CLAIM, settings=HOLDS_ALL), [("wim", "3.00")]
    )
    await rig.settle(late, held)
    await rig.feed(rig.settlements, late.finalized())
    await make(rig, held, "wim")
    async with rig.client("olga", "operator") as olga:
        path = f"/api/claims/{held.reward_id('wim')}/reject"
        answer = await olga.post(path, json={"reason": "bot"}, headers={"Idempotency-Key": uuid4().hex})
    assert answer.is_success, answer.text
    rig.clock.advance(timedelta(hours=2))
    async with rig.db.transaction() as tx:
        await expire_due(ports=rig.ports_of(tx), now=rig.clock.now())


async def entries(rig: Rig) -> None:
    """Entries paid out of both buckets, then refunded or earned. A part of the earned fees is withdrawn."""
    campaign = await rig.campaign(funded=100_000)
    for player in ("xia", "yan"):
        await rig.settle(Match(campaign, [(player, "10.00")]))
        await top_up(rig, player, "3.00")
    back, earned = Match(campaign, []), Match(campaign, [], final=False)
    await rig.feed(rig.settlements, opened(back), entered(back, "xia", version=2), voided(back, version=3))
    await rig.feed(rig.settlements, opened(earned), entered(earned, "yan", version=2))
    await rig.feed(rig.settlements, *earned.events(at=3), earned.finalized(version=4))
    key = {"Idempotency-Key": "entry-fees"}
    async with (
        rig.client("ada", "admin", "approver") as ada,
        rig.client("boris", "admin", "approver") as boris,
    ):
        body = {"source": "entry_fees", "asset": "USDC", "amount": "1.00", "reference": "wire"}
        filed = await ada.post("/api/fee-withdrawals", json=body, headers=key)
        path = f"/api/fee-withdrawals/{filed.json()['withdrawal_id']}/approve"
        assert (await boris.post(path, headers=key)).is_success


async def disowned(rig: Rig) -> None:
    """Final rounds, with and without an organizer and with an earned entry, that two admins disown."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("uma", "10.00")]))
    await top_up(rig, "uma", "3.00")
    forged = [
        Match(campaign, [("vic", "5.00")], platform="2.00", organizer="1.00", organizer_player=organizer)
        for organizer in ("guild", None)
    ]
    first, second = forged
    await rig.feed(rig.settlements, opened(first), entered(first, "uma", version=2), *first.events(at=3))
    await rig.settle(second)
    async with rig.client("ada", "admin") as ada, rig.client("boris", "admin") as boris:
        for match in forged:
            key = {"Idempotency-Key": uuid4().hex}
            body = {"round_id": str(match.round_id), "reason": "never settled"}
            filed = await ada.post("/api/round-disownments", json=body, headers=key)
            path = f"/api/round-disownments/{filed.json()['disownment_id']}/approve"
            answer = await boris.post(path, headers=key)
            assert answer.is_success, answer.text


async def debts(rig: Rig) -> None:
    """Debts recovered to a pool, outside, and from a top-up; and one that is written off and restored."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("zoe", "20.00")]))
    await rig.owe("zac", 1_000, campaign=campaign)
    await rig.owe("zac", 200)
    await rig.settle(Match(campaign, [("zac", "15.00")]))
    sessions = {player: await top_up(rig, player, "20.00") for player in ("zed", "zia")}
    for player, session in sessions.items():
        match = Match(campaign, [])
        await rig.feed(
            rig.settlements, opened(match, fee="15.00"), entered(match, player, version=2, fee="15.00")
        )
        await rig.feed(rig.payouts, session.reversal("disputed", f"dp_{player}", "20.00"))
    await rig.feed(rig.payouts, TopupSession("zed", amount="20.00").completed())
    [debt] = await rig.rows("SELECT id FROM receivables WHERE player = 'zia'")
    async with rig.client("paul", "approver") as paul:
        path = f"/api/receivables/{debt['id']}/write-off"
        answer = await paul.post(path, json={"reason": "gone"}, headers={"Idempotency-Key": "k"})
    assert answer.is_success, answer.text
    await rig.feed(rig.payouts, sessions["zia"].reversal("dispute_won", "dp_zia", "20.00"))


async def operators(rig: Rig) -> None:
    """A failed payout out of a funding account."""
    async with rig.client("olga", "operator") as olga:
        body = payout_body(funding_account="ops", amount="5.00")
        answer = await olga.post("/api/payouts/create", json=body, headers={"Idempotency-Key": "ops"})
    assert answer.is_success, answer.text
    payout = UUID(answer.json()["payout_id"])
    await rig.feed(rig.payouts, closed_event(payout, "failed", closure=closure_of(payout)))


async def exchanges(rig: Rig) -> None:
    """Payouts of dollars in euros: one fails, one is paid and returned in part, one stays paid."""
    await rig.settle(Match(await rig.campaign(funded=100_000), [("fxa", "30.00")]))
    method = await FakeMethod.register(rig, "fxa")
    failed, returned, paid = [await request_quoted(rig, method, debit="7.00", pay="6.40") for _ in range(3)]
    euros = {"player": "fxa", "amount": "6.40", "asset": "EURC", **FAKE_RAIL}
    await rig.feed(
        rig.payouts,
        closed_event(failed, "failed", closure=None),
        paid_event(returned, **euros),
        paid_event(paid, **euros),
        returned_event(returned, amount="3.20", asset="EURC"),
    )
