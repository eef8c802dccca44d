"""The checks that every index has a query that needs it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from prizewire_chassis.db import Read
from prizewire_chassis.testing import IndexTests, Statement, UniqueOnly, sent_by, with_literals
from prizewire_devstack.testing import DatabaseFactory

TABLE = (
    "CREATE TABLE prizes (id int PRIMARY KEY, code text UNIQUE, player text, place int, paid_at timestamptz);"
    "CREATE INDEX prizes_player ON prizes (player, place);"
    "CREATE UNIQUE INDEX prizes_place ON prizes (place) WHERE paid_at IS NOT NULL"
)
BY_PLAYER = text("SELECT * FROM prizes WHERE player = :player ORDER BY place")
ONE_PLACE = UniqueOnly("two paid prizes of one place")


@pytest.fixture
async def indexes(make_database: DatabaseFactory) -> AsyncIterator[IndexTests]:
    """A database with one table."""
    opened = await IndexTests.open(make_database("rewards").migration)
    await opened.execute(TABLE)
    yield opened
    await opened.close()


async def test_every_index_has_to_be_listed(indexes: IndexTests) -> None:
    """Each index that no constraint made needs a query: a new one is reported, and so is one that was dropped."""
    queries: dict[str, Statement | UniqueOnly] = {"prizes_player": BY_PLAYER, "prizes_place": ONE_PLACE}
    await indexes.check_listed(queries)
    await indexes.execute("CREATE INDEX prizes_paid ON prizes (paid_at)")
    with pytest.raises(AssertionError, match=r"without a query: .*prizes_paid"):
        await indexes.check_listed(queries)
    await indexes.execute("DROP INDEX prizes_paid, prizes_player")
    with pytest.raises(AssertionError, match=r"queries without their index: .*prizes_player"):
        await indexes.check_listed(queries)


async def test_an_index_that_admits_duplicates_needs_a_query(indexes: IndexTests) -> None:
    """``UniqueOnly`` is refused for an index that is not unique."""
    with pytest.raises(AssertionError, match="admit duplicates"):
        await indexes.check_listed({"prizes_player": ONE_PLACE, "prizes_place": ONE_PLACE})


@pytest.mark.parametrize(
    "statement", [BY_PLAYER, Read(BY_PLAYER.text), BY_PLAYER.text], ids=["SQLAlchemy", "Read", "text"]
)
async def test_a_query_needs_the_index_of_its_plan(indexes: IndexTests, statement: Statement) -> None:
    """A statement of each kind is planned with open parameters."""
    await indexes.check_needed("prizes_player", statement)


async def test_a_query_with_another_plan_is_reported(indexes: IndexTests) -> None:
    """The message names the indexes that the plan uses."""
    with pytest.raises(AssertionError, match="the query of prizes_player uses prizes_pkey"):
        await indexes.check_needed("prizes_player", "SELECT * FROM prizes WHERE id = :id")


async def test_an_index_that_repeats_another_is_reported(indexes: IndexTests) -> None:
    """Two equal indexes cost the same: no query needs both. The check leaves the indexes as they were."""
    await indexes.execute("CREATE INDEX prizes_again ON prizes (player, place)")
    found = set()
    for index in ("prizes_player", "prizes_again"):
        with pytest.raises(AssertionError) as caught:
            await indexes.check_needed(index, BY_PLAYER)
        found.add(str(caught.value).partition("\n")[0])
    assert any("costs no more without it" in message for message in found)
    await indexes.execute("DROP INDEX prizes_again")
    await indexes.check_needed("prizes_player", BY_PLAYER)


async def test_a_switched_condition_is_planned_for_a_value(indexes: IndexTests) -> None:
    """A condition that a parameter switches off uses no index until the parameter has a value."""
    switched = "SELECT * FROM prizes WHERE CAST(:player AS text) IS NULL OR player = CAST(:player AS text)"
    with pytest.raises(AssertionError, match="uses no index"):
        await indexes.check_needed("prizes_player", switched)
    await indexes.check_needed("prizes_player", with_literals(switched, player="'wallet:ann'"))
    with pytest.raises(AssertionError, match=r"no parameters \['round'\]"):
        with_literals(switched, round="'x'")


def test_the_first_statement_of_a_function_is_found() -> None:
    """SQL that a function builds is taken where it is executed."""

    async def listing(tx: Any) -> list[Any]:
        return list(await tx.execute(BY_PLAYER, {"player": "ann"}))

    async def nothing(_: Any) -> None:
        pass

    assert sent_by(listing) == BY_PLAYER.text
    with pytest.raises(AssertionError, match="executed no statement"):
        sent_by(nothing)
