"""What must always hold, by name; the storage room looks for breaches of each."""

from enum import StrEnum


class Invariant(StrEnum):
    """Each is checked on its own over HTTP."""

    EVERY_EVENT_HAS_ITS_DELIVERIES = "every_event_has_its_deliveries"
    """Every event has exactly one delivery for each subscription to its type at the time of its processing, and no other."""
    DELIVERED_ONCE = "delivered_once"
    """A delivered delivery has exactly one successful attempt, any other has none."""
    DELIVERIES_ARE_VERIFIED = "deliveries_are_verified"
    """No delivery ended because its event could not be verified, and none waits for a key of its event."""
    LANES_IN_ORDER = "lanes_in_order"
    """Nothing of a lane was sent before what came earlier on it had ended."""
    TRANSITIONS_UNBROKEN = "transitions_unbroken"
    """The history of every subscription and delivery is a chain that ends in its present state."""
