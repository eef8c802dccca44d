"""Every transfer is compared with the document that its cause names: no changed figure stays unreported."""

from collections.abc import AsyncIterator
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Database
from prizewire_devstack.components.postgres import PostgresServer, owner_of
from prizewire_devstack.testing import DatabaseFactory
from prizewire_rewards.checks import slices as checks
from prizewire_rewards.checks.invariants import Invariant
from prizewire_rewards.ledger.domain.accounts import EDGES, Account, Kind, TransferType
from services.rewards.tests.integration.test_missing_rows import move_money
from services.rewards.tests.moves import move_everything
from services.rewards.tests.rig import Rig
from services.rewards.tests.sql import insert, open_account


@pytest.fixture(scope="module")
async def books(make_module_database: DatabaseFactory) -> AsyncIterator[Rig]:
    """A service with moves of every type."""
    rig = await Rig.open(make_module_database("rewards", migrated=True))
    await move_money(rig)
    await move_everything(rig)
    assert await rig.stuck() == []
    yield rig
    await rig.close()


@pytest.fixture
async def owner(books: Rig, postgres_server: PostgresServer) -> AsyncIterator[AsyncConnection]:
    """A superuser's connection without triggers and foreign keys; its changes are rolled back."""
    postgres_server.run_sql(f'GRANT SET ON PARAMETER session_replication_role TO "{owner_of("rewards")}"')
    database = Database(books.urls.migration, application_name="test-owner", pool_size=1)
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        yield connection
        await connection.rollback()
    await database.close()


_DOCUMENTED, _WITH_DOCUMENT, _AS_BOOKED = (
    Invariant.TRANSFERS_DOCUMENTED,
    Invariant.MONEY_IS_DOCUMENTED,
    Invariant.PRIZES_AS_BOOKED,
)
_OTHER = (
    "UPDATE ledger_transfers SET {side}_account = (SELECT a.id FROM ledger_accounts a JOIN ledger_accounts o "
    "ON o.id = {side}_account AND a.kind = o.kind AND a.asset = o.asset WHERE a.owner = 'attacker') WHERE id = :id"
)
_GROUP = (
    "WITH own AS (INSERT INTO ledger_groups (cause, correlation_id) SELECT {cause}, {correlation} FROM ledger_journal "
    "WHERE id = :id RETURNING no) UPDATE ledger_transfers SET group_no = (SELECT no FROM own) WHERE id = :id"
)
"""The transfer alone gets another cause or correlation id."""
CHANGES: Final[dict[str, str]] = {
    "amount": "UPDATE ledger_transfers SET amount = amount + 1 WHERE id = :id",
    "asset": "UPDATE ledger_transfers SET asset = CASE asset WHEN 'EURC' THEN 'USDC' ELSE 'EURC' END WHERE id = :id",
    "debit": _OTHER.format(side="debit"),
    "credit": _OTHER.format(side="credit"),
    "cause": _GROUP.format(
        cause=(
            "regexp_replace(cause, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', CAST(gen_random_uuid() AS text))"
        ),
        correlation="correlation_id",
    ),
    "correlation": _GROUP.format(cause="cause", correlation="'other'"),
}
"""The figures of a transfer that are changed. An account is replaced by an attacker's account of the same kind and
asset.
"""
ONE_OWNER: Final = ("external_in", "external_out", "write_off", "clearing", "fees", "entry_fees", "rail_fees")
"""Kinds of accounts whose owner no document names."""
WITH_MONEY_IN: Final = {
    "campaign_funded",
    "funding_added",
    "opening_balance",
    "campaign_withdrawn",
    "funding_withdrawn",
}
"""Types that ``transfers_documented`` leaves to ``money_is_documented`` and to the sums of campaigns and accounts."""
PRIZES: Final = {name for name in TransferType if name.startswith(("prize_", "claim_"))}
"""Types whose amounts are compared with the prizes by the sums of rounds and players."""
NOT_DOCUMENTED: Final = {
    *((name, "amount") for name in PRIZES),
    ("rail_fee", "amount"),
    ("rail_fee", "asset"),
    ("rail_fee", "credit"),
    # the accounts name these documents, whatever the cause is
    *((name, "cause") for name in ("entry_fee_earned", "entry_fee_held", "entry_fee_refunded")),
    *(
        (name, "cause")
        for name in (
            "payout_paid",
            "payout_requested",
            "payout_exchanged",
            "payout_exchange_reversed",
            "payout_given_back",
        )
    ),
}
"""Changes of a transfer that ``transfers_documented`` does not find. The balances and the sums of rounds do."""
NOT_WITH_DOCUMENT: Final = {
    ("prize_reserved", "amount"),
    ("entry_fee_refunded", "amount"),
    ("topup_credited", "amount"),
    ("payout_returned", "debit"),
}
"""Changes that ``money_is_documented`` does not find in its transfers. ``transfers_documented`` or sums do."""
LOOKED_AT: Final = {
    "campaign_funded",
    "funding_added",
    "topup_credited",
    "payout_returned",
    "payout_given_back",
    "prize_reserved",
    "entry_fee_refunded",
}
"""The types that ``money_is_documented`` reads."""


