"""For tests of rails: a store in memory, and the requirements of every store."""

from prizewire_railkit.testing.memory import MemoryDatabase
from prizewire_railkit.testing.stores import StoreConformance

__all__ = ["MemoryDatabase", "StoreConformance"]
