"""The rules about settings and files. A later feature adds its rules here, or in a module beside these."""

from collections.abc import Callable, Iterator
from typing import Final

from prizewire_devstack.doctor.configuration import Subject
from prizewire_devstack.doctor.findings import Finding
from prizewire_devstack.doctor.rules import (
    access,
    backups,
    chain,
    keys,
    limits,
    network,
    rails,
    settings,
    transport,
    workloads,
)

Rule = Callable[[Subject], Iterator[Finding]]

RULES: Final[tuple[Rule, ...]] = (
    *settings.RULES,
    *access.RULES,
    *chain.RULES,
    *limits.RULES,
    *rails.RULES,
    *keys.RULES,
    *transport.RULES,
    *backups.RULES,
    *workloads.RULES,
    *network.RULES,
)
