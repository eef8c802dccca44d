"""The database of a service, as the doctor reads it."""

import pytest

from prizewire_devstack.components.postgres import DatabaseUrls
from prizewire_devstack.database_factory import DatabaseFactory
from tools.devstack.tests.doctor.sound import SERVICE, migrated


@pytest.fixture
def urls(make_database: DatabaseFactory) -> DatabaseUrls:
    """The database of payouts after its migrations."""
    return migrated(make_database, SERVICE)
