"""The job that shows when the tokens of sources end."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import Job
from prizewire_chassis.metrics import CREDENTIAL_EXPIRES
from prizewire_settlement.source_tokens.ports import SourceTokens

ENDS_INTERVAL_S: Final = 60.0
SOURCES_MAX: Final = 50
ENDED_SHOWN: Final = timedelta(days=7)
"""How long a token that ended without a successor is still shown."""
_KIND: Final = "token"


def ends_job(*, db: Database, tokens: Callable[[AsyncConnection], SourceTokens], clock: Clock) -> Job:
    """The job that sets the gauge of credentials for each source: when the first of its tokens ends. A source that is no longer
    among those that end first loses its series.
    """
    shown: set[str] = set()

    async def run() -> bool:
        async with db.transaction() as tx:
            ends = await tokens(tx).ends(since=clock.now() - ENDED_SHOWN, limit=SOURCES_MAX)
        for source in shown - ends.keys():
            CREDENTIAL_EXPIRES.remove(_KIND, source)
        for source, end in ends.items():
            CREDENTIAL_EXPIRES.labels(_KIND, source).set(end.timestamp())
        shown.clear()
        shown.update(ends)
        return False

    return Job("source_tokens.ends", ENDS_INTERVAL_S, run)
