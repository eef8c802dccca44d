"""The lineage of a correlation id over all features."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import Lineage, LineageEntry


def joined(lineages: Sequence[Lineage]) -> Lineage:
    """One lineage of several, by time."""

    async def read(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
        entries = [entry for lineage in lineages for entry in await lineage(tx, correlation_id)]
        return sorted(entries, key=lambda entry: entry.at)

    return read
