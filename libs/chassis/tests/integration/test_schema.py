"""What migrations make and what the code knows are one."""

import re

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, text

from prizewire_chassis.db.tables import chassis_tables

CATALOGUE = """
SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text, a.attidentity::text
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = :schema ::regnamespace AND c.relkind = 'r' AND a.attnum > 0
UNION ALL
SELECT 'index', c.relname, i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), '', ''
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = :schema ::regnamespace
UNION ALL
SELECT 'constraint', c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid), '', ''
FROM pg_constraint c WHERE c.connamespace = :schema ::regnamespace AND c.contype <> 'n'
"""


async def test_the_frozen_schema_is_what_tables_says(db, owner):
    """Who changes ``tables`` finds that the versions of the schema no longer make it: a new version is needed."""
    metadata = MetaData()
    tables = chassis_tables(metadata)
    names = {table.name for table in metadata.sorted_tables}

    def differences(connection: Connection) -> list[object]:
        options = {
            "compare_type": True,
            "include_object": lambda _, name, kind, *__: kind != "table" or name in names,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    def remade(connection: Connection) -> None:
        connection.execution_options(schema_translate_map={None: "fresh"})
        metadata.create_all(connection)

    async def catalogue(tx, schema: str) -> set[tuple[str, ...]]:
        rows = await tx.execute(text(CATALOGUE.replace(":schema", f"'{schema}'")))
        return {
            cleaned
            for row in rows
            if (cleaned := tuple(re.sub(r"\b(fresh|public)\.", "", str(part)) for part in row))[1] in names
        }

    async with owner.transaction() as tx:
        assert await tx.run_sync(differences) == []
        await tx.execute(text("CREATE SCHEMA fresh"))
        await tx.run_sync(remade)
        made, wanted = await catalogue(tx, "public"), await catalogue(tx, "fresh")
    assert tables.outbox.name in {row[1] for row in wanted}
    assert made == wanted
