"""What a drill is: a failure that is caused on purpose, its alert, and the runbook that ends it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from prizewire_devstack.drills.world import World

Values = dict[str, str]
"""Values for the places of a runbook's commands, such as ``RAIL``."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the person who follows a page: a command of it with the values that its places get.

    ``values`` is called when the command is due, since a command before may have made what it names. ``by_hand`` is what the
    person does before the command outside of it, such as to mend a file; ``hand`` does it.
    """

    command: str
    values: Callable[[World], Values] | None = None
    by_hand: str = ""
    hand: Callable[[World], None] | None = None
    codes: tuple[int, ...] = (0,)


@dataclass(frozen=True, kw_only=True)
class Drill:
    """A failure with its alert and its runbook.

    ``cause`` makes the failure and returns labels that the alert must have. ``factor`` divides all times of the alert rules, so
    that the alert fires within seconds. ``page`` is the runbook's name.
    """

    name: str
    title: str
    alert: str
    page: str
    cause: Callable[[World], Mapping[str, str]]
    steps: tuple[Step, ...]
    factor: float = 60.0
    before: Callable[[World], None] | None = field(default=None)
    """What happens in normal operation before the failure, where the alert compares with it."""


def newest_pause(world: World) -> Values:
    """The place ``PAUSE``: the newest pause in force, which the drill set."""
    with world.api() as api:
        return {"PAUSE": str(api.get("/api/admin/payouts/pauses")["items"][0]["id"])}
