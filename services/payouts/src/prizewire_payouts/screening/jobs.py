"""The job that asks the screening service. The service is called outside of every transaction."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import get_logger
from prizewire_contracts.screening import ScreeningAnswer, ScreeningService
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.methods.ports import Vault
from prizewire_payouts.methods.storage import MethodStorage
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.rails.domain import Circuit, CircuitState
from prizewire_payouts.screening.domain import Verdict
from prizewire_payouts.screening.handlers import NO_ANSWER, Asked, as_stored, questions, record
from prizewire_payouts.screening.storage import ScreeningStorage
from prizewire_payouts.unit_of_work import UnitOfWorkFactory

AT_ONCE: Final = 16
"""Questions under way at one time."""
_EVERY_S: Final = 1.0
_log = get_logger(__name__)


class Screener:
    """Asks about payouts without a recent answer. A service that does not answer is left alone for a while, like a rail.

    Two processes may ask about the same payout: both answers are stored, and the later one counts.
    """

    def __init__(
        self,
        *,
        db: Database,
        unit_of_work: UnitOfWorkFactory,
        vault: Vault,
        service: ScreeningService,
        valid_for: timedelta,
        clock: Clock,
        timeout: timedelta,
    ) -> None:
        self._db = db
        self._unit_of_work = unit_of_work
        self._vault = vault
        self._service = service
        self._valid_for = valid_for
        self._clock = clock
        self._timeout = timeout
        self._circuit = Circuit(failures_max=AT_ONCE)
        self.job = Job("payouts.screen", _EVERY_S, self.run)

    async def run(self) -> bool:
        """Ask about some payouts, and store the answers; True while there is more to do."""
        now = self._clock.now()
        room = self._circuit.admits(room=AT_ONCE, now=now)
        if room == 0:
            return False

        async def read(tx: AsyncConnection) -> list[Asked]:
            unit_of_work = self._unit_of_work(tx)
            return await questions(
                ScreeningStorage(unit_of_work),
                MethodStorage(unit_of_work),
                opened=self._opened,
                valid_for=self._valid_for,
                now=now,
                limit=room,
            )

        asked = await self._db.run(read)
        if not asked:
            return False
        answers = await asyncio.gather(*(self._ask(one) for one in asked))
        await self._store(list(zip(asked, answers, strict=True)))
        return len(asked) == room and self._circuit.state is CircuitState.CLOSED

    async def _ask(self, asked: Asked) -> ScreeningAnswer:
        question = asked.question
        if question is None:
            return NO_ANSWER
        self._circuit.begun(now=self._clock.now())
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                answer = await self._service.screen(question, now=self._clock.now())
        except Exception as error:  # noqa: BLE001 - whatever a service raises, it has not answered; its text may hold personal details
            _log.warning("the screening service did not answer", error=type(error).__name__)
            answer = NO_ANSWER
        known = as_stored(payout_id=question.payout_id, answer=answer, now=self._clock.now())
        self._circuit.answered(clear=known.verdict is not Verdict.UNANSWERED, now=self._clock.now())
        return answer

    async def _store(self, answers: Sequence[tuple[Asked, ScreeningAnswer]]) -> None:
        now = self._clock.now()
        found = [
            (asked, as_stored(payout_id=asked.payout.payout_id, answer=answer, now=now))
            for asked, answer in answers
        ]

        async def store(tx: AsyncConnection) -> None:
            unit_of_work = self._unit_of_work(tx)
            await record(PayoutStorage(unit_of_work), ScreeningStorage(unit_of_work), found, now=now)

        await self._db.run(store)

    def _opened(self, method: Method) -> Mapping[str, Any]:
        return self._vault.open(method=method).details
