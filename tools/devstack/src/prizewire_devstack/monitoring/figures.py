"""The main figures of an installation: those of the dashboards that a person looks at first.

Each is a gauge, so that Prometheus and the services' own answers give the same number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prizewire_devstack.monitoring import exposition, expressions
from prizewire_devstack.monitoring.exposition import Sample
from prizewire_devstack.monitoring.panels import Unit
from prizewire_devstack.monitoring.query import Prometheus
from prizewire_devstack.routes import SERVICES

REWARDS: Final = ("rewards",)
PAYOUTS: Final = ("payouts",)
SIGNER: Final = ("signer",)

Values = Mapping[tuple[str, ...], float]
"""A number for each set of labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure. ``by`` are the labels that divide it, ``of`` the further labels over which it is summed, ``where`` what it selects.

    A figure of each process (``own``) is summed over processes; all others are the same in every process of a service.
    ``services`` are those whose processes have the metric.
    """

    title: str
    group: str
    metric: str
    unit: Unit
    services: tuple[str, ...]
    by: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    where: Mapping[str, str] | None = None
    own: bool = False
    good: float | None = 0.0
    """The value that needs nobody; None where every value is good."""
    least_first: bool = False
    """Whether small values matter most, such as an empty pool: zeros are shown, and first."""

    @property
    def expr(self) -> str:
        """The question to Prometheus."""
        where = ",".join(f'{name}="{value}"' for name, value in (self.where or {}).items())
        if self.own:
            return expressions.summed(self.metric, *self.by, where=where)
        if self.of:
            return expressions.total(self.metric, *self.by, of=self.of, where=where)
        return expressions.largest(self.metric, *self.by, where=where)

    def of_samples(self, samples: Sequence[Sample]) -> Values:
        """The same out of the services' own answers."""
        if self.own:
            return exposition.summed(samples, self.metric, *self.by, where=self.where)
        found = exposition.largest(samples, self.metric, *self.by, *self.of, where=self.where)
        summed: dict[tuple[str, ...], float] = {}
        for key, value in found.items():
            short = key[: len(self.by)]
            summed[short] = summed.get(short, 0.0) + value
        return summed

    def of_prometheus(self, asked: Prometheus) -> Values:
        """The present values.

        Raises:
            PrometheusError: there was no answer.
        """
        return {
            tuple(one.labels.get(label, "") for label in self.by): one.value for one in asked.now(self.expr)
        }


def _pool(title: str, metric: str, *, good: float | None = None, least_first: bool = False) -> Figure:
    return Figure(
        title=title,
        group="Rewards",
        metric=f"prizewire_rewards_pool_{metric}",
        unit=Unit.MONEY,
        services=REWARDS,
        by=("name", "asset", "campaign"),
        good=good,
        least_first=least_first,
    )


