"""Verify an installation: each service's own invariants over HTTP, and the comparisons between two services."""

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, cast

import httpx

from prizewire_devstack import tracing
from prizewire_devstack.agreement import Listed, Mark, Memory, compare
from prizewire_devstack.api import ALIVE_WITHIN_S, Api, ApiError, SilentError
from prizewire_devstack.auditing import AUDITED, SERVED_BY, read_chain
from prizewire_devstack.comparisons import COMPARISONS, Comparison
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.routes import SERVICES_WITH_API
from prizewire_devstack.waiting import NotInTimeError, eventually_sync

TIMEOUT_S: Final = 90.0
"""Seconds that a service may take for one page of a comparison: 30 s for a connection to its database, 60 s for a statement."""
CHECKS_WITHIN_S: Final = 600.0
"""Seconds that a service may take for its checks, which read all of its data, while it answers other requests."""
ANSWER_DEADLINE_S: Final = 5.0
"""Seconds for which a service that could not answer is asked again, such as one whose database was restarted."""
SIGNER_DEADLINE_S: Final = 40.0
"""Seconds that the signer may take to check its invariants for the first time; it does so by itself."""
INTERNAL_ERROR: Final = 500
SIGNER_LAST: Final = frozenset({"audit.chain", "requests_answered"})
"""The last of the checks that every service has, and the last of the signer's own: once both gauges are set, all are set."""
_BREACHES: Final = re.compile(r'^prizewire_invariant_breaches\{name="([^"]+)"\} ([0-9.e+]+)$', re.MULTILINE)
CHAIN_READ: Final = "audit.chain_read"
"""The audit chain as this command reads it, beside `audit.chain`, which the service checks itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One invariant of one service. ``looked_at`` is the number of checked items, where it is known."""

    service: str
    invariant: str
    ok: bool
    breaches: tuple[str, ...] = ()
    looked_at: int | None = None
    compared_since: str | None = None
    """In a comparison: items before this time agreed in an earlier run and were not compared again. None where everything
    was compared.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All verdicts, the services without an answer, the comparisons that were left out because of them, and the comparisons
    whose mark was of another installation and was not used.
    """

    verdicts: tuple[Verdict, ...]
    silent: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    distrusted: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether everything was checked, and every invariant holds."""
        return not self.silent and all(one.ok for one in self.verdicts)

    @property
    def broken(self) -> tuple[Verdict, ...]:
        """The verdicts of broken invariants."""
        return tuple(one for one in self.verdicts if not one.ok)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON for scripts."""
        return {
            "ok": self.good,
            "silent": self.silent,
            "left_out": self.left_out,
            "distrusted": self.distrusted,
            "checks": [asdict(one) for one in self.verdicts],
        }


def verify(api: Api, *, memory: Memory | None = None, signer_url: str | None = None) -> Verification:
    """Load the checks of every service; compare the rounds and payouts of settlement, rewards and payouts with each other
    (``COMPARISONS``); and read the signer's checks from its metrics at ``signer_url``, if given.

    Everything is compared, except items that agreed before by the ``memory``. A memory of another installation is not
    used. If an operator named its file, it is refused before any comparison, and stays as it is.

    Raises:
        ApiError: a service refused to answer.
        DevstackError: the memory cannot be read, or is a named one of another installation.
        DevstackError: the installation as a whole does not answer.
    """
    silent: list[str] = []
    answers = tracing.ask_each(SERVICES_WITH_API, lambda service: _checks(api, service), silent=silent)
    verdicts = [
        Verdict(
            service=service,
            invariant=check["name"],
            ok=check["ok"],
            breaches=tuple(check["breaches"]),
            looked_at=check.get("looked_at"),
        )
        for service, checks in answers.items()
        for check in checks
    ]
    verdicts += _chains(api, silent=silent)
    if signer_url is not None:
        own = _signer(signer_url)
        verdicts += own
        silent += [] if own else ["signer"]
    agreed = _agreements(api, memory=memory, silent=silent)
    return Verification(
        verdicts=(*verdicts, *agreed.verdicts),
        silent=tuple(silent),
        left_out=agreed.left_out,
        distrusted=agreed.distrusted,
    )


def _checks(api: Api, service: str) -> list[dict[str, Any]]:
    """A service's checks; the request is repeated for a while if the service cannot answer. A service that takes requests
    and answers none is not asked again.
    """
    refused: list[ApiError] = []

    def asked() -> Any:
        try:
            api.alive(service)
            return api.get_long(service, f"/api/services/{service}/checks", within_s=CHECKS_WITHIN_S)
        except SilentError:
            raise
        except ApiError as error:
            if not error.unanswered:
                raise
            refused.append(error)
            return None

    try:
        answer = eventually_sync(asked, deadline_s=ANSWER_DEADLINE_S)
    except NotInTimeError:
        raise refused[-1] from None
    return cast("list[dict[str, Any]]", answer["checks"])