class Moved(NamedTuple):
    """One transfer of each type and pair of account kinds."""

    id: UUID
    type: str
    debit_kind: str
    credit_kind: str


async def moved(tx: AsyncConnection) -> list[Moved]:
    rows = await tx.execute(
        text(
            "SELECT DISTINCT ON (type, debit_kind, credit_kind) id, type, debit_kind, credit_kind FROM ledger_transfers "
            "ORDER BY type, debit_kind, credit_kind, seq"
        )
    )
    return [Moved(*row) for row in rows]


async def breaches_of(tx: AsyncConnection, name: Invariant) -> str:
    """The breaches of the check of this name."""
    found = await checks._check_slices(tx, question=checks.QUESTIONS[name])
    return " | ".join(found)


async def open_attacker_accounts(tx: AsyncConnection) -> None:
    """Open an attacker's account of each kind."""
    await tx.execute(
        text(
            "INSERT INTO ledger_accounts (id, kind, owner, asset, bound, balance, opened_at) SELECT gen_random_uuid(), "
            "kind, 'attacker', code, bound, CASE WHEN bound = 'none' THEN NULL ELSE 0 END, now() FROM ledger_kinds, "
            "(VALUES ('USDC'), ('EURC'), ('XLM')) AS assets(code)"
        )
    )


async def test_every_type_of_transfer_is_tested(books: Rig, owner: AsyncConnection) -> None:
    """All checks hold on the sound data, and each type of transfer is tested except the listed ones."""
    assert await books.breaches() == []
    left = {edge.type for edge in EDGES} - {one.type for one in await moved(owner)}
    assert left == {"campaign_withdrawn", "funding_withdrawn", "opening_balance", "payout_fee"}


async def test_each_figure_of_a_transfer_is_compared_with_its_document(owner: AsyncConnection) -> None:
    """Amount, asset, payer, payee and cause: the constants above name each change that a check does not find, and the
    check that does.
    """
    await open_attacker_accounts(owner)
    unseen: list[tuple[str, str, str]] = []
    for one in await moved(owner):
        for change, statement in CHANGES.items():
            kind = {"debit": one.debit_kind, "credit": one.credit_kind}.get(change)
            if kind in ONE_OWNER:
                continue
            nested = await owner.begin_nested()
            assert (await owner.execute(text(statement), {"id": one.id})).rowcount == 1
            expected = set()
            if one.type not in WITH_MONEY_IN and (one.type, change) not in NOT_DOCUMENTED:
                expected.add(_DOCUMENTED)
            if (
                one.type in LOOKED_AT
                and one.debit_kind != "fx"
                and (one.type, change) not in NOT_WITH_DOCUMENT
            ):
                expected.add(_WITH_DOCUMENT)
            for name in (_DOCUMENTED, _WITH_DOCUMENT):
                reported = str(one.id) in await breaches_of(owner, name)
                if reported is not (name in expected):
                    unseen.append((name, " ".join(one[1:]), f"{change} {reported}"))
            await nested.rollback()
    assert unseen == []


async def test_each_type_of_transfer_needs_a_document(owner: AsyncConnection) -> None:
    """A transfer along any edge without a document is a breach."""
    made: dict[str, str] = {}
    for edge in EDGES:
        if edge.type in WITH_MONEY_IN:
            continue
        debit, credit = (Account(kind, str(uuid4()), "USDC") for kind in (edge.debit, edge.credit))
        for account in (debit, credit):
            await open_account(owner, account)
        transfer = await insert(owner, edge.type, debit, credit, 1, cause=f"x/{uuid4()}")
        made[str(transfer)] = edge.type
    reported = ""
    for made_id in made:
        reported += str(await checks._ask(owner, checks.QUESTIONS[_DOCUMENTED].breaches, ids=[UUID(made_id)]))
    assert {kind for made_id, kind in made.items() if made_id not in reported} == set()


