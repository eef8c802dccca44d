"""The audit chains of an installation, read over HTTP and verified by this reader: no service's verdict is trusted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from prizewire_chassis.audit import Break, ChainReader
from prizewire_devstack.api import Api
from prizewire_devstack.routes import SERVICES, SIGNER

AUDITED: Final = SERVICES
SERVED_BY: Final = {SIGNER: "payouts"}
"""The service that serves the records of a service without HTTP routes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What was read of one service's chain. ``records`` is their number."""

    service: str
    records: int
    breaks: tuple[Break, ...]

    @property
    def ok(self) -> bool:
        """Whether no record is changed, missing, reordered, forked or cut off."""
        return not self.breaks


def records(api: Api, service: str, **query: str | None) -> Iterator[dict[str, Any]]:
    """The records of a service, in the order of the chain unless ``order`` is ``newest``.

    Raises:
        ApiError: the service refused.
    """
    yield from api.items(f"/api/services/{service}/audit", **query)


def read_chain(api: Api, service: str) -> Chain:
    """Read a service's whole chain, compute every hash, and compare its end with the newest record that is known.

    The end is read first: a record that is written meanwhile is longer than that, never shorter.

    Raises:
        ApiError: the service refused.
    """
    api.alive(SERVED_BY.get(service, service))
    head = api.get(f"/api/services/{service}/audit/head")
    reader, count = ChainReader(service), 0
    for record in records(api, service):
        reader.read(record)
        count += 1
    reader.end(newest=head["published"])
    return Chain(service=service, records=count, breaks=tuple(reader.breaks))
