"""Lines, settlements, rounds and rules that were changed or deleted past every guard are breaches, each with what is missing."""

import pytest
from sqlalchemy import text

from prizewire_chassis.db import Database
from prizewire_devstack.components.postgres import PostgresServer, owner_of
from services.settlement.tests.integration.conftest import Service, match_event

_SENT, _PATH_END, _SETTLEMENT = (
    "settlement.lines_are_those_sent",
    "settlement.state_is_the_last_step",
    "settlement.lines_have_their_settlement",
)
BROKEN: dict[str, tuple[str, dict[str, str]]] = {
    "the player of a line": (
        "UPDATE settlement_lines SET player = 'thief' WHERE line = 1",
        {_SENT: "the lines of settlement 1 of round {round} make the digest "},
    ),
    "the place of a line": ("UPDATE settlement_lines SET place = 9 WHERE line = 2", {_SENT: "{round}"}),
    "an amount": (
        "UPDATE settlement_lines SET amount = amount + 1 WHERE line = 1",
        {
            _SENT: "{round}",
            "settlement.lines_sum_to_net": "so its 3 lines should make 85.00 EURC; there are 3, which make 85.01 EURC",
        },
    ),
    "a line": (
        "DELETE FROM settlement_lines WHERE line = 3",
        {_SENT: "{round}", "settlement.lines_sum_to_net": "there are 2, which make 68.00 EURC"},
    ),
    "a settlement": (
        "DELETE FROM settlements",
        {
            _SETTLEMENT: "lines of settlement 1 of round {round} are there, the settlement is missing",
            "settlement.settlements_match_the_state": "was settled 1 times, of which 0 settlements are there",
        },
    ),
    "a round": (
        "DELETE FROM rounds",
        {
            _PATH_END: "round {round} is missing, its history ends with SETTLED after ",
            "settlement.fees_follow_the_rule": "settlement 1 is of round {round}, which is missing",
        },
    ),
    "a history": (
        "DELETE FROM round_transitions",
        {_PATH_END: "round {round} is SETTLED after "},
    ),
    "a rule": (
        "DELETE FROM competition_rules",
        {"settlement.fees_follow_the_rule": "follows rule 1 of slow, which is missing"},
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_missing_is_told(service: Service, postgres_server: PostgresServer, name: str) -> None:
    """By the checks that it belongs to, and by no other; before it, none has anything to say."""
    postgres_server.run_sql(f'GRANT SET ON PARAMETER session_replication_role TO "{owner_of("settlement")}"')
    await service.create(id="slow", dispute_window_s=3_600)
    await service.take(match_event("completed", data={"competition": "slow"}))
    assert await service.breaches() == {}
    statement, expected = BROKEN[name]
    database = Database(service.urls.migration, application_name="test-owner", pool_size=1)
    async with database.engine.connect() as tx:
        await tx.execution_options(isolation_level="READ COMMITTED")
        await tx.execute(text("SET LOCAL session_replication_role = replica"))
        subject = (await tx.execute(text("SELECT id FROM rounds"))).scalar_one()
        assert (await tx.execute(text(statement))).rowcount > 0
        found = {check.name: " | ".join(await check.run(tx)) for check in service.built.checks}
        await tx.rollback()
    await database.close()
    told = {check: said for check, said in found.items() if said}
    assert told.keys() == expected.keys()
    for check, said in expected.items():
        assert said.format(round=subject) in told[check]
