"""Lines, settlements, rounds and rules that were changed or deleted past every guard are breaches, each with what is missing."""

import pytest
from sqlalchemy import text

from prizewire_chassis.db import Database
from prizewire_devstack.components.postgres import PostgresServer, owner_of
from services.settlement.tests.service import Service, match_event

_SENT, _PATH_END, _SETTLEMENT = (
    "settlement.lines_are_those_sent",
    "settlement.state_is_the_last_step",
    "settlement.lines_have_their_settlement",
)
_SUM, _FEES, _PATH, _STATE, _ENTRY = (
    "settlement.lines_sum_to_net",
    "settlement.fees_follow_the_rule",
    "settlement.history_is_a_path",
    "settlement.settlements_match_the_state",
    "settlement.entries_follow_the_rule",
)
_OTHERWISE = "settlement 1 of round {round} does not follow rule 1 of slow"
BROKEN: dict[str, tuple[str, dict[str, str]]] = {
    "the number of lines": (
        "UPDATE settlements SET lines_total = 4",
        {_SUM: "so its 4 lines should make 85.00 EURC"},
    ),
    "what is unclaimed": ("UPDATE settlements SET unclaimed = 1", {_SUM: "unclaimed 0.01 EURC"}),
    "the gross prize": (
        "UPDATE settlements SET gross = gross + 1, net = net + 1",
        {_FEES: _OTHERWISE, _SUM: "net 85.01 EURC"},
    ),
    "the campaign": ("UPDATE settlements SET campaign = gen_random_uuid()", {_FEES: _OTHERWISE}),
    "the asset": ("UPDATE settlements SET asset = 'USDC'", {_FEES: _OTHERWISE}),
    "the net prize": (
        "ALTER TABLE settlements DROP CONSTRAINT gross_is_fees_and_net; UPDATE settlements SET net = net - 1",
        {_FEES: _OTHERWISE, _SUM: "net 84.99 EURC"},
    ),
    "the platform's fee": (
        "UPDATE settlements SET platform_fee = platform_fee + 1, net = net - 1",
        {_FEES: _OTHERWISE, _SUM: "net 84.99 EURC"},
    ),
    "the organizer's fee": (
        "UPDATE settlements SET organizer_fee = organizer_fee + 1, net = net - 1",
        {_FEES: _OTHERWISE, _SUM: "net 84.99 EURC"},
    ),
    "a step's number": (
        "UPDATE round_transitions SET seq = 9 WHERE to_state = 'SETTLED'",
        {
            _PATH: "step 7 from OPEN to CLOSED does not follow",
            _PATH_END: "ends with SETTLED after 9 steps",
        },
    ),
    "a step's beginning": (
        "UPDATE round_transitions SET from_state = 'SETTLED' WHERE to_state = 'SETTLED'",
        {_PATH: "from SETTLED to CLOSED does not follow"},
    ),
    "a state between two others": (
        "UPDATE round_transitions SET through = '{CLOSED}' WHERE to_state = 'SETTLED'",
        {_PATH: "from CLOSED to SETTLED does not follow"},
    ),
    "a step that is not allowed": (
        "DELETE FROM round_transitions_allowed WHERE to_state = 'RESOLVED'",
        {_PATH: "from CLOSED to RESOLVED does not follow"},
    ),
    "the state": (
        "UPDATE rounds SET state = 'FINALIZED'",
        {_PATH_END: "round {round} is FINALIZED after 4 steps, its history ends with SETTLED"},
    ),
    "the number of steps": (
        "UPDATE rounds SET state_seq = 5",
        {_PATH_END: "round {round} is SETTLED after 5 steps, its history ends with SETTLED after 4"},
    ),
    "the number of settlements": (
        "UPDATE rounds SET settlement_version = 2",
        {_STATE: "was settled 2 times, of which 1 settlements are there"},
    ),
    "a state before the settlement": (
        "UPDATE rounds SET state = 'CLOSED'",
        {_STATE: "round {round} is CLOSED and was settled 1 times", _PATH_END: "round {round} is CLOSED"},
    ),
    "the amount of an entry": (
        "UPDATE entries SET amount = amount + 1",
        {_ENTRY: "of round {round} costs 2.51 EURC, rule 1 asks for 2.50 EURC"},
    ),
    "the asset of an entry": (
        "UPDATE entries SET asset = 'USDC'",
        {_ENTRY: "of round {round} costs 2.50 USDC, rule 1 asks for 2.50 EURC"},
    ),
    "the player of a line": (
        "UPDATE settlement_lines SET player = 'mallory' WHERE line = 1",
        {_SENT: "the lines of settlement 1 of round {round} make the digest "},
    ),
    "the place of a line": ("UPDATE settlement_lines SET place = 9 WHERE line = 2", {_SENT: "{round}"}),
    "an amount": (
        "UPDATE settlement_lines SET amount = amount + 1 WHERE line = 1",
        {
            _SENT: "{round}",
            _SUM: "so its 3 lines should make 85.00 EURC; there are 3, which make 85.01 EURC",
        },
    ),
    "a line": (
        "DELETE FROM settlement_lines WHERE line = 3",
        {_SENT: "{round}", _SUM: "there are 2, which make 68.00 EURC"},
    ),
    "a settlement": (
        "DELETE FROM settlements",
        {
            _SETTLEMENT: "lines of settlement 1 of round {round} are there, the settlement is missing",
            _STATE: "was settled 1 times, of which 0 settlements are there",
        },
    ),
    "a round": (
        "DELETE FROM rounds",
        {
            _PATH_END: "round {round} is missing, its history ends with SETTLED after ",
            _FEES: "settlement 1 is of round {round}, which is missing",
            _ENTRY: "is of round {round}, which is missing",
        },
    ),
    "a history": (
        "DELETE FROM round_transitions",
        {_PATH_END: "round {round} is SETTLED after "},
    ),
    "a rule": (
        "DELETE FROM competition_rules",
        {
            _FEES: "follows rule 1 of slow, which is missing",
            _ENTRY: "of round {round}: rule 1, which it follows, is missing",
        },
    ),
}


