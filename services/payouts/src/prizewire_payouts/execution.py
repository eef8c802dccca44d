"""The interface of an execution: a rail whose transactions payouts builds, and whose signer is another service.

An execution lives in payouts. The rest of payouts finds it by its entry point, under its provider's name, and names none.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from litestar import Controller
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check
from prizewire_chassis.http import Lineage
from prizewire_chassis.inbox import ConsumerSpec, Incoming
from prizewire_chassis.jobs import Job
from prizewire_chassis.lifecycle import Runtime
from prizewire_contracts.rails import RewardPayoutProvider
from prizewire_payouts.unit_of_work import SignedUnasked

EXECUTION_ENTRY_POINTS: Final = "prizewire.executions"
"""Entry point group; the name is the provider's, the object an ``ExecutionType``."""
OnProgress = Callable[[AsyncConnection, Sequence[UUID], datetime], Awaitable[None]]
"""(transaction, payout ids, now): the execution has progressed for these payouts. Called in the transaction that stores
it."""
OnSignerAnswer = Callable[[AsyncConnection, Incoming], Awaitable[bool]]
"""(transaction, event): the signer closed a payout or refused to. False where there is no such payout;
``event.value`` is its text as it was on Kafka."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionContext:
    """What an execution is built from. ``rail`` is the configured name, ``options`` the rest of its entry in the file of rails;
    the execution reads its own members of ``runtime.settings``.
    """

    runtime: Runtime
    rail: str
    options: Mapping[str, Any]
    on_closed: OnSignerAnswer
    on_close_refused: OnSignerAnswer
    on_progress: OnProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionParts:
    """The parts of a built execution: provider, consumers, jobs, lineage, checks, controllers, which payouts the signer signed for
    unasked, and what is closed at the end. ``own_accounts`` are the accounts that it pays from, and the issuers of its assets: no
    payout may go there.
    """

    provider: RewardPayoutProvider
    specs: Sequence[ConsumerSpec]
    jobs: Sequence[Job]
    lineage: Lineage
    checks: Sequence[Check]
    controllers: Callable[[Mapping[str, Any]], Sequence[type[Controller]]]
    signed_unasked: SignedUnasked
    own_accounts: frozenset[str]
    close: Callable[[], Awaitable[None]]


class ExecutionCheck(Protocol):
    """Checks the part of the configuration that an execution reads."""

    def __call__(self, *, rail: str, options: Mapping[str, Any], settings: Any) -> None:
        """Nothing is built and nothing is connected.

        Raises:
            RailMisconfigured | ValueError: the configuration cannot be used; the message is a sentence for the operator.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionType:
    """What an entry point names. ``build`` raises as ``check`` does; nothing runs and nothing is connected by it."""

    build: Callable[[ExecutionContext], ExecutionParts]
    check: ExecutionCheck
