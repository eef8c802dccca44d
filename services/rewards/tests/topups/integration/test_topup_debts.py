"""Debts of top-ups: credits to the bucket pay them first, and the platform loses a written-off debt only once."""

from prizewire_rewards.ledger.domain.accounts import Kind
from prizewire_rewards.ledger.domain.receivables import WriteOff
from prizewire_rewards.ledger.handlers import write_off
from services.rewards.tests.money import TopupSession, entered, opened, top_up, voided
from services.rewards.tests.rig import Match, Rig, method_event


async def charged_back(rig: Rig, *, fee: str = "15.00") -> tuple[TopupSession, Match]:
    """20.00 were paid in, the fee of a round was paid from them, and all of it is disputed."""
    session = await top_up(rig, "ann", "20.00")
    match = Match(await rig.campaign(), [])
    await rig.feed(rig.settlements, opened(match, fee=fee), entered(match, "ann", version=2, fee=fee))
    await rig.feed(rig.payouts, session.reversal("disputed", "dp_1", "20.00"))
    return session, match


async def topup(rig: Rig) -> int:
    return await rig.balance(Kind.TOPUP, "ann")


async def owed(rig: Rig) -> int:
    return -await rig.balance(Kind.RECEIVABLE, "ann")


async def write_off_debt(rig: Rig) -> None:
    """An approver writes off the open debt."""
    [row] = await rig.rows("SELECT id FROM receivables WHERE open > 0")
    async with rig.db.transaction() as tx:
        command = WriteOff(receivable_id=row["id"], actor="paul", reason="gone")
        await write_off(command, ports=rig.ports_of(tx), now=rig.clock.now())


async def test_a_refunded_entry_pays_the_debt_of_its_top_up(rig: Rig) -> None:
    """The void of a round returns 15.00 that were charged back: they leave, and cannot pay another entry."""
    _, match = await charged_back(rig)
    assert (await topup(rig), await owed(rig)) == (0, 1_500)
    await rig.feed(rig.settlements, voided(match, version=3))
    assert (await topup(rig), await owed(rig)) == (0, 0)
    assert await rig.balance(Kind.EXTERNAL_OUT, "world") == 2_000, "all that the provider took back"
    other = Match(await rig.campaign(), [])
    await rig.feed(rig.settlements, opened(other, fee="15.00"), entered(other, "ann", version=2, fee="15.00"))
    [refused] = await rig.events("entry.refused")
    assert refused["data"]["code"] == "insufficient_balance"
    [recovered] = await rig.events("wallet.receivable_recovered")
    assert (recovered["data"]["amount"], recovered["data"]["open"]) == ("15.00", "0.00")
    assert (await rig.stuck(), await rig.breaches()) == ([], [])


async def test_a_new_top_up_pays_the_debt_of_an_earlier_one(rig: Rig) -> None:
    """Of 20.00, 15.00 are owed. A refund of the new top-up takes the rest of it, and the other part is a new debt."""
    await charged_back(rig)
    second = await top_up(rig, "ann", "20.00")
    assert (await topup(rig), await owed(rig)) == (500, 0)
    await rig.feed(rig.payouts, second.reversal("refunded", "re_1", "20.00"))
    assert (await topup(rig), await owed(rig)) == (0, 1_500)
    assert (await rig.stuck(), await rig.breaches()) == ([], [])


async def test_a_won_dispute_returns_what_was_recovered(rig: Rig) -> None:
    """5.00 came from the wallet, 15.00 were recovered from another top-up: all of it returns to top-ups."""
    session, _ = await charged_back(rig)
    await top_up(rig, "ann", "20.00")
    await rig.feed(rig.payouts, session.reversal("dispute_won", "dp_1", "20.00"))
    assert (await topup(rig), await owed(rig)) == (2_500, 0)
    assert await rig.balance(Kind.CLEARING, "receivables") == 0
    assert (await rig.stuck(), await rig.breaches()) == ([], [])


