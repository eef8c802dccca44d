"""`/api/admin/payouts/rails`: the configured rails, and whether payments start on them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from litestar import Controller, get
from pydantic import Field

from prizewire_chassis.auth import Role, require
from prizewire_chassis.http.answers import AnswerModel, Items
from prizewire_payouts.http import Context, RailName
from prizewire_payouts.rails.domain import CircuitState
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class RailState:
    """Whether a rail starts payments: ``paused`` by a person, ``circuit`` as this process sees it, or ``off`` for the reason of this
    stable code.
    """

    paused: bool
    circuit: CircuitState
    off: str | None


ReadStates = Callable[[UnitOfWork, datetime], Awaitable[Mapping[str, RailState]]]
"""The state of each configured rail, by name."""


class CostAnswer(AnswerModel):
    """What a payment in one asset costs."""

    asset: Annotated[str, Field(examples=["EURC"])]
    fixed: Annotated[str, Field(description="In units of the asset.", examples=["0.10"])]
    share: Annotated[str, Field(description="A part of the amount, from 0 to 1.", examples=["0.005"])]


class RailAnswer(AnswerModel):
    """A configured rail. Payments start on it where it is neither paused nor off."""

    name: RailName
    provider: Annotated[
        str, Field(description="The package or execution that serves it.", examples=["stellar"])
    ]
    type: Annotated[str, Field(description="Its rail type.", examples=["stellar"])]
    assets: list[Annotated[str, Field(examples=["EURC"])]]
    method_types: list[Annotated[str, Field(description="What it pays to.", examples=["stellar"])]]
    paused: Annotated[bool, Field(description="Whether a person paused it.", examples=[False])]
    preference: Annotated[int, Field(description="Rails of a lower number come first.", examples=[0])]
    cost: Annotated[
        list[CostAnswer],
        Field(
            description="What a payment costs the platform, by the configuration: decides between rails of one preference."
        ),
    ]
    calls_per_s: Annotated[
        int | None,
        Field(
            description="The most calls that one process begins in a second. Null: no limit.", examples=[None]
        ),
    ]
    circuit: Annotated[
        CircuitState,
        Field(
            description="Whether the rail answers: `closed`, or `open` and `probing` where this process begins no or one payment.",
            examples=["closed"],
        ),
    ]
    off: Annotated[
        str | None,
        Field(description="Why it starts no payment, as a stable code. Null where it does.", examples=[None]),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class RailsContext(Context):
    """The context of the controller of rails."""

    rails: Sequence[Rail]
    states: ReadStates


def rails_controller(context: RailsContext) -> type[Controller]:
    """The controller over this context."""

    class RailsController(Controller):
        path = "/api/admin/payouts/rails"
        guards = [require(Role.OPERATOR, Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts"]  # noqa: RUF012 - Litestar reads a plain list

        @get("/", summary="The configured rails, in order of preference")
        async def list_rails(self) -> Items[RailAnswer]:
            async def read(unit_of_work: UnitOfWork) -> Mapping[str, RailState]:
                return await context.states(unit_of_work, context.clock.now())

            states = await context.read(read)
            return Items(items=[_answer(rail, states[rail.name]) for rail in context.rails])

    return RailsController


def _answer(rail: Rail, state: RailState) -> RailAnswer:
    capabilities = rail.capabilities
    return RailAnswer(
        name=rail.name,
        provider=rail.provider_name,
        type=capabilities.type,
        assets=sorted(capabilities.assets),
        method_types=sorted(capabilities.method_types),
        paused=state.paused,
        preference=rail.preference,
        cost=[
            CostAnswer(asset=code, fixed=cost.fixed.to_wire(), share=format(cost.share, "f"))
            for code, cost in sorted(rail.costs.items())
        ],
        calls_per_s=capabilities.calls_per_s,
        circuit=state.circuit,
        off=state.off,
    )