def _chains(api: Api, *, silent: list[str]) -> list[Verdict]:
    """A verdict on the audit chain of each service, of which every hash is computed here. Those of silent services are left out, and
    all of them where the caller is no admin.
    """
    asked = [one for one in AUDITED if SERVED_BY.get(one, one) not in silent]
    lost: list[str] = []
    try:
        chains = tracing.ask_each(asked, partial(read_chain, api), silent=lost) if asked else {}
    except ApiError as error:
        if error.code != "forbidden":
            raise
        return []
    silent += [one for one in dict.fromkeys(SERVED_BY.get(one, one) for one in lost) if one not in silent]
    return [
        Verdict(
            service=service,
            invariant=CHAIN_READ,
            ok=chain.ok,
            breaches=tuple(one.detail for one in chain.breaks),
            looked_at=chain.records,
        )
        for service, chain in chains.items()
    ]


def _signer(url: str) -> list[Verdict]:
    """The signer's checks from its metrics, since it serves no checks; none when it does not answer."""
    found: list[tuple[str, float]] = []

    def is_set() -> bool:
        try:
            text = httpx.get(f"{url}/metrics", timeout=ALIVE_WITHIN_S, trust_env=False).text
        except httpx.ReadTimeout:
            found.clear()
            return True
        except httpx.TransportError:
            return False
        found[:] = [(name, float(value)) for name, value in _BREACHES.findall(text)]
        return {name for name, _ in found} >= SIGNER_LAST

    try:
        eventually_sync(is_set, deadline_s=SIGNER_DEADLINE_S)
    except NotInTimeError:
        return []
    return [
        Verdict(
            service="signer",
            invariant=name,
            ok=not value,
            breaches=(f"the signer's log names {value:.0f}",) if value else (),
        )
        for name, value in sorted(found)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Agreements:
    """The outcome of the comparisons; see ``Verification``."""

    verdicts: tuple[Verdict, ...]
    left_out: tuple[str, ...]
    distrusted: tuple[str, ...]


def _agreements(api: Api, *, memory: Memory | None, silent: list[str]) -> _Agreements:
    """Run each comparison whose services answer, and store its mark. A service that stops answering is added to ``silent``,
    and comparisons with it are left out.
    """
    if memory is not None and memory.named:
        _refuse_foreign(api, memory, silent=silent)
    verdicts, left_out, distrusted = [], [], []
    for name, (services, comparison) in COMPARISONS.items():
        if services.intersection(silent):
            left_out.append(name)
            continue
        now = datetime.now(UTC)
        mark = None if memory is None else memory.read(name)
        try:
            checked = memory is not None and memory.named
            if mark is not None and not checked and not _is_of(api, comparison, mark, now):
                distrusted.append(name)
                mark = None
            since = None if mark is None else mark.sound_until
            agreed = compare(comparison(api, since, now), mark=mark, now=now)
        except ApiError as error:
            if error.status == INTERNAL_ERROR:
                verdicts.append(_failed(services, name, error))
                continue
            if not error.unanswered or error.service is None:
                raise
            silent.append(error.service)
            left_out.append(name)
            continue
        if memory is not None:
            memory.keep(name, agreed.mark)
        verdicts.append(
            Verdict(
                service=_both(services),
                invariant=name,
                ok=not agreed.breaches,
                breaches=agreed.breaches,
                looked_at=agreed.checked,
                compared_since=None if since is None else since.isoformat(),
            )
        )
    return _Agreements(verdicts=tuple(verdicts), left_out=tuple(left_out), distrusted=tuple(distrusted))


def _both(services: frozenset[str]) -> str:
    return " and ".join(one for one in SERVICES_WITH_API if one in services)


def _failed(services: frozenset[str], name: str, error: ApiError) -> Verdict:
    """The verdict on a comparison that a service failed to answer, as it fails on a row that it cannot read."""
    breach = f"not compared, since {error} A row may be unreadable; see the service's log"
    return Verdict(service=_both(services), invariant=name, ok=False, breaches=(breach,))


def _refuse_foreign(api: Api, memory: Memory, *, silent: list[str]) -> None:
    """Refuse marks of another installation before one of them is overwritten. A service that stops answering is added to
    ``silent``: its comparisons are left out, and their marks stay.

    Raises:
        DevstackError: a mark is not of this installation.
    """
    for name, mark in memory.stored().items():
        services, comparison = COMPARISONS.get(name, (frozenset(), None))
        if comparison is None or services.intersection(silent):
            continue
        try:
            ours = _is_of(api, comparison, mark, datetime.now(UTC))
        except ApiError as error:
            if not error.unanswered or error.service is None:
                raise
            silent.append(error.service)
            continue
        if not ours:
            raise DevstackError(
                f"{memory.file} is of another installation: this one does not have {mark.known}, by which {name} marked it. The file "
                "is left as it is, and nothing was compared. Name another file with --memory; delete this one if it is of an "
                "earlier state of this installation."
            )


def _is_of(api: Api, comparison: Comparison, mark: Mark, now: datetime) -> bool:
    """Whether a mark was made of this installation: it still has the thing by which the mark is recognized."""
    listed: Listed = comparison(api, None, now)
    return mark.known in listed.ask([mark.known])
