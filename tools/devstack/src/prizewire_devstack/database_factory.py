"""The type of the fixtures that make databases, for annotations of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from prizewire_devstack.components.postgres import DatabaseUrls


class DatabaseFactory(Protocol):
    """Makes a fresh database for a service; `migrated` gives it the service's tables."""

    def __call__(self, service: str, *, migrated: bool = False) -> DatabaseUrls:
        """Return the URLs of the new database for the service's two roles."""
