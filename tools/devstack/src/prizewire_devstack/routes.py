"""The routes of all services with their time limits: one table for the local gateway and for an Ingress.

A path is listed once its service serves it. Of two routes with a common prefix the longer one holds: the table is sorted
for this, as an Ingress does.
"""

from dataclasses import dataclass
from typing import Final

SERVICES: Final = ("settlement", "rewards", "payouts", "webhooks", "signer")
"""The five services, in the order in which a prize passes them."""

SERVICES_WITH_API: Final = ("settlement", "rewards", "payouts", "webhooks")
"""The signer serves health and metrics only; its part of a lineage is served by payouts."""

SIGNER: Final = "signer"

ANSWER_WITHIN_S: Final = 160.0
"""Seconds that a service may take to begin its answer: 30 s for a connection to the database, 120 s for its transaction,
and 10 s for everything else.
"""
LONG_ANSWER_WITHIN_S: Final = 610.0
"""The same for routes whose work is longer than one transaction of limited time. A little longer than `prizewire verify`
waits for the checks of a service.
"""


@dataclass(frozen=True, kw_only=True)
class Route:
    """`prefix` and everything below it goes to `service`.

    The gateway answers 504 for a service that does not begin its answer within `answer_within_s`. An answer that has begun
    has no time limit: exports are streamed.
    """

    prefix: str
    service: str
    answer_within_s: float = ANSWER_WITHIN_S


_LONG: Final = ("checks", "stuck-events")
"""The checks read whole tables. A replay or a discard applies all events that wait behind the event, each in a
transaction of its own.
"""

_TABLE: Final = (
    *(Route(prefix=f"/api/services/{name}", service=name) for name in SERVICES_WITH_API),
    *(
        Route(prefix=f"/api/services/{name}/{part}", service=name, answer_within_s=LONG_ANSWER_WITHIN_S)
        for name in SERVICES_WITH_API
        for part in _LONG
    ),
    Route(prefix="/api/competitions", service="settlement"),
    Route(prefix="/api/rounds", service="settlement"),
    Route(prefix="/api/matches", service="settlement"),
    Route(prefix="/api/source-tokens", service="settlement"),
    Route(prefix="/api/wallet", service="rewards"),
    Route(prefix="/api/campaigns", service="rewards"),
    Route(prefix="/api/transactions", service="rewards"),
    Route(prefix="/api/rewards", service="rewards"),
    Route(prefix="/api/claims", service="rewards"),
    Route(prefix="/api/players", service="rewards"),
    Route(prefix="/api/admin/payee-assignments", service="rewards"),
    Route(prefix="/api/fee-withdrawals", service="rewards"),
    Route(prefix="/api/fees", service="rewards"),
    Route(prefix="/api/round-disownments", service="rewards"),
    Route(prefix="/api/funding-accounts", service="rewards"),
    Route(prefix="/api/payouts/batches", service="rewards"),
    Route(prefix="/api/payouts/create", service="rewards"),
    Route(prefix="/api/receivables", service="rewards"),
    Route(prefix="/api/imports", service="rewards"),
    Route(prefix=f"/api/services/{SIGNER}/audit", service="payouts"),
    Route(prefix="/api/payouts", service="payouts"),
    Route(prefix="/api/payout-methods", service="payouts"),
    Route(prefix="/api/payout-quotes", service="payouts"),
    Route(prefix="/api/admin/payouts", service="payouts"),
    Route(prefix="/api/admin/legal-approvals", service="payouts"),
    Route(prefix="/api/payments/webhook", service="webhooks"),
    Route(prefix="/api/webhooks", service="webhooks"),
)

ROUTES: Final = tuple(sorted(_TABLE, key=lambda route: route.prefix.count("/"), reverse=True))
"""The table, routes that lie deeper first: the first that fits a path is the longest that does."""


def service_for(*, path: str) -> str | None:
    """Name the service that serves `path`, or None where the gateway answers 404."""
    for route in ROUTES:
        if path == route.prefix or path.startswith(route.prefix + "/"):
            return route.service
    return None
