"""Rows deleted or changed without any guard are breaches while their money is in the ledger."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Database
from prizewire_devstack.components.postgres import PostgresServer, owner_of
from prizewire_devstack.testing import DatabaseFactory
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.checks.invariants import Invariant
from prizewire_rewards.checks.slices import build_watches
from services.rewards.tests.money import entered, opened, spent_and_disputed, top_up
from services.rewards.tests.rig import (
    FAKE_METHOD,
    FAKE_RAIL,
    INTENTS,
    Match,
    Rig,
    closed_event,
    closure_of,
    method_event,
    paid_event,
    returned_event,
)

_OWNED, _DOCUMENTED, _HISTORIES = (
    Invariant.ACCOUNTS_OWNED,
    Invariant.TRANSFERS_DOCUMENTED,
    Invariant.HISTORIES_OWNED,
)
BROKEN: dict[str, tuple[str, dict[Invariant, str]]] = {
    "an open payout": (
        "DELETE FROM payouts WHERE id = '{open_payout}'",
        {
            _OWNED: "payout_pending of {open_payout} holds 30.00 USDC, and there is no payout",
            _DOCUMENTED: "(payout_requested, 30.00 USDC, from wallet:winnings of ann",
            _HISTORIES: "the history of payout {open_payout} has no payout",
        },
    ),
    "a paid payout": (
        "DELETE FROM payouts WHERE id = '{paid_payout}'; DELETE FROM transitions WHERE subject = '{paid_payout}'",
        {_OWNED: "payout_pending of {paid_payout} holds 0.00 USDC", _DOCUMENTED: "(payout_paid, 20.00 USDC"},
    ),
    "a returned payout": (
        "DELETE FROM payouts WHERE id = '{returned_payout}'",
        {_DOCUMENTED: "(payout_returned, 4.00 USDC, from treasury of fake to wallet:winnings of ann"},
    ),
    "a failed payout": (
        "DELETE FROM payouts WHERE id = '{failed_payout}'",
        {_DOCUMENTED: "(payout_given_back, 3.00 USDC"},
    ),
    "the group of a payout's transfer": (
        "DELETE FROM ledger_groups WHERE cause = 'payout/{paid_payout}'",
        {_DOCUMENTED: "(rail_fee, 0.0000100 XLM"},
    ),
    "the player of a payout": (
        "UPDATE payouts SET player = 'attacker' WHERE id = '{open_payout}'",
        {_DOCUMENTED: "there is no payout with this amount, asset and owner"},
    ),
    "the rail of a payout": (
        "UPDATE payouts SET rail = 'other' WHERE id = '{paid_payout}'",
        {_DOCUMENTED: "(rail_fee, 0.0000100 XLM"},
    ),
    "an open entry": (
        "DELETE FROM entries WHERE state = 'paid'",
        {
            _OWNED: "entry_fee_escrow:topup of {entry} holds 5.00 USDC, and there is no entry",
            _DOCUMENTED: "(entry_fee_held, 5.00 USDC, from wallet:topup of dan",
            _HISTORIES: "has no entry",
        },
    ),
    "the player of an entry": (
        "UPDATE entries SET player = 'attacker'",
        {_DOCUMENTED: "there is no entry with this amount"},
    ),
    "an open claim": (
        "DELETE FROM claims WHERE player = 'kim'",
        {
            Invariant.CLAIMABLE_IS_OWED: "4.50 USDC can be claimed, its claimable prizes with an open claim make 2.50 USDC",
            _HISTORIES: "has no claim",
        },
    ),
    "a paid claim": (
        "DELETE FROM claims WHERE player = 'pia'",
        {_DOCUMENTED: "(claim_paid, 1.50 USDC", _HISTORIES: "has no claim"},
    ),
    "a top-up": (
        "DELETE FROM topups",
        {_DOCUMENTED: "(topup_credited, 20.00 USDC, from external_in of world to wallet:topup of dan"},
    ),
    "the player of a top-up": (
        "UPDATE topups SET player = 'attacker'",
        {_DOCUMENTED: "there is no top-up with this amount"},
    ),
    "the refund of a top-up": (
        "DELETE FROM topup_reversals; UPDATE topups SET reversed = 0",
        {
            Invariant.TOPUPS_ADD_UP: "the ledger credited 20.00 USDC",
            _DOCUMENTED: "(topup_reversed, 5.00 USDC",
        },
    ),
    "a withdrawal of fees": (
        "DELETE FROM fee_withdrawals",
        {_DOCUMENTED: "there is no approved withdrawal of fees with this amount"},
    ),
    "a campaign": (
        "DELETE FROM campaigns WHERE id = '{campaign}'",
        {
            _OWNED: "pool of {campaign} holds ",
            _HISTORIES: "the history of campaign {campaign} has no campaign",
        },
    ),
    "a round": (
        "DELETE FROM rounds WHERE id = '{round}'; DELETE FROM rewards WHERE round_id = '{round}'",
        {
            _OWNED: "reserved of {round} holds 0.00 USDC, and there is no round",
            _DOCUMENTED: "(prize_credited, 80.00 USDC",
            _HISTORIES: "the history of round {round} has no round",
        },
    ),
    "a funding account": (
        "DELETE FROM funding_accounts",
        {_OWNED: "funding of ops holds 10.00 USDC, and there is no funding account"},
    ),
    "a debt": (
        "DELETE FROM receivables",
        {Invariant.RECEIVABLES_ADD_UP: "holds -5.00 USDC", _DOCUMENTED: "(receivable_opened, 5.00 USDC"},
    ),
    "the player of prizes": (
        "UPDATE rewards SET player = 'attacker' WHERE player = 'ann' AND round_id = '{round}'",
        {
            Invariant.PRIZES_AS_BOOKED: (
                "prizes of attacker are credited 80.00 USDC and pending 0.00 USDC, and 0.00 USDC was not taken back; the "
                "ledger gave 0.00 USDC to winnings"
            ),
            _DOCUMENTED: "there is no prize with this amount",
        },
    ),
    "the player of a pending prize": (
        "UPDATE rewards SET player = 'attacker' WHERE state = 'pending'",
        {Invariant.PRIZES_AS_BOOKED: "prizes of attacker are credited 0.00 USDC and pending 2.00 USDC"},
    ),
    "an account": (
        "DELETE FROM ledger_accounts WHERE id IN (SELECT id FROM ledger_accounts WHERE kind = 'wallet:pending')",
        {_DOCUMENTED: "to wallet:pending of an account that is missing"},
    ),
}


async def requested(rig: Rig, amount: str, **more: str) -> UUID:
    """A requested payout of ann's winnings."""
    async with rig.client("ann") as ann:
        body = {"asset": "USDC", "amount": amount, **more}
        answer = await ann.post(
            "/api/wallet/payout-request", json=body, headers={"Idempotency-Key": uuid4().hex}
        )
    assert answer.is_success, answer.text
    return UUID(answer.json()["payout_id"])


