"""The audit chains of an installation, read over HTTP and verified by this reader: no service's verdict is trusted."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from prizewire_chassis.audit import SEQUENCE_MAX, SURELY_KEPT, Break, ChainReader
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
        """Whether no record is changed, missing, reordered, forked, cut off or unpublished."""
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

    What is known is read first: a chain that is written meanwhile is longer than that, never shorter. It is read again after the
    chain, where each record that was read has been published.

    Raises:
        ApiError: the service refused.
    """
    api.alive(SERVED_BY.get(service, service))
    known = _published(api, service)
    newest = _newest(api, service)
    copied = service in SERVED_BY
    reader = ChainReader(service, {} if copied else dict(known))
    since = datetime.now(UTC) - SURELY_KEPT
    numbers: list[int] = []
    young: set[int] = set()
    for record in records(api, service):
        reader.read(record)
        numbers.append(int(record["sequence"]))
        if _is_after(record["at"], since):
            young.add(numbers[-1])
    reader.end(newest=newest)
    # a record that is named already needs no second break
    doubted = set(numbers) - {one.sequence for one in reader.breaks}
    added = _not_received(api, service, doubted) if copied else _without_event(api, service, doubted, young)
    twice = [_contradicted(service, *one) for one in known] if copied else []
    return Chain(service=service, records=len(numbers), breaks=(*reader.breaks, *added, *twice))


def _is_after(at: Any, since: datetime) -> bool:
    """Whether a record has a time after ``since``. One that cannot be read is no time that a service writes."""
    try:
        return datetime.fromisoformat(at) > since
    except (TypeError, ValueError):
        return False


def _published(api: Api, service: str) -> list[tuple[int, str]]:
    return [(one["sequence"], one["hash"]) for one in api.items(f"/api/services/{service}/audit/published")]


def _newest(api: Api, service: str) -> int:
    return int(api.get(f"/api/services/{service}/audit/head")["published"])


def _without_event(api: Api, service: str, numbers: Collection[int], young: Collection[int]) -> list[Break]:
    """Breaks of records without an event, although the outbox still has the event of an older one, or although they are among
    the ``young`` ones, whose events the outbox has not pruned yet. The events are read twice: the outbox may be pruned meanwhile.
    """
    doubted, oldest = numbers, SEQUENCE_MAX
    for _ in range(2):
        if not doubted:
            break
        held = {number for number, _ in _published(api, service)}
        oldest = min(held, default=SEQUENCE_MAX)
        doubted = [one for one in doubted if (one > oldest or one in young) and one not in held]
    return [
        Break(
            number,
            "unpublished",
            f"audit record {number} of {service} has no event in the outbox, although "
            + (
                "an older record has one"
                if number > oldest
                else f"it is younger than {SURELY_KEPT.days} days"
            ),
        )
        for number in sorted(doubted)
    ]


def _not_received(api: Api, service: str, numbers: Collection[int]) -> list[Break]:
    """Breaks of records of a copy with greater numbers than that of the newest record that came."""
    newest = _newest(api, service)
    return [
        Break(number, "unpublished", f"audit record {number} of {service} did not come from Kafka")
        for number in sorted(numbers)
        if number > newest
    ]


def _contradicted(service: str, sequence: int, link: str) -> Break:
    """The break of a copy that kept one of two records with this number."""
    detail = f"audit record {sequence} of {service} came with the hash {link} as well, which is not the kept record"
    return Break(sequence, "contradicted", detail)
