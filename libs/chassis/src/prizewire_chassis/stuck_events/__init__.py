"""Messages that were not applied: listed, shown, replayed, discarded. There is no dead-letter topic.

``dead``: refused before it changed state; no other event waits for it. ``parked``: authentic, but not applicable yet;
later events of the same (consumer, source, subject) wait behind it as ``subject_parked``. ``replayed``: applied later.
``discarded``: a person decided that it is never applied.
"""

from prizewire_chassis.stuck_events.discards import DiscardAnswer, Discards
from prizewire_chassis.stuck_events.replays import (
    ID_MAX,
    NotReplayable,
    ReplayAnswer,
    ReplayRecorder,
    StuckEvents,
    StuckState,
)

__all__ = [
    "ID_MAX",
    "DiscardAnswer",
    "Discards",
    "NotReplayable",
    "ReplayAnswer",
    "ReplayRecorder",
    "StuckEvents",
    "StuckState",
]
