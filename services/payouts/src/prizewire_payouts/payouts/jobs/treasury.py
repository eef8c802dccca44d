"""The job that shows what the accounts of rails can pay, and what payouts need."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics.definitions import show
from prizewire_contracts.rails import AccountBalances
from prizewire_money import Amount, AssetRegistry
from prizewire_payouts.metrics import (
    TREASURY_BALANCE,
    TREASURY_COVER,
    TREASURY_FAILURES,
    TREASURY_NEEDED,
)
from prizewire_payouts.payouts.storage.figures import needed
from prizewire_payouts.rails.ports import Rail

TREASURY_INTERVAL_S: Final = 30.0
_log = get_logger(__name__)
_Figures = dict[tuple[str, ...], float]


def treasury_job(
    *, db: Database, rails: Sequence[Rail], assets: AssetRegistry, clock: Clock, call_timeout: timedelta
) -> Job:
    """Asks the rails whose providers say what their account has (``AccountBalances``), each once in 30 seconds. A rail that does not
    answer shows no balance until it answers again. ``call_timeout`` is how long a rail may take.
    """
    for rail in rails:
        if isinstance(rail.provider, AccountBalances):
            TREASURY_FAILURES.labels(rail.name)

    async def run() -> bool:
        balances: dict[tuple[str, str], Amount] = {}
        read = await asyncio.gather(
            *(_balances(rail, clock=clock, call_timeout=call_timeout) for rail in rails)
        )
        for rail, found in zip(rails, read, strict=True):
            balances |= {(rail.name, code): amount for code, amount in found.items()}
        async with db.transaction() as tx:
            minor = await needed(tx)
        show_treasury(balances=balances, minor=minor, rails=rails, assets=assets)
        return False

    return Job("payouts.treasury", TREASURY_INTERVAL_S, run)


async def _balances(rail: Rail, *, clock: Clock, call_timeout: timedelta) -> Mapping[str, Amount]:
    """What a rail says; nothing where it says nothing or does not answer."""
    if not isinstance(rail.provider, AccountBalances):
        return {}
    try:
        async with asyncio.timeout(call_timeout.total_seconds()):
            return await rail.provider.balances(now=clock.now())
    except Exception as error:  # noqa: BLE001 - whatever a provider raises, its balances are not known
        _log.warning("the rail did not say what it can pay", rail=rail.name, error=type(error).__name__)
        TREASURY_FAILURES.labels(rail.name).inc()
        return {}


def show_treasury(
    *,
    balances: Mapping[tuple[str, str], Amount],
    minor: Mapping[tuple[str, str], int],
    rails: Sequence[Rail],
    assets: AssetRegistry,
) -> None:
    """Set the gauges. ``balances`` and ``minor``, what is needed in minor units, are by rail and asset code."""
    wanted: _Figures = {(rail.name, code): 0 for rail in rails for code in rail.capabilities.assets}
    wanted |= {(rail, code): _units(Amount(assets[code], least)) for (rail, code), least in minor.items()}
    show(TREASURY_BALANCE, {(*key,): _units(amount) for key, amount in balances.items()})
    show(TREASURY_NEEDED, wanted)
    show(
        TREASURY_COVER,
        {(*key,): amount.minor / minor[key] for key, amount in balances.items() if minor.get(key)},
    )


def _units(amount: Amount) -> float:
    """An amount in units of its asset. A metric need not be exact, and the API says it exactly."""
    return float(amount.to_wire())
