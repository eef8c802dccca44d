"""Whether everything holds that must: each service's own invariants, asked over HTTP, and what two of them must agree on."""

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from prizewire_devstack import tracing
from prizewire_devstack.agreement import Agreement, Memory, compare
from prizewire_devstack.api import Api
from prizewire_devstack.routes import SERVICES_WITH_API
from prizewire_devstack.waiting import NotInTimeError, eventually_sync

__all__ = ["TIMEOUT_S", "Verdict", "Verification", "verify"]

TIMEOUT_S: Final = 600.0
"""A service's checks look at everything that it has, however long that takes."""
SIGNER_DEADLINE_S: Final = 20.0
"""The signer looks at its invariants by itself; so long it may take to have done so once."""
AGREEMENT: Final = "settlement and rewards"
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
    """Ask every service for its invariants; hold the rounds of settlement that ended against rewards; and where
    ``signer_url`` says where the signer's metrics are, read its own.

    All rounds are compared; where there is a ``memory``, those that it does not know to be sound.

    Raises:
        ApiError: a service refused to answer.
        DevstackError: the memory cannot be read.
        DevstackError: the installation as a whole does not answer.
    """
    silent: list[str] = []
    answers = tracing.ask_each(
        SERVICES_WITH_API, lambda service: api.get(f"/api/services/{service}/checks")["checks"], silent=silent
    )
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
    if not {"settlement", "rewards"}.intersection(silent):
        since = None if memory is None else memory.read()
        agreed = compare(api, since=since, now=datetime.now(UTC))
        verdicts.append(_agreement(agreed))
        if memory is not None and agreed.sound_until is not None:
            memory.write(agreed.sound_until)
    return Verification(verdicts=tuple(verdicts), silent=tuple(silent))


def _signer(url: str) -> list[Verdict]:
    """The signer serves no checks, but tells in its metrics what its own looks found; none when it does not answer."""
    found: list[tuple[str, float]] = []

    def told() -> bool:
        try:
            text = httpx.get(f"{url}/metrics", timeout=10, trust_env=False).text
        except httpx.TransportError:
            return False
        own = _SIGNER_GAUGE.findall(text)
        found[:] = [(name, float(value)) for name, value in (*own, *_EVERY_GAUGE.findall(text))]
        return bool(own)

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


def _agreement(found: Agreement) -> Verdict:
    """Whether rewards has, for each round that ended, what settlement settled."""
    return Verdict(
        service=AGREEMENT,
        invariant="prizes_are_those_settled",
        ok=not found.breaches,
        breaches=found.breaches,
        looked_at=found.looked_at,
    )