async def move_money(rig: Rig) -> dict[str, object]:
    """Move money in most ways that the ledger allows. Returns ids by name."""
    campaign = await rig.campaign(funded=100_000)
    other = uuid4()
    fake = method_event("ann", method_id=other, is_default=False, **FAKE_METHOD)
    await rig.feed(rig.payouts, method_event("ann"), fake)
    first = Match(campaign, [("ann", "80.00"), ("bob", "1.00")], platform="10.00")
    await rig.settle(first, Match(campaign, [("cid", "2.00")], final=False))
    paid, failed = [await requested(rig, amount) for amount in ("20.00", "3.00")]
    returned = await requested(rig, "4.00", method_id=str(other))
    await rig.feed(
        rig.payouts,
        paid_event(paid, player="ann", amount="20.00"),
        closed_event(failed, "failed", closure=closure_of(failed)),
        paid_event(returned, player="ann", amount="4.00", **FAKE_RAIL),
        returned_event(returned, amount="4.00"),
    )
    open_payout = await requested(rig, "30.00")
    claims = await rig.campaign(funded=100_000, delivery=Delivery.CLAIM)
    prizes = Match(claims, [("kim", "2.00"), ("lou", "2.50"), ("pia", "1.50")])
    await rig.settle(prizes)
    async with rig.client("pia") as pia:
        headers = {"Idempotency-Key": "claim"}
        claimed = await pia.post(f"/api/claims/{prizes.reward_id('pia')}", headers=headers)
    assert claimed.is_success, claimed.text
    session = await top_up(rig, "dan", "20.00")
    await rig.feed(rig.payouts, session.reversal("refunded", "re_1", "5.00"))
    match = Match(await rig.campaign(), [])
    await rig.feed(rig.settlements, opened(match), entered(match, "dan", version=2))
    [entry] = await rig.rows("SELECT id FROM entries")
    await spent_and_disputed(rig, "leo", "5.00")
    async with (
        rig.client("ada", "admin", "approver") as ada,
        rig.client("boris", "admin", "approver") as boris,
    ):
        key = {"Idempotency-Key": "fees"}
        body = {"source": "platform", "asset": "USDC", "amount": "7.00", "reference": "wire"}
        filed = await ada.post("/api/fee-withdrawals", json=body, headers=key)
        path = f"/api/fee-withdrawals/{filed.json()['withdrawal_id']}/approve"
        assert (await boris.post(path, headers=key)).is_success
        made = await ada.post("/api/funding-accounts", json={"name": "ops", "asset": "USDC"}, headers=key)
        assert made.is_success, made.text
        body = {"amount": "10.00", "reference": "wire"}
        funded = await ada.post("/api/funding-accounts/ops/fund", json=body, headers=key)
        assert funded.is_success, funded.text
    assert await rig.stuck() == []
    return {
        "campaign": campaign,
        "round": first.round_id,
        "paid_payout": paid,
        "failed_payout": failed,
        "returned_payout": returned,
        "open_payout": open_payout,
        "entry": entry["id"],
    }


