"""Whether everything holds that must: each service's own invariants, asked over HTTP, and what two of them must agree on."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

import httpx

from prizewire_devstack import tracing
from prizewire_devstack.agreement import Memory, compare
from prizewire_devstack.api import Api, ApiError
from prizewire_devstack.comparisons import COMPARISONS
from prizewire_devstack.routes import SERVICES_WITH_API
from prizewire_devstack.waiting import NotInTimeError, eventually_sync

__all__ = ["TIMEOUT_S", "Verdict", "Verification", "verify"]

TIMEOUT_S: Final = 600.0
"""A service's checks look at everything that it has, however long that takes."""
ANSWER_DEADLINE_S: Final = 5.0
"""So long a service is asked again that could not answer, such as one whose database was restarted."""
SIGNER_DEADLINE_S: Final = 40.0
"""The signer looks at its invariants by itself; so long it may take to have done so once."""
SIGNER_LAST: Final = "audit.chain"
"""The last of the checks that every service has: where its gauge is set, the others are."""
_SIGNER_GAUGE: Final = re.compile(
    r'^prizewire_signer_breaches\{invariant="([^"]+)"\} ([0-9.e+]+)$', re.MULTILINE
)
_EVERY_GAUGE: Final = re.compile(
    r'^prizewire_invariant_breaches\{name="([^"]+)"\} ([0-9.e+]+)$', re.MULTILINE
)
"""What the checks that every service has found, such as that of its parked events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One invariant of one service. ``looked_at`` is how many things it was about, where that is known."""

    service: str
    invariant: str
    ok: bool
    breaches: tuple[str, ...] = ()
    looked_at: int | None = None
    compared_since: str | None = None
    """Of a comparison: what was before this moment was found sound by an earlier run and not compared again. None where
    everything was compared.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All verdicts, and the services that gave none."""

    verdicts: tuple[Verdict, ...]
    silent: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether everything was looked at, and everything holds."""
        return not self.silent and all(one.ok for one in self.verdicts)

    @property
    def broken(self) -> tuple[Verdict, ...]:
        """Those that do not hold."""
        return tuple(one for one in self.verdicts if not one.ok)

    def to_json(self) -> dict[str, Any]:
        """What a script would read."""
        return {
            "ok": self.good,
            "silent": self.silent,
            "checks": [asdict(one) for one in self.verdicts],
        }


def verify(api: Api, *, memory: Memory | None = None, signer_url: str | None = None) -> Verification:
    """Ask every service for its invariants; hold the rounds and payouts of settlement, rewards and payouts against each
    other (``COMPARISONS``); and where ``signer_url`` says where the signer's metrics are, read its own.

    Everything is compared; where there is a ``memory``, what it does not know to be sound.

    Raises:
        ApiError: a service refused to answer.
        DevstackError: the memory cannot be read.
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
    if signer_url is not None:
        own = _signer(signer_url)
        verdicts += own
        silent += [] if own else ["signer"]
    verdicts += _agreements(api, memory=memory, silent=silent)
    return Verification(verdicts=tuple(verdicts), silent=tuple(silent))


def _checks(api: Api, service: str) -> list[dict[str, Any]]:
    """A service's checks, asked again for a while if it cannot answer."""
    path = f"/api/services/{service}/checks"

    def asked() -> Any:
        try:
            return api.get(path)
        except ApiError as error:
            if not error.unanswered:
                raise
            return None

    try:
        answer = eventually_sync(asked, deadline_s=ANSWER_DEADLINE_S)
    except NotInTimeError:
        answer = api.get(path)
    return cast("list[dict[str, Any]]", answer["checks"])


def _signer(url: str) -> list[Verdict]:
    """The signer serves no checks, but tells in its metrics what its own looks found; none when it does not answer."""
    found: list[tuple[str, float]] = []

    def told() -> bool:
        try:
            text = httpx.get(f"{url}/metrics", timeout=10, trust_env=False).text
        except httpx.TransportError:
            return False
        own, every = _SIGNER_GAUGE.findall(text), _EVERY_GAUGE.findall(text)
        found[:] = [(name, float(value)) for name, value in (*own, *every)]
        return bool(own) and SIGNER_LAST in dict(every)

    try:
        eventually_sync(told, deadline_s=SIGNER_DEADLINE_S)
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


def _agreements(api: Api, *, memory: Memory | None, silent: Sequence[str]) -> list[Verdict]:
    """Whether services agree, each comparison whose services answer. What is found sound is remembered."""
    found = []
    for name, (services, comparison) in COMPARISONS.items():
        if services.intersection(silent):
            continue
        now = datetime.now(UTC)
        since = None if memory is None else memory.read(name)
        agreed = compare(comparison(api, since, now), since=since, now=now)
        if memory is not None and agreed.sound_until is not None:
            memory.write(name, agreed.sound_until)
        found.append(
            Verdict(
                service=" and ".join(one for one in SERVICES_WITH_API if one in services),
                invariant=name,
                ok=not agreed.breaches,
                breaches=agreed.breaches,
                looked_at=agreed.looked_at,
                compared_since=None if since is None else since.isoformat(),
            )
        )
    return found
