"""What is published of a transaction."""


class Event:
    """Something that rewards publishes. Each feature defines its own events, and ``messages`` encodes them."""

    __slots__ = ()
