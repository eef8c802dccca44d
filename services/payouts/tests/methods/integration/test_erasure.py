"""The details of a removed method are erased after a time, and never while a payout to it is open."""

from datetime import timedelta

import pytest

from prizewire_payouts.methods.domain import Method, MethodUnreadable
from prizewire_payouts.methods.handlers import remove
from prizewire_payouts.methods.jobs import erasure_job
from prizewire_payouts.rotation.storage import rotation_check
from services.payouts.tests.rig import Rig

KEPT = timedelta(days=90)


async def erase(rig: Rig) -> None:
    job = erasure_job(db=rig.db, clock=rig.clock, audit=rig.audit, kept_for=KEPT)
    while await job.run():
        continue


async def removed(rig: Rig, method: Method) -> None:
    await rig.run(
        lambda storages: remove(
            storages.methods,
            method_id=method.method_id,
            player=method.player,
            actor=method.player,
            now=rig.clock.now(),
        )
    )


async def stored(rig: Rig, method: Method) -> Method:
    return (await rig.run(lambda storages: storages.methods.find([method.method_id])))[method.method_id]


async def test_details_are_erased_after_their_time(rig: Rig) -> None:
    """Active methods and methods that were removed lately keep their details; a payout that was paid does not keep them."""
    gone, kept = await rig.method(), await rig.method(player="eve")
    payout_id = await rig.request(gone)
    await rig.submit()
    await removed(rig, gone)
    rig.clock.advance(KEPT - timedelta(seconds=1))
    await erase(rig)
    assert rig.vault.open(method=await stored(rig, gone)).details
    rig.clock.advance(timedelta(seconds=1))
    await erase(rig)
    left = await stored(rig, gone)
    assert (left.sealed, left.sealed_by) == (b"", "erased")
    assert (left.commitment, left.destination_mac) == (gone.commitment, gone.destination_mac)
    with pytest.raises(MethodUnreadable):
        rig.vault.open(method=left)
    assert rig.vault.open(method=await stored(rig, kept)).details
    assert (await rig.payout(payout_id)).state == "paid"
    async with rig.db.transaction() as tx:
        assert await rotation_check(rig.vault).run(tx) == []
    assert await rig.breaches() == []
    again = await rig.method()
    assert again.method_id != gone.method_id


async def test_an_open_payout_keeps_the_details(rig: Rig) -> None:
    """While a payout to the removed method has not ended, its details stay; once it has, they are erased."""
    method = await rig.method()
    payout_id = await rig.request(method)
    await removed(rig, method)
    rig.clock.advance(KEPT)
    await erase(rig)
    assert (await stored(rig, method)).sealed_by == rig.vault.key_id
    await rig.rows("UPDATE payouts SET state = 'closing_cancelled' RETURNING 1")
    await rig.rows("UPDATE payouts SET state = 'cancelled' RETURNING 1")
    await erase(rig)
    assert (await stored(rig, method)).sealed_by == "erased"
    assert (await rig.payout(payout_id)).state == "cancelled"
