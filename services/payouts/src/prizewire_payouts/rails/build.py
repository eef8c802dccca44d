"""Builds the providers that the configuration names, and no others: from packages, and from executions of payouts."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any
from uuid import UUID

from litestar import Controller
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check
from prizewire_chassis.clock import Clock
from prizewire_chassis.http import Lineage
from prizewire_chassis.inbox import ConsumerSpec
from prizewire_chassis.jobs import Job
from prizewire_contracts.rails import PROVIDER_ENTRY_POINTS, RAIL_CHECK_ENTRY_POINTS, RewardPayoutProvider
from prizewire_money import AssetRegistry
from prizewire_payouts.execution import (
    EXECUTION_ENTRY_POINTS,
    ExecutionContext,
    ExecutionParts,
    ExecutionType,
)
from prizewire_payouts.rails.adapters import RailEntry, read_costs
from prizewire_payouts.rails.ports import Rail
from prizewire_railkit import Options, RailContext, RailMisconfigured
from prizewire_railkit.method_types import MethodType
from prizewire_railkit.store import RailStore

Factory = Callable[[RailContext], RewardPayoutProvider]


class Executions:
    """The executions of the configured rails. Each is built at most once, since it owns the accounts that it pays from."""

    def __init__(self, context: Callable[[RailEntry], ExecutionContext]) -> None:
        self._context = context
        self._parts: dict[str, ExecutionParts] = {}

    def build(self, entry: RailEntry, found: ExecutionType) -> RewardPayoutProvider:
        """The provider of an entry.

        Raises:
            RailMisconfigured: an entry before it has the same provider, or the execution refuses its configuration.
            ValueError: a setting of the execution cannot be used.
        """
        if entry.provider in self._parts:
            msg = (
                f"the rail {entry.name} is a second one of the provider {entry.provider}: remove one of them, "
                "since its accounts have one execution"
            )
            raise RailMisconfigured(msg)
        parts = found.build(self._context(entry))
        self._parts[entry.provider] = parts
        return parts.provider

    @property
    def specs(self) -> list[ConsumerSpec]:
        """The consumers of all executions."""
        return [one for parts in self._parts.values() for one in parts.specs]

    @property
    def jobs(self) -> list[Job]:
        """The jobs of all executions."""
        return [one for parts in self._parts.values() for one in parts.jobs]

    @property
    def checks(self) -> list[Check]:
        """The invariants of all executions."""
        return [one for parts in self._parts.values() for one in parts.checks]

    @property
    def lineages(self) -> list[Lineage]:
        """The lineage of each execution."""
        return [parts.lineage for parts in self._parts.values()]

    @property
    def own_accounts(self) -> frozenset[str]:
        """The accounts that Prizewire itself pays from."""
        return frozenset(one for parts in self._parts.values() for one in parts.own_accounts)

    def controllers(self, shared: Mapping[str, Any]) -> list[type[Controller]]:
        """The controllers of all executions, over what every context has."""
        return [one for parts in self._parts.values() for one in parts.controllers(shared)]

    async def signed_unasked(self, tx: AsyncConnection, payout_ids: Sequence[UUID]) -> Collection[UUID]:
        """See `prizewire_payouts.unit_of_work.SignedUnasked`."""
        found: set[UUID] = set()
        for parts in self._parts.values():
            found.update(await parts.signed_unasked(tx, payout_ids))
        return found

    async def close(self) -> None:
        """Close what the executions have opened."""
        for parts in self._parts.values():
            await parts.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class RailParts:
    """What every provider is built from. ``store`` makes the store of the rail that it is given the name of; None where the
    configuration is only checked.
    """

    clock: Clock
    assets: AssetRegistry
    environment: str
    method_types: Mapping[str, MethodType]
    store: Callable[[str], RailStore] | None

    def context(self, entry: RailEntry) -> RailContext:
        """The context of an entry's provider."""
        return RailContext(
            name=entry.name,
            options=Options(rail=entry.name, values=entry.options),
            clock=self.clock,
            assets=self.assets,
            environment=self.environment,
            method_types=self.method_types,
            store=None if self.store is None else self.store(entry.name),
        )


def build_rails(entries: Sequence[RailEntry], *, parts: RailParts, executions: Executions) -> list[Rail]:
    """A provider for each entry, from the entry points of executions and of packages, of which only the configured are imported. They
    are sorted by preference.

    Raises:
        RailMisconfigured: nothing brings a provider, several do, or its package or execution refuses the configuration.
        ValueError: a setting of an execution cannot be used.
    """
    rails = []
    for entry in entries:
        loaded = load(entry)
        if isinstance(loaded, ExecutionType):
            provider = executions.build(entry, loaded)
        else:
            provider = loaded(parts.context(entry))
        rails.append(
            Rail(
                name=entry.name,
                capabilities=provider.capabilities(),
                provider=provider,
                provider_name=entry.provider,
                preference=entry.preference,
                costs=read_costs(entry, assets=parts.assets),
            )
        )
    return sorted(rails, key=lambda rail: rail.preference)


def check_executions(entries: Sequence[RailEntry], *, settings: Any) -> None:
    """Check the part of the configuration that executions read. The options of packages are for ``check_packages``.

    Raises:
        RailMisconfigured: nothing brings a provider, several do, or an execution refuses the configuration.
        ValueError: a setting of an execution cannot be used.
    """
    for entry in entries:
        point = _entry_point(entry)
        if point.group == EXECUTION_ENTRY_POINTS:
            found = load(entry)
            assert isinstance(found, ExecutionType)
            found.check(rail=entry.name, options=entry.options, settings=settings)


def check_packages(entries: Sequence[RailEntry], *, parts: RailParts) -> None:
    """Check the options of packages, with the secrets that they name and without a connection. A package checks its entry by its entry
    point among ``RAIL_CHECK_ENTRY_POINTS``; where it has none, its provider is built.

    Raises:
        RailMisconfigured: nothing brings a provider, several do, or a package refuses the configuration.
    """
    for entry in entries:
        found = load(entry)
        if not isinstance(found, ExecutionType):
            offered = list(entry_points(group=RAIL_CHECK_ENTRY_POINTS, name=entry.provider))
            check: Callable[[RailContext], object] = offered[0].load() if offered else found
            check(parts.context(entry))


def load(entry: RailEntry) -> Factory | ExecutionType:
    """The execution or the package's factory that an entry names.

    Raises:
        RailMisconfigured: nothing brings the provider, several do, or an execution's entry point names something else.
    """
    point = _entry_point(entry)
    loaded: Factory | ExecutionType = point.load()
    if point.group == EXECUTION_ENTRY_POINTS and not isinstance(loaded, ExecutionType):
        msg = f"the entry point {point.name} in {EXECUTION_ENTRY_POINTS} must name an ExecutionType"
        raise RailMisconfigured(msg)
    return loaded


def _entry_point(entry: RailEntry) -> EntryPoint:
    announced = [
        point
        for group in (EXECUTION_ENTRY_POINTS, PROVIDER_ENTRY_POINTS)
        for point in entry_points(group=group, name=entry.provider)
    ]
    if len(announced) != 1:
        count = "no installed package brings" if not announced else f"{len(announced)} packages bring"
        msg = f"the rail {entry.name} has the provider {entry.provider}, which {count}"
        raise RailMisconfigured(msg)
    return announced[0]
