"""The composition of the local stack."""

from prizewire_devstack.stack.monitoring import Monitoring, MonitoringOptions
from prizewire_devstack.stack.options import StackOptions
from prizewire_devstack.stack.reporting import Reporter
from prizewire_devstack.stack.running import Stack
from prizewire_devstack.stack.running_stack import RunningStack

__all__ = ["Monitoring", "MonitoringOptions", "Reporter", "RunningStack", "Stack", "StackOptions"]
