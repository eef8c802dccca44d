"""Whether everything holds that must: each service's own invariants, asked over HTTP, and what two of them must agree on."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import httpx

from prizewire_devstack import tracing
from prizewire_devstack.api import Api
from prizewire_devstack.routes import SERVICES_WITH_API
from prizewire_devstack.waiting import NotInTimeError, eventually_sync

__all__ = ["ROUNDS_DEFAULT", "TIMEOUT_S", "Verdict", "Verification", "verify"]

TIMEOUT_S: Final = 600.0
"""A service's checks look at everything that it has, however long that takes."""
ROUNDS_DEFAULT: Final = 100
LINES_MAX: Final = 2_000
"""Rounds of more lines are left to the services' own checks."""
AGREED_DEADLINE_S: Final = 5.0
"""How long two services may need to agree: what one has told is on its way to the other."""
SIGNER_DEADLINE_S: Final = 20.0
"""The signer looks at its invariants by itself; so long it may take to have done so once."""
PARALLEL_REQUESTS: Final = 8
AGREEMENT: Final = "settlement and rewards"
_SIGNER_GAUGE: Final = re.compile(
    r'^prizewire_signer_breaches\{invariant="([^"]+)"\} ([0-9.e+]+)$', re.MULTILINE
)


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


def verify(api: Api, *, rounds: int = ROUNDS_DEFAULT, signer_url: str | None = None) -> Verification:
    """Ask every service for its invariants; hold the newest ``rounds`` final rounds of settlement against rewards; and
    where ``signer_url`` says where the signer's metrics are, read its own.

    Raises:
        ApiError: a service refused to answer.
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
    if rounds and not {"settlement", "rewards"}.intersection(silent):
        verdicts.append(_agreement(api, rounds=rounds))
    return Verification(verdicts=tuple(verdicts), silent=tuple(silent))


def _signer(url: str) -> list[Verdict]:
    """The signer serves no checks, but tells in its metrics what its own looks found; none when it does not answer."""
    found: list[tuple[str, float]] = []

    def told() -> bool:
        try:
            text = httpx.get(f"{url}/metrics", timeout=10, trust_env=False).text
        except httpx.TransportError:
            return False
        found[:] = [(name, float(value)) for name, value in _SIGNER_GAUGE.findall(text)]
        return bool(found)

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


def _agreement(api: Api, *, rounds: int) -> Verdict:
    """Whether rewards owes, for each final round, what settlement settled: as many prizes, of the same sum."""
    newest = list(islice(api.items("/api/rounds", state="FINALIZED"), rounds))
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        answers = list(pool.map(lambda one: _round_agrees(api, str(one["id"])), newest))
    compared = [one for one in answers if one is not None]
    breaches = tuple(breach for breach in compared if breach)
    return Verdict(
        service=AGREEMENT,
        invariant="prizes_are_those_settled",
        ok=not breaches,
        breaches=breaches,
        looked_at=len(compared),
    )


def _round_agrees(api: Api, round_id: str) -> str | None:
    """The breach as a sentence, empty where both agree; None for a round that is not compared."""
    said = ""

    def same() -> bool | None:
        nonlocal said
        settlement = api.get(f"/api/rounds/{round_id}")["settlement"]
        if settlement is None or settlement["lines_total"] > LINES_MAX:
            return None
        settled = (settlement["lines_total"], Decimal(settlement["net"]) - Decimal(settlement["unclaimed"]))
        owed = list(_prizes(api, round_id))
        booked = (len(owed), sum(owed, start=Decimal(0)))
        said = f"round {round_id}: settled {settled[0]} prizes of {settled[1]:f}, rewards has {booked[0]} of {booked[1]:f}"
        return settled == booked

    first = same()
    if first is None:
        return None
    if first:
        return ""
    try:
        eventually_sync(lambda: bool(same()), deadline_s=AGREED_DEADLINE_S)
    except NotInTimeError:
        return said
    return ""


def _prizes(api: Api, round_id: str) -> Iterator[Decimal]:
    """What rewards has for a round; prizes that a correction took back are none."""
    for reward in api.items("/api/rewards", round_id=round_id):
        if reward["state"] != "reversed":
            yield Decimal(reward["amount"])