_ACCOUNT_GONE = (
    "DELETE FROM ledger_accounts WHERE id = (SELECT {side}_account FROM ledger_transfers "
    "WHERE type = 'entry_fee_held' AND debit_kind = 'wallet:winnings' LIMIT 1)"
)
DOCUMENTS: dict[str, tuple[str, Invariant, str]] = {
    "a withdrawal of fees without an approval": (
        "UPDATE fee_withdrawals SET state = 'rejected'",
        _DOCUMENTED,
        "there is no approved withdrawal of fees",
    ),
    "money that left by a withdrawal without an approval": (
        "UPDATE fee_withdrawals SET state = 'rejected'",
        Invariant.FEES_ADD_UP,
        "is rejected, and 7.00 USDC has left by it",
    ),
    "another withdrawal than was approved": (
        "UPDATE fee_withdrawals SET amount = amount + 1 WHERE source = 'platform'",
        Invariant.FEES_ADD_UP,
        "of 7.01 USDC is approved, and 7.00 USDC has left by it",
    ),
    "more fees that left than there were": (
        "INSERT INTO ledger_deltas (account, delta) SELECT id, -9000000 FROM ledger_accounts WHERE kind = 'entry_fees'",
        Invariant.FEES_ADD_UP,
        "the least account of fees holds -",
    ),
    "a dispute that was not won": (
        "UPDATE topup_reversals SET won = false, restored = 0, lifted = 0 WHERE won",
        _DOCUMENTED,
        "(topup_credited, ",
    ),
    "another reversal of a top-up": (
        "UPDATE topup_reversals SET reference = reference || 'x' WHERE NOT won",
        _DOCUMENTED,
        "(topup_reversed, ",
    ),
    "another won dispute": (
        "UPDATE topup_reversals SET reference = reference || 'x' WHERE won",
        _DOCUMENTED,
        "(topup_credited, ",
    ),
    "a claim of another round": (
        "UPDATE claims SET round_id = gen_random_uuid() WHERE state = 'expired'",
        _DOCUMENTED,
        "(claim_expired, ",
    ),
    "a claim that was refused and whose row was deleted": (
        "DELETE FROM claims WHERE player = 'wim'",
        _DOCUMENTED,
        "(claim_rejected, ",
    ),
    "a prize of another round": (
        "UPDATE rewards SET round_id = gen_random_uuid() WHERE player = 'tom'",
        _DOCUMENTED,
        "(prize_credited, 10.00 USDC",
    ),
    "more in the escrow of top-ups": (
        "UPDATE ledger_accounts SET balance = balance + 1 WHERE kind = 'entry_fee_escrow:topup' AND balance > 0",
        Invariant.ENTRIES_IN_ESCROW,
        "5.00 USDC from top-ups, 0.00 USDC from winnings), and holds 5.01 USDC and 0.00 USDC",
    ),
    "more in the escrow of winnings": (
        "UPDATE ledger_accounts SET balance = balance + 1 WHERE kind = 'entry_fee_escrow:winnings'",
        Invariant.ENTRIES_IN_ESCROW,
        "is earned (3.00 USDC from top-ups, 2.00 USDC from winnings), and holds 0.00 USDC and 0.01 USDC",
    ),
    "an entry without its round": (
        "DELETE FROM entry_rounds",
        Invariant.ENTRIES_IN_ESCROW,
        "its round is missing",
    ),
    "an entry whose round has ended": (
        "UPDATE entry_rounds SET open = false, ended_as = 'earned' WHERE ended_as IS NULL",
        Invariant.ENTRIES_IN_ESCROW,
        "its round is earned",
    ),
    "a top-up that was reversed otherwise": (
        "UPDATE topups SET reversed = reversed - 1 WHERE player = 'dan'",
        Invariant.TOPUPS_ADD_UP,
        "20.00 USDC credited, 4.99 USDC reversed; its reversals make 5.00 USDC",
    ),
    "a reversal that took otherwise": (
        "UPDATE topup_reversals SET taken = taken - 1, owed = owed + 1 WHERE reference = 'dp_zed'",
        Invariant.TOPUPS_ADD_UP,
        "its reversals make 20.00 USDC, the ledger credited 20.00 USDC and took 5.00 USDC",
    ),
    "a top-up that was credited otherwise": (
        "UPDATE topups SET credited = credited + 1 WHERE player = 'dan'",
        Invariant.TOPUPS_ADD_UP,
        "20.01 USDC credited, 5.00 USDC reversed",
    ),
    "a disowned round that is not voided": (
        "UPDATE rounds SET state = 'final' WHERE id IN (SELECT round_id FROM round_disownments)",
        Invariant.DISOWNED_GONE,
        "is approved: the round is final",
    ),
    "a fee of a disowned round that did not come back": (
        "DELETE FROM ledger_transfers WHERE type = 'platform_fee_reversed'",
        Invariant.DISOWNED_GONE,
        "of its fees 3.00 USDC were taken and 1.00 USDC came back or are owed",
    ),
    "an entry of a disowned round that is earned": (
        "UPDATE entries SET state = 'earned' WHERE round_id IN (SELECT round_id FROM round_disownments)",
        Invariant.DISOWNED_GONE,
        "and 1 of its entries have their fee taken",
    ),
    "fees that came back without an approval": (
        "UPDATE round_disownments SET state = 'rejected'",
        Invariant.DISOWNED_GONE,
        "is rejected: the round is voided",
    ),
    "an opening that was never booked": (
        (
            "INSERT INTO money_in SELECT (jsonb_populate_record(m, jsonb_build_object('id', gen_random_uuid(), "
            "'reference', 'another'))).* "
            "FROM money_in m LIMIT 1"
        ),
        _WITH_DOCUMENT,
        "which was never booked",
    ),
    "money that came in without a record": (
        "DELETE FROM money_in",
        _WITH_DOCUMENT,
        "no record says who let it in",
    ),
    **{
        f"another {column} on record": (
            f"UPDATE money_in SET {column} = {value} WHERE type = 'funding_added'",
            _WITH_DOCUMENT,
            "(funding_added) of 10.00 USDC",
        )
        for column, value in (
            ("type", "'campaign_funded'"),
            ("account", "gen_random_uuid()"),
            ("asset", "'EURC'"),
            ("amount", "amount + 1"),
            ("cause", "'funding/x'"),
            ("correlation_id", "'x'"),
        )
    },
}
for _kind in ("pool", "claimable", "reserved", "payout_pending", "fx", "funding", "entry_fee_escrow:topup",
              "entry_fee_escrow:winnings"):  # fmt: skip
    DOCUMENTS |= {
        f"{_kind} without an owner": (
            f"UPDATE ledger_accounts SET owner = gen_random_uuid() WHERE kind = '{_kind}'",
            Invariant.ACCOUNTS_OWNED,
            f"{_kind} of ",
        ),
        f"{_kind} in another asset": (
            f"UPDATE ledger_accounts SET asset = 'XLM' WHERE kind = '{_kind}' AND asset = 'USDC'",
            Invariant.ACCOUNTS_OWNED,
            f"{_kind} of ",
        ),
    }
