"""The metrics of the signer: their figures equal the rows, and their labels have known values."""

from datetime import timedelta
from functools import partial

from prometheus_client import REGISTRY

from prizewire_signer import metrics
from prizewire_signer.errors import Code
from prizewire_signer.jobs import check_job
from prizewire_signer.storage.checks import breaches_of, queue_state
from prizewire_signer.storage.limits import SCOPE_AGAIN, SCOPE_DAY
from services.signer.tests.fakes import ASSETS, intent, request
from services.signer.tests.integration.conftest import Signer


def used(scope: str, asset: str = "USDC") -> float | None:
    """The shown part of a limit."""
    return REGISTRY.get_sample_value("prizewire_signer_limit_used_ratio", {"scope": scope, "asset": asset})


def ceiling(scope: str, asset: str = "USDC") -> float | None:
    """The shown limit, in units of the asset."""
    return REGISTRY.get_sample_value("prizewire_signer_limit_ceiling", {"scope": scope, "asset": asset})


def refused(code: str) -> float | None:
    """How many requests were refused with a code."""
    return REGISTRY.get_sample_value("prizewire_signer_refusals_total", {"code": code})


def test_label_values_are_those_of_the_code() -> None:
    """The scopes are those of the rows, and each code of a refusal has a series before it is first counted."""
    assert set(metrics.SCOPES) == {SCOPE_AGAIN, SCOPE_DAY}
    assert all(refused(code) is not None for code in Code)


async def test_the_use_of_limits_begins_again_with_each_day(signer: Signer) -> None:
    """What is signed counts until the end of the UTC day, and nothing is used on the next one."""
    limits = signer.context.rules.policy.limits
    job = check_job(
        db=signer.db,
        clock=signer.clock,
        breaches_of=partial(breaches_of, limits=limits),
        queue_state=partial(queue_state, limits=limits),
        assets=ASSETS,
    )
    await job.run()
    assert used("day") == 0
    await signer.submit(request([intent(1)]))
    await job.run()
    (row,) = await signer.rows("SELECT used_minor, ceiling_minor FROM limit_use WHERE scope = 'day'")
    assert row.used_minor > 0
    assert used("day") == row.used_minor / row.ceiling_minor
    signer.clock.advance(timedelta(days=1))
    await job.run()
    assert used("day") == 0
    assert ceiling("day") == limits["USDC"].day_minor_max / ASSETS["USDC"].scale
