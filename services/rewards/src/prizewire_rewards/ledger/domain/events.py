"""The base of the events that rewards publishes."""


class Event:
    """Something that rewards publishes. Each feature defines its own events, and ``messages`` encodes them."""

    __slots__ = ()
