"""Which path is served by which service: one table for the local gateway and for an Ingress.

A path stands here once its service serves it, and no two routes contain each other.
"""

from dataclasses import dataclass
from typing import Final

SERVICES: Final = ("settlement", "rewards", "payouts", "webhooks", "signer")
"""The five services, in the order in which a prize passes them."""

SERVICES_WITH_API: Final = ("settlement", "rewards", "payouts", "webhooks")
"""The signer serves health and metrics only; its part of a lineage is served by payouts."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """`prefix` and everything below it goes to `service`."""

    prefix: str
    service: str


ROUTES: Final = (
    *(Route(prefix=f"/api/services/{name}", service=name) for name in SERVICES_WITH_API),
    Route(prefix="/api/competitions", service="settlement"),
    Route(prefix="/api/rounds", service="settlement"),
    Route(prefix="/api/wallet", service="rewards"),
    Route(prefix="/api/campaigns", service="rewards"),
    Route(prefix="/api/transactions", service="rewards"),
    Route(prefix="/api/rewards", service="rewards"),
    Route(prefix="/api/imports", service="rewards"),
    Route(prefix="/api/payouts", service="payouts"),
    Route(prefix="/api/payout-methods", service="payouts"),
    Route(prefix="/api/admin/payouts", service="payouts"),
    Route(prefix="/api/payments/webhook", service="webhooks"),
    Route(prefix="/api/webhooks", service="webhooks"),
)


def service_for(*, path: str) -> str | None:
    """Name the service that serves `path`, or None where the gateway answers 404."""
    for route in ROUTES:
        if path == route.prefix or path.startswith(route.prefix + "/"):
            return route.service
    return None
