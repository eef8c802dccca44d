"""A rail that does not answer is left alone, and its unknown payments are looked up all the same."""

from datetime import timedelta

from prizewire_contracts.codes import PayoutCode
from prizewire_payouts.payouts.jobs.worker import RailWorker
from prizewire_payouts.rails.domain import Circuit
from prizewire_railkit import no_effect, paid, unknown
from services.payouts.tests.rig import SCHEDULE, Rig

REST = timedelta(seconds=5)


async def settle(worker: RailWorker) -> None:
    """Submit what is admitted, and store the answers."""
    while await worker.submit():
        continue


async def test_no_payment_is_begun_while_the_rail_does_not_answer(rig: Rig) -> None:
    """After failures in a row payouts wait, untouched; look-ups go on; then one payment tries the rail, and the others follow."""
    chain = rig.chain
    worker = rig.worker(rig.rails[0], circuit=Circuit(failures_max=2, rest_first=REST))
    method = await rig.method(kind="stellar")
    lost = [await rig.request(method, amount=f"{n}.00") for n in (1, 2)]
    chain.answers.extend([unknown(), no_effect(code=PayoutCode.RAIL_UNAVAILABLE)])
    await settle(worker)
    waiting = [await rig.request(method, amount=f"{n}.00") for n in (3, 4)]
    await settle(worker)
    assert len(chain.created) == 2
    assert [(await rig.payout(one)).state for one in waiting] == ["approved", "approved"]

    found = [await rig.payout(one) for one in lost]
    (asked,) = [one for one in found if one.state == "unknown"]
    chain.looks.append(paid(amount=asked.amount, reference="r"))
    rig.clock.advance(SCHEDULE.poll)
    while await worker.watch():
        continue
    assert (await rig.payout(asked.payout_id)).state == "paid"
    await settle(worker)
    assert len(chain.created) == 2

    rig.clock.advance(REST)
    chain.answers.append(unknown())
    await settle(worker)
    assert len(chain.created) == 3
    rig.clock.advance(2 * REST)
    amounts = {one.payout_id: one.amount for one in [await rig.payout(one) for one in (*lost, *waiting)]}
    chain.answers_by = lambda instruction: paid(amount=amounts[instruction.payout_id], reference="r")
    await settle(worker)
    await settle(worker)
    assert len(chain.created) >= 5
    assert await rig.breaches() == []