@pytest.fixture(scope="module")
async def books(make_module_database: DatabaseFactory) -> AsyncIterator[tuple[Rig, dict[str, object]]]:
    """A service with all these moves, and ids by name."""
    rig = await Rig.open(make_module_database("rewards", migrated=True))
    yield rig, await move_money(rig)
    await rig.close()


@pytest.fixture
async def owner(
    books: tuple[Rig, dict[str, object]], postgres_server: PostgresServer
) -> AsyncIterator[AsyncConnection]:
    """A superuser's connection without triggers and foreign keys; its changes are rolled back."""
    rig, _ = books
    postgres_server.run_sql(f'GRANT SET ON PARAMETER session_replication_role TO "{owner_of("rewards")}"')
    database = Database(rig.urls.migration, application_name="test-owner", pool_size=1)
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        yield connection
        await connection.rollback()
    await database.close()


async def breaches_by_check(rig: Rig, tx: AsyncConnection) -> dict[str, str]:
    """The breaches of each check, without the checks of the whole ledger, which need a transaction of their own."""
    checks = [
        check for check in rig.built.checks if check.name in set(Invariant) - {Invariant.BALANCES_ARE_SUMS}
    ]
    found = {check.name: await check.run(tx) for check in checks}
    return {name: " | ".join(breaches) for name, breaches in found.items() if breaches}


async def test_sound_data_has_no_breach(books: tuple[Rig, dict[str, object]], owner: AsyncConnection) -> None:
    """On sound data no check and no watch reports a breach."""
    rig, _ = books
    assert await rig.breaches() == []
    assert await breaches_by_check(rig, owner) == {}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_missing_row_is_a_breach(
    books: tuple[Rig, dict[str, object]], owner: AsyncConnection, name: str
) -> None:
    """Checks that begin with remaining rows report the missing one; the watches report the same."""
    rig, ids = books
    statements, expected = BROKEN[name]
    for statement in statements.format(**ids).split("; "):
        assert (await owner.execute(text(statement))).rowcount > 0
    found = await breaches_by_check(rig, owner)
    for invariant, said in expected.items():
        assert said.format(**ids) in found.get(invariant, ""), found
    watches = {watch.name: watch for watch in build_watches(intents=INTENTS)}
    for invariant in expected:
        assert (await watches[invariant].run(owner)).breaches
