"""The store in memory passes the suite that every store passes."""

from prizewire_railkit.store import RailStore
from prizewire_railkit.testing import MemoryDatabase, StoreConformance


class TestInMemory(StoreConformance):
    async def make_stores(self) -> tuple[RailStore, RailStore]:
        database = MemoryDatabase()
        return database.store("one"), database.store("two")