FIGURES: Final[tuple[Figure, ...]] = (
    Figure(
        title="campaigns",
        group="Rewards",
        metric="prizewire_rewards_campaigns",
        unit=Unit.COUNT,
        services=REWARDS,
        by=("state",),
        good=None,
    ),
    _pool("pool remaining", "remaining", least_first=True),
    _pool("pool reserved", "reserved"),
    _pool("credited to winnings", "paid"),
    _pool("held as unfunded", "unfunded", good=0.0),
    Figure(
        title="held claims",
        group="Rewards",
        metric="prizewire_rewards_claims_held",
        unit=Unit.COUNT,
        services=REWARDS,
        by=("class",),
    ),
    Figure(
        title="payouts that have not ended",
        group="Payouts by rail",
        metric="prizewire_payouts",
        unit=Unit.COUNT,
        services=PAYOUTS,
        by=("rail", "state"),
        of=("asset",),
        good=None,
    ),
    Figure(
        title="circuit",
        group="Payouts by rail",
        metric="prizewire_rail_circuit",
        unit=Unit.STATE,
        services=PAYOUTS,
        by=("rail",),
    ),
    Figure(
        title="oldest without proof",
        group="Payouts by rail",
        metric="prizewire_payout_unknown_age_seconds",
        unit=Unit.SECONDS,
        services=PAYOUTS,
        by=("rail",),
    ),
    Figure(
        title="waiting for approvers",
        group="Payouts by rail",
        metric="prizewire_payouts_awaiting_approval",
        unit=Unit.COUNT,
        services=PAYOUTS,
    ),
    Figure(
        title="messages that wait",
        group="Pipeline",
        metric="prizewire_consumer_lag_messages",
        unit=Unit.COUNT,
        services=SERVICES,
        by=("service", "consumer"),
        own=True,
    ),
    Figure(
        title="time since a poll",
        group="Pipeline",
        metric="prizewire_consumer_poll_age_seconds",
        unit=Unit.SECONDS,
        services=SERVICES,
        by=("service",),
    ),
    Figure(
        title="stuck events",
        group="Pipeline",
        metric="prizewire_stuck_events",
        unit=Unit.COUNT,
        services=SERVICES,
        by=("service", "state"),
    ),
    Figure(
        title="oldest event in an outbox",
        group="Pipeline",
        metric="prizewire_outbox_age_seconds",
        unit=Unit.SECONDS,
        services=SERVICES,
        by=("service",),
    ),
    Figure(
        title="slots",
        group="Stellar and signer",
        metric="prizewire_stellar_slots",
        unit=Unit.COUNT,
        services=PAYOUTS,
        by=("state",),
        good=None,
    ),
    Figure(
        title="channels",
        group="Stellar and signer",
        metric="prizewire_stellar_channels",
        unit=Unit.COUNT,
        services=PAYOUTS,
        by=("state",),
        good=None,
    ),
    Figure(
        title="signing requests that wait",
        group="Stellar and signer",
        metric="prizewire_signer_waiting",
        unit=Unit.COUNT,
        services=SIGNER,
    ),
    Figure(
        title="broken invariants",
        group="Service health",
        metric="prizewire_invariant_breaches",
        unit=Unit.COUNT,
        services=SERVICES,
        by=("service",),
        of=("name",),
    ),
)
"""The figures in the order in which they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All figures at one time. ``source`` names who answered, ``answering`` the processes that the figures are of, each with its
    service, ``silent`` those that did not answer, each with its service.
    """

    source: str
    values: tuple[tuple[Figure, Values], ...]
    answering: Mapping[str, str]
    silent: Mapping[str, str]

    def unknown(self, figure: Figure) -> tuple[str, ...]:
        """The services of which a figure is unknown: no process answers, or, for a figure of each process, one does not."""
        known = set(self.answering.values())
        partly = set(self.silent.values()) if figure.own else set()
        return tuple(service for service in figure.services if service not in known or service in partly)


def from_prometheus(url: str) -> Reading:
    """The figures as Prometheus has them.

    Raises:
        PrometheusError: it did not answer.
    """
    with Prometheus(url) as asked:
        values = tuple((figure, figure.of_prometheus(asked)) for figure in FIGURES)
        up = sorted(asked.now('up{job="prizewire"}'), key=lambda one: one.labels["part"])
    return Reading(
        source=f"Prometheus at {url}",
        values=values,
        answering={one.labels["part"]: one.labels["service"] for one in up if one.value},
        silent={one.labels["part"]: one.labels["service"] for one in up if not one.value},
    )


def from_services(urls: Mapping[str, str], *, service_of: Callable[[str], str | None]) -> Reading:
    """The figures as the processes of the services show them."""
    services = {part: service for part in urls if (service := service_of(part)) is not None}
    samples, silent = exposition.read({part: urls[part] for part in services}, service_of=services)
    values = tuple((figure, figure.of_samples(samples)) for figure in FIGURES)
    return Reading(
        source="the services' /metrics",
        values=values,
        answering={part: service for part, service in services.items() if part not in silent},
        silent={part: services[part] for part in silent},
    )
