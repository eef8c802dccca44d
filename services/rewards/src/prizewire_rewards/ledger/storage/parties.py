"""Parties of money over PostgreSQL. A wallet has each party once, however many credits it gets."""

from collections.abc import Iterable, Sequence

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Write, later
from prizewire_rewards.ledger.domain.accounts import Account
from prizewire_rewards.ledger.domain.parties import CreditParties, Party, sorted_parties


def parties_json(parties: Sequence[Party]) -> str:
    """Encode parties as they are stored."""
    return orjson.dumps([[role, subject] for role, subject in parties]).decode()


def parties_of(document: str) -> tuple[Party, ...]:
    """Decode stored parties."""
    return tuple((role, subject) for role, subject in orjson.loads(document))


class SqlParties:
    """The port over one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def add_source(self, source: str, party: Party) -> None:
        """See the port."""
        role, subject = party
        await self._tx.execute(_ADD_SOURCE, {"source": source, "role": str(role), "subject": subject})

    async def of_source(self, source: str) -> tuple[Party, ...]:
        """See the port."""
        return parties_of((await self._tx.execute(_OF_SOURCE, {"source": source})).scalar_one())

    async def of_sources(self, sources: Iterable[str]) -> dict[str, tuple[Party, ...]]:
        """See the port."""
        found: dict[str, tuple[Party, ...]] = {}
        for row in await self._tx.execute(_OF_SOURCES, {"sources": sorted(set(sources))}):
            found[row.source] = (*found.get(row.source, ()), (row.role, row.subject))
        return found

    async def keep(self, credited: Sequence[tuple[Account, CreditParties]]) -> None:
        """See the port."""
        rows = sorted(
            {
                (wallet.owner, wallet.asset, str(role), subject, subject in credited_by.one_person)
                for wallet, credited_by in credited
                for role, subject in credited_by.parties
            }
        )
        if rows:
            names = ("players", "assets", "roles", "subjects", "alones")
            columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
            await later(self._tx, _KEEP, columns)

    async def of_wallet(self, wallet: Account) -> CreditParties:
        """See the port."""
        found = await self._tx.execute(_OF_WALLET, {"player": wallet.owner, "asset": wallet.asset})
        rows = found.all()
        return CreditParties(
            sorted_parties((row.role, row.subject) for row in rows),
            tuple(sorted({row.subject for row in rows if row.alone})),
        )

    async def forget(self, wallet: Account) -> None:
        """See the port."""
        await self._tx.execute(_FORGET, {"player": wallet.owner, "asset": wallet.asset})


_ADD_SOURCE = text(
    "INSERT INTO source_parties (source, role, subject) VALUES (:source, :role, :subject) ON CONFLICT DO NOTHING"
)
_OF_SOURCE = text("SELECT parties_of(:source)")
_OF_SOURCES = text(
    "SELECT source, role, subject FROM source_parties WHERE source = ANY (CAST(:sources AS text[])) "
    "ORDER BY source, role, subject"
)
_KEEP = Write(
    "wallet_parties",
    "INSERT INTO wallet_parties (player, asset, role, subject, alone) "
    "SELECT * FROM unnest(CAST(:players AS text[]), CAST(:assets AS text[]), CAST(:roles AS text[]), "
    "CAST(:subjects AS text[]), CAST(:alones AS boolean[])) ON CONFLICT DO NOTHING",
)
_OF_WALLET = text("SELECT role, subject, alone FROM wallet_parties WHERE player = :player AND asset = :asset")
_FORGET = text(
    "DELETE FROM wallet_parties WHERE player = :player AND asset = :asset AND NOT EXISTS ("
    "SELECT 1 FROM entries WHERE player = :player AND asset = :asset AND state = 'paid' AND from_winnings > 0)"
)