async def prepare(service: Service) -> None:
    """One round that one player entered, settled inside its dispute window; no check has a breach."""
    fee = {"amount": "2.50", "asset": "EURC"}
    await service.create(id="slow", dispute_window_s=3_600, entry_fee=fee)
    data = {"competition": "slow"}
    await service.take(
        match_event("entered", data={**data, "player": "ann"}), match_event("completed", data=data)
    )
    assert await service.breaches() == {}


@pytest.mark.parametrize("name", BROKEN)
async def test_missing_and_changed_rows_are_breaches(
    service: Service, postgres_server: PostgresServer, name: str
) -> None:
    """Each damage is a breach of its own checks and of no other; before it no check has a breach."""
    postgres_server.run_sql(f'GRANT SET ON PARAMETER session_replication_role TO "{owner_of("settlement")}"')
    await prepare(service)
    statements, expected = BROKEN[name]
    database = Database(service.urls.migration, application_name="test-owner", pool_size=1)
    async with database.engine.connect() as tx:
        await tx.execution_options(isolation_level="READ COMMITTED")
        await tx.execute(text("SET LOCAL session_replication_role = replica"))
        subject = (await tx.execute(text("SELECT id FROM rounds"))).scalar_one()
        for statement in statements.split("; "):
            assert (await tx.execute(text(statement))).rowcount != 0
        found = {check.name: " | ".join(await check.run(tx)) for check in service.built.checks}
        await tx.rollback()
    await database.close()
    broken = {check: breaches for check, breaches in found.items() if breaches}
    assert broken.keys() == expected.keys()
    for check, said in expected.items():
        assert said.format(round=subject) in broken[check]
