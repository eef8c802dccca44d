"""Proxies of the environment are for downloads and for other installations; the local stack is reached directly."""

from collections.abc import MutableMapping
from typing import Final

from prizewire_devstack.ports import LOOPBACK

SPARED: Final = (LOOPBACK, "localhost")
VARIABLES: Final = ("NO_PROXY", "no_proxy")
"""Programs read one or the other, so both get the same value."""


def spare_loopback(environment: MutableMapping[str, str]) -> None:
    """Except loopback addresses from the proxies of an environment; present exceptions stay."""
    named = [
        part.strip()
        for variable in VARIABLES
        for part in environment.get(variable, "").split(",")
        if part.strip()
    ]
    if "*" in named:
        return
    for variable in VARIABLES:
        environment[variable] = ",".join(dict.fromkeys((*named, *SPARED)))
