"""Which path is served by which service: one table for the local gateway and for an Ingress.

The first route that matches decides, so a narrower path stands before the wider one that contains it.
"""

from dataclasses import dataclass
from typing import Final

SERVICES: Final = ("settlement", "rewards", "payouts", "webhooks", "signer")
"""The five services, in the order in which a prize passes them."""

SERVICES_WITH_API: Final = ("settlement", "rewards", "payouts", "webhooks")
"""The signer serves health and metrics only; its part of a lineage is served by payouts."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """`prefix` and everything below it goes to `service`; an empty `methods` means any."""

    prefix: str
    service: str
    methods: tuple[str, ...] = ()
    exact: bool = False


ROUTES: Final = (
    *(Route(prefix=f"/api/services/{name}", service=name) for name in SERVICES_WITH_API),
    Route(prefix="/api/competitions", service="settlement"),
    Route(prefix="/api/rounds", service="settlement"),
    Route(prefix="/api/matches", service="settlement"),
    Route(prefix="/api/wallet/topup", service="payouts"),
    Route(prefix="/api/wallet", service="rewards"),
    Route(prefix="/api/campaigns", service="rewards"),
    Route(prefix="/api/transactions", service="rewards"),
    Route(prefix="/api/rewards", service="rewards"),
    Route(prefix="/api/claims", service="rewards"),
    Route(prefix="/api/funding-accounts", service="rewards"),
    Route(prefix="/api/payouts/create", service="rewards", methods=("POST",), exact=True),
    Route(prefix="/api/payouts", service="payouts"),
    Route(prefix="/api/payout-methods", service="payouts"),
    Route(prefix="/api/admin/payouts", service="payouts"),
    Route(prefix="/api/payments/webhook", service="webhooks"),
    Route(prefix="/webhook/stripe", service="webhooks", methods=("POST",), exact=True),
    Route(prefix="/api/webhooks", service="webhooks"),
)


def service_for(*, method: str, path: str) -> str | None:
    """Name the service that serves `path`, or None where the gateway answers 404."""
    for route in ROUTES:
        below = not route.exact and path.startswith(route.prefix + "/")
        if (path == route.prefix or below) and (not route.methods or method in route.methods):
            return route.service
    return None
