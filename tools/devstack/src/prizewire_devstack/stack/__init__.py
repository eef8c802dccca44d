"""The composition of the local stack."""

from prizewire_devstack.stack.running import Reporter, Stack, StackOptions

__all__ = ["Reporter", "Stack", "StackOptions"]