for _side in ("debit", "credit"):
    DOCUMENTS[f"a {_side}ed account that whose row was deleted"] = (
        _ACCOUNT_GONE.format(side=_side),
        _DOCUMENTED,
        "an account that is missing",
    )


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_each_document_is_compared_with_its_transfers(owner: AsyncConnection, name: str) -> None:
    """Each changed document is a breach of its check, with a message that names it."""
    statement, invariant, said = DOCUMENTS[name]
    assert (await owner.execute(text(statement))).rowcount > 0
    assert said in await breaches_of(owner, invariant)


async def test_entries_of_a_closing_round_may_be_open(owner: AsyncConnection) -> None:
    """Chunks of entries are closed one after the other, so open entries are no breach meanwhile."""
    statement = (
        "UPDATE entry_rounds SET open = false, ended_as = 'earned', closing = true WHERE ended_as IS NULL"
    )
    assert (await owner.execute(text(statement))).rowcount > 0
    assert await breaches_of(owner, Invariant.ENTRIES_IN_ESCROW) == ""


async def test_a_fee_that_a_payout_does_not_have_is_a_breach(owner: AsyncConnection) -> None:
    """Also where the payout exists."""
    payout = (
        await owner.execute(text("SELECT id FROM payouts WHERE state = 'requested' LIMIT 1"))
    ).scalar_one()
    debit, credit = Account(Kind.PAYOUT_PENDING, str(payout), "USDC"), Account(Kind.FEES, "platform", "USDC")
    await insert(owner, "payout_fee", debit, credit, 1, cause=f"payout/{payout}")
    assert "(payout_fee, 0.01 USDC" in await breaches_of(owner, _DOCUMENTED)
