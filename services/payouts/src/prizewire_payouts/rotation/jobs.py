"""The job that writes rows again which a former key encrypted or marked."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Database
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import get_logger
from prizewire_payouts.methods.adapters import DetailsVault, InstalledTypes
from prizewire_payouts.metrics import ROTATED
from prizewire_payouts.rotation.storage import START, Place, Rotation

_INTERVAL_S = 60.0
_log = get_logger(__name__)
T = TypeVar("T")


class Rotator:
    """Walks over all rows once for each start of the service, and over details for as long as a former key encrypts some. At the start it marks
    the accounts of methods from before there were such marks.
    """

    def __init__(self, *, db: Database, vault: DetailsVault, types: InstalledTypes) -> None:
        self._db = db
        self._types = types
        self._vault = vault
        self._unmarked = True
        self._place: Place | None = START
        self.job = Job("payouts.rotate_key", _INTERVAL_S, self.run)

    async def run(self) -> bool:
        """Write one slice again; True while there is more to do."""
        if self._unmarked:
            self._unmarked = bool(await self._slice(lambda rotation: rotation.unmarked()))
        if len(self._vault.key_ids) == 1:
            return self._unmarked
        methods = await self._slice(lambda rotation: rotation.methods())
        rail_rows = await self._slice(lambda rotation: rotation.rail_rows())
        evidence = await self._slice(lambda rotation: rotation.evidence())
        ROTATED.labels("payout_evidence").inc(evidence)
        ROTATED.labels("payout_methods").inc(methods)
        ROTATED.labels("rail_rows").inc(rail_rows)
        if self._place is not None:
            place = self._place
            self._place = await self._slice(lambda rotation: rotation.attempts(after=place))
            if self._place is None:
                _log.info("all attempts are marked by the present key", key_id=self._vault.key_id)
        return bool(self._unmarked or methods or rail_rows or evidence or self._place is not None)

    async def _slice(self, work: Callable[[Rotation], Awaitable[T]]) -> T:
        async def run(tx: AsyncConnection) -> T:
            return await work(Rotation(tx, vault=self._vault, types=self._types))

        return await self._db.run(run)
