"""Jobs of claims: expire unclaimed prizes, and decide held claims whose deadline has passed."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import Batches
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import get_logger
from prizewire_money import AssetRegistry
from prizewire_rewards import metrics
from prizewire_rewards.claims.domain import CLAIM_LIVE, HOLD_CLASSES, ClaimState
from prizewire_rewards.claims.handlers.claims import EndedClaims, expire_due, pass_deadlines
from prizewire_rewards.claims.ports import ClaimPorts

EXPIRE_INTERVAL_S = 5.0
OVERDUE_INTERVAL_S = 15.0
_log = get_logger(__name__)


def build_claim_jobs(
    *,
    db: Database,
    ports_of: Callable[[AsyncConnection], ClaimPorts],
    clock: Clock,
    assets: AssetRegistry,
    count_claims: Callable[[AsyncConnection, datetime], Awaitable[Mapping[str, tuple[int, int]]]],
    count_held: Callable[[AsyncConnection], Awaitable[Mapping[str, int]]],
    released: Callable[[], None],
) -> Sequence[Job]:
    """Build the jobs of claims. They call ``released`` when money came back to a pool. ``count_claims`` returns by state
    the number of waiting claims and the number of those whose deadline has passed, ``count_held`` the number of held claims
    by rule.
    """
    expiring, passing = (Batches(job, db=db, clock=clock) for job in ("claims.expire", "claims.overdue"))

    async def expire() -> bool:
        async def attempt(tx: AsyncConnection) -> EndedClaims | None:
            return await expire_due(ports=ports_of(tx), now=clock.now())

        for ended in await expiring.run(attempt, seeking=True):
            if ended is None:
                return False
            metrics.CLAIMS.labels(ClaimState.EXPIRED).inc(len(ended.claims))
            _log.info("prizes expired", campaign=str(ended.campaign), claims=len(ended.claims))
            released()
        return True

    async def overdue() -> bool:
        async def attempt(tx: AsyncConnection) -> EndedClaims | None:
            return await pass_deadlines(ports=ports_of(tx), now=clock.now())

        async with db.transaction() as tx:
            waiting = await count_claims(tx, clock.now())
            held = await count_held(tx)
        _show(waiting, held)
        for ended in await passing.run(attempt, seeking=True):
            if ended is None:
                return False
            report(ended)
            released()
        return True

    def report(ended: EndedClaims) -> None:
        metrics.count_paid(ended.paid, assets=assets)
        for one in ended.claims:
            rule = "release" if one.state is ClaimState.APPROVED else "reject"
            metrics.CLAIMS_OVERDUE.labels(rule).inc()
            metrics.CLAIMS.labels(one.state).inc()
            _log.warning(
                "the deadline of a held claim passed without a decision",
                reward_id=str(one.reward_id),
                campaign=str(one.campaign),
                correlation_id=one.correlation_id,
                rule=rule,
            )

    return (
        Job("claims.expire", EXPIRE_INTERVAL_S, expire),
        Job("claims.overdue", OVERDUE_INTERVAL_S, overdue),
    )


def _show(waiting: Mapping[str, tuple[int, int]], held: Mapping[str, int]) -> None:
    for state in CLAIM_LIVE:
        total, late = waiting.get(state, (0, 0))
        metrics.CLAIMS_WAITING.labels(state).set(total)
        metrics.CLAIMS_PAST_DEADLINE.labels(state).set(late)
    classes: Counter[str] = Counter()
    for rule, claims in held.items():
        classes[HOLD_CLASSES[rule]] += claims
    metrics.show_held_claims(classes)
