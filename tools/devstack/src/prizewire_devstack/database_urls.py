"""URLs of databases in the form that the services' settings have."""

import re
from typing import Final

from prizewire_devstack.errors import DevstackError

_SSL: Final = re.compile(r"(?<=[?&])ssl=")
_OF_PSQL: Final = re.compile(r"[?&]sslmode=")


def for_asyncpg(url: str) -> str:
    """The URL as asyncpg takes it by itself: there the parameter `ssl` of the services' driver is called `sslmode`.

    Raises:
        DevstackError: it has `sslmode`, which services refuse.
    """
    if _OF_PSQL.search(url):
        raise DevstackError("The URL has the parameter sslmode, which services refuse: write ssl= instead.")
    return _SSL.sub("sslmode=", url)
