"""How a local stack is started."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack.monitoring import MonitoringOptions


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """How to start. `services` are run; `left_out` get a database and a port only, and are run
    by hand. `extra_environment` overrides settings by service. `replicas` is the number of processes of each service. With
    `monitoring`, Prometheus and Alertmanager run, too.
    """

    fresh: bool = False
    services: tuple[str, ...] = SERVICES
    left_out: tuple[str, ...] = ()
    fixed_ports: Mapping[str, int] = field(default_factory=dict)
    log_level: str = "INFO"
    extra_environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    replicas: int = 1
    monitoring: bool = False
    monitoring_options: MonitoringOptions = field(default_factory=MonitoringOptions)
