"""Transitions of state machines."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, TypeVar
from uuid import UUID

from prizewire_rewards.errors import IllegalTransition


class Transition(NamedTuple):
    """One transition of a state machine, as the history stores it. ``was`` is empty for the first state."""

    machine: str
    subject: UUID
    was: str
    to: str
    cause: str
    correlation_id: str


State = TypeVar("State", bound=StrEnum)


def step(*, edges: Mapping[tuple[State, State], str], was: State, to: State) -> State:
    """Return ``to`` if the machine has an edge from ``was`` to it.

    Raises:
        IllegalTransition: the machine has no such edge.
    """
    if (was, to) not in edges:
        raise IllegalTransition(was=was, to=to)
    return to
