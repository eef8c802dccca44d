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
    """Read a service's whole chain, compute every hash, and compare it with what is known of it from elsewhere: the hashes of
    published records, and the newest one.

    What is known is read first: a chain that is written meanwhile is longer than that, never shorter.

    Raises:
        ApiError: the service refused.
    """
    api.alive(SERVED_BY.get(service, service))
    known = [(one["sequence"], one["hash"]) for one in api.items(f"/api/services/{service}/audit/published")]
    head = api.get(f"/api/services/{service}/audit/head")
    copied = service in SERVED_BY
    reader, count = ChainReader(service, {} if copied else dict(known)), 0
    for record in records(api, service):
        reader.read(record)
        count += 1
    reader.end(newest=head["published"])
    twice = [_contradicted(service, *one) for one in known] if copied else []
    return Chain(service=service, records=count, breaks=(*reader.breaks, *twice))


def _contradicted(service: str, sequence: int, link: str) -> Break:
    """The break of a copy that kept one of two records with this number."""
    detail = f"audit record {sequence} of {service} came with the hash {link} as well, which is not the kept record"
    return Break(sequence, "contradicted", detail)
