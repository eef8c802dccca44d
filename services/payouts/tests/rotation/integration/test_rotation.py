"""The key of details is changed while payouts runs: nothing is lost, and the former key is needed no more."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from prizewire_payouts.methods.adapters import DetailsVault
from prizewire_payouts.methods.domain import MethodUnreadable
from prizewire_payouts.rails.storage import rail_store
from prizewire_payouts.rotation.jobs import Rotator
from prizewire_payouts.rotation.storage import rotation_check
from prizewire_railkit.store import RailRow
from services.payouts.tests.rig import METHOD_KEY, START, Rig

NEW_KEY = hashlib.sha256(b"another method key").hexdigest()


@pytest.fixture
async def later(rig: Rig) -> AsyncIterator[Rig]:
    """The same database, with a new key and the former one."""
    made = Rig(rig.urls, vault=DetailsVault(key_hex=NEW_KEY, former=[METHOD_KEY]))
    yield made
    await made.close()


@pytest.fixture
async def afterwards(rig: Rig) -> AsyncIterator[Rig]:
    """The same database, with the new key alone."""
    made = Rig(rig.urls, vault=DetailsVault(key_hex=NEW_KEY))
    yield made
    await made.close()


async def left(rig: Rig) -> list[str]:
    async with rig.db.transaction() as tx:
        return await rotation_check(rig.vault).run(tx)


async def rotate(rig: Rig) -> None:
    rotator = Rotator(db=rig.db, vault=rig.vault, types=rig.types)
    while await rotator.run():
        continue


async def test_details_marks_and_rows_move_to_the_new_key(rig: Rig, later: Rig, afterwards: Rig) -> None:
    """Before, between and after: a payout is paid to the same details, attempts stay authentic, the same destination stays the
    same method. At the end the former key is not needed.
    """
    method = await rig.method()
    paid = await rig.request(method)
    await rig.submit()
    row = RailRow(
        collection="lines",
        name="one",
        state="open",
        document={},
        changed_at=START,
        details={"account": "ana of the rail"},
    )
    async with rail_store(db=rig.db, unit_of_work=rig.unit_of_work, rail="fake").begin() as rows:
        await rows.write([row, replace(row, name="without details", details=None)])
    assert await left(rig) == []
    assert [text.split(" are ")[0] for text in await left(later)] == [
        "1 payout methods",
        "2 rows of rails",
    ]
    assert (await later.method()).method_id == method.method_id
    between = await later.request(method)
    await later.submit()
    assert (await later.payout(between)).state == "paid"
    assert await later.breaches() == []
    await rotate(later)
    assert await left(later) == []
    assert await afterwards.breaches() == []
    assert [one.authentic for one in await afterwards.attempts(paid)] == [True]
    assert [one.authentic for one in await rig.attempts(paid)] == [False]
    moved = (await afterwards.run(lambda storages: storages.methods.find([method.method_id])))[
        method.method_id
    ]
    assert afterwards.vault.open(method=moved).details == {"account": "account of ana"}
    assert moved.commitment == method.commitment
    assert moved.destination_mac != method.destination_mac
    assert (await afterwards.method()).method_id == method.method_id
    async with rail_store(
        db=afterwards.db, unit_of_work=afterwards.unit_of_work, rail="fake"
    ).begin() as rows:
        assert (await rows.lock("lines", ["one"]))["one"].details == {"account": "ana of the rail"}
        assert len(await rows.page("lines")) == 2
    last = await afterwards.request(moved)
    await afterwards.submit()
    assert (await afterwards.payout(last)).state == "paid"


async def test_a_changed_attempt_is_not_marked_again(rig: Rig, later: Rig) -> None:
    """The rotation does not make an attempt authentic that somebody changed in the database."""
    paid = await rig.request(await rig.method())
    await rig.submit()
    await rig.rows("UPDATE attempts SET provider_ref = 'forged' RETURNING 1")
    await rotate(later)
    assert [one.authentic for one in await later.attempts(paid)] == [False]


async def test_a_changed_row_of_a_rail_is_not_marked_again(rig: Rig, later: Rig) -> None:
    """The rotation does not make a row authentic that somebody changed in the database."""
    row = RailRow(collection="lines", name="one", state="open", document={}, changed_at=START)
    async with rail_store(db=rig.db, unit_of_work=rig.unit_of_work, rail="fake").begin() as rows:
        await rows.write([row])
    await rig.rows("UPDATE rail_rows SET state = 'confirmed' RETURNING 1")
    await rotate(later)
    assert await later.breaches() == ["the row lines/one of the rail fake was changed in the database"]


async def test_without_the_former_key_nothing_is_opened(rig: Rig) -> None:
    """Details of an unknown key stay closed, and the check names how many there are."""
    method = await rig.method()
    alone = DetailsVault(key_hex=NEW_KEY)
    with pytest.raises(MethodUnreadable):
        alone.open(method=method)
    other = Rig(rig.urls, vault=alone)
    assert len(await left(other)) == 1
    await rotate(other)
    assert len(await left(other)) == 1
    await other.close()


def test_a_key_is_given_once() -> None:
    """The present key among the former ones is a mistake of the configuration."""
    with pytest.raises(ValueError, match="names a key twice"):
        DetailsVault(key_hex=NEW_KEY, former=[NEW_KEY])
