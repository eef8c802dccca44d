"""The composition of the local stack."""

from prizewire_devstack.stack.reporting import Reporter
from prizewire_devstack.stack.running import Stack, StackOptions

__all__ = ["Reporter", "Stack", "StackOptions"]
