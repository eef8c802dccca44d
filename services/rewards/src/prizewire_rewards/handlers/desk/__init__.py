"""Rounds and campaigns of one transaction: decided one after the other in memory, saved together."""

from prizewire_rewards.handlers.desk.books import SYSTEM, Booked
from prizewire_rewards.handlers.desk.desk import Desk
from prizewire_rewards.handlers.desk.means import Means, means_of

__all__ = ["SYSTEM", "Booked", "Desk", "Means", "means_of"]
