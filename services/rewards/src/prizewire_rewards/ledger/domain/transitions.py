"""Steps of state machines."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, TypeVar
from uuid import UUID

from prizewire_rewards.errors import IllegalTransition


class Transition(NamedTuple):
    """One step of a state machine, as history keeps it. ``was`` is empty at birth."""

    machine: str
    subject: UUID
    was: str
    to: str
    cause: str
    correlation_id: str


State = TypeVar("State", bound=StrEnum)


def step(*, edges: Mapping[tuple[State, State], str], was: State, to: State) -> State:
    """``to``, if the machine allows it.

    Raises:
        IllegalTransition: there is no such edge.
    """
    if (was, to) not in edges:
        raise IllegalTransition(was=was, to=to)
    return to