async def test_a_won_dispute_pays_other_debts_of_top_ups(rig: Rig) -> None:
    """Money that one dispute returns pays the debt of another."""
    session, match = await charged_back(rig)
    await rig.feed(rig.settlements, voided(match, version=3))
    second = await top_up(rig, "ann", "10.00")
    other = Match(await rig.campaign(), [])
    await rig.feed(rig.settlements, opened(other, fee="8.00"), entered(other, "ann", version=2, fee="8.00"))
    await rig.feed(rig.payouts, second.reversal("disputed", "dp_2", "10.00"))
    assert (await topup(rig), await owed(rig)) == (0, 800)
    await rig.feed(rig.payouts, session.reversal("dispute_won", "dp_1", "20.00"))
    assert (await topup(rig), await owed(rig)) == (1_200, 0)
    assert (await rig.stuck(), await rig.breaches()) == ([], [])


async def test_a_won_dispute_restores_a_written_off_debt(rig: Rig) -> None:
    """15.00 were written off and never paid: the platform gets them. The player gets the 5.00 that were taken."""
    session, _ = await charged_back(rig)
    await write_off_debt(rig)
    assert await rig.balance(Kind.WRITE_OFF, "platform") == -1_500
    await rig.feed(rig.payouts, session.reversal("dispute_won", "dp_1", "20.00"))
    assert (await topup(rig), await owed(rig)) == (500, 0)
    assert await rig.balance(Kind.WRITE_OFF, "platform") == 0
    assert await rig.balance(Kind.CLEARING, "receivables") == 0
    [row] = await rig.rows("SELECT written_off, restored, lifted, version FROM receivables")
    assert row == {"written_off": 1_500, "restored": 1_500, "lifted": 0, "version": 3}
    [event] = await rig.events("wallet.receivable_restored")
    assert (event["data"]["amount"], event["data"]["open"]) == ("15.00", "0.00")
    assert (await rig.stuck(), await rig.breaches()) == ([], [])


async def test_a_restored_prize_with_a_written_off_debt_is_not_paid_twice(rig: Rig) -> None:
    """Ann was paid 40.00. A correction took them from her, and the debt was written off. The next correction restores the
    prize: she was paid already.
    """
    campaign = await rig.campaign(funded=4_000)
    match = Match(campaign, [("ann", "40.00")])
    await rig.settle(match)
    await rig.feed(rig.payouts, method_event("ann"))
    async with rig.client("ann") as ann:
        body = {"asset": "USDC", "amount": "40.00"}
        answer = await ann.post("/api/wallet/payout-request", json=body, headers={"idempotency-key": "k"})
        assert answer.status_code == 202
    await rig.feed(rig.settlements, *match.corrected([("bob", "40.00")], at=2))
    assert await owed(rig) == 4_000
    await write_off_debt(rig)
    await rig.feed(rig.settlements, *match.corrected([("ann", "40.00")], at=3))
    assert await rig.winnings("ann") == 0, "she has the money"
    assert await rig.balance(Kind.WRITE_OFF, "platform") == 0
    assert await rig.balance(Kind.CLEARING, "receivables") == 0
    [row] = await rig.rows("SELECT state, short FROM rewards WHERE player = 'ann'")
    assert row == {"state": "credited", "short": 0}
    assert (await rig.stuck(), await rig.breaches()) == ([], [])


async def test_top_ups_never_pay_the_debt_of_a_prize(rig: Rig) -> None:
    """A debt of a prize is owed to a pool, and top-ups never fund a pool. Winnings pay both kinds of debts."""
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("bob", "50.00")]))
    await rig.owe("ann", 1_000, campaign=campaign)
    await rig.owe("ann", 500)
    await top_up(rig, "ann", "20.00")
    assert (await topup(rig), await owed(rig)) == (1_500, 1_000)
    assert await rig.balance(Kind.POOL, campaign) == 5_000
    await rig.settle(Match(campaign, [("ann", "25.00")]))
    assert (await rig.winnings("ann"), await owed(rig)) == (1_500, 0)
    assert (await rig.stuck(), await rig.breaches()) == ([], [])
