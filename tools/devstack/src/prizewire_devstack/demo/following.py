"""Following prizes until they are paid: rewards' lines joined with payouts' states."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prizewire_devstack.api import Api
from prizewire_devstack.demo.refusals import Refusals
from prizewire_devstack.demo.tournaments import Tournament

PAID: Final = "paid"
FAILED: Final = frozenset({"failed", "rejected", "cancelled", "returned"})
HELD: Final = "held"
REQUESTED: Final = "requested"
APPROVERS: Final = ("demo-approver-1", "demo-approver-2")


@dataclass(frozen=True, kw_only=True)
class Prize:
    """One prize line. `player` is a name; `amount` is a decimal string; `status` the payout's state, or the reward's before it has one."""

    place: int
    player_id: str
    player: str
    amount: str
    rail: str
    status: str
    payout_id: str | None
    tx_hash: str | None
    ledger: int | None
    reference: str | None
    """The rail's own reference, for rails without a chain."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The progress of a tournament. `refusals` are its stuck events, after which no prize is expected. The fees are
    settlement's, as decimal strings; `organizer` owns the wallet that gets the organizer's fee, None where it is kept.
    """

    prizes: tuple[Prize, ...]
    settled: bool
    refusals: tuple[str, ...] = ()
    platform_fee: str | None = None
    organizer_fee: str | None = None
    organizer: str | None = None

    @property
    def paid(self) -> int:
        """Prizes that were paid."""
        return sum(prize.status == PAID for prize in self.prizes)

    @property
    def failed(self) -> int:
        """Prizes that will not be paid."""
        return sum(prize.status in FAILED for prize in self.prizes)

    @property
    def done(self) -> bool:
        """Whether all prizes are paid or will not be paid."""
        return bool(self.refusals) or (self.settled and self.paid + self.failed == len(self.prizes))


def standing(api: Api, tournament: Tournament, *, refusals: Refusals) -> Standing:
    """Load the round, its rewards and their payouts, and the refused events."""
    refused = refusals.of(tournament)
    rounds = list(api.items("/api/rounds", match_id=tournament.match_id))
    if not rounds or rounds[0]["state"] not in {"SETTLED", "FINALIZED"}:
        return Standing(prizes=(), settled=False, refusals=refused)
    settled = api.get(f"/api/rounds/{rounds[0]['id']}")
    fees = settled["settlement"]["fees"]
    rewards = {item["player"]: item for item in api.items("/api/rewards", round_id=rounds[0]["id"])}
    # newest first: of several payouts of one player the newest one counts
    found = list(api.items("/api/admin/payouts", correlation_id=tournament.correlation_id))
    payouts = {item["player"]: item for item in reversed(found)}
    prizes = tuple(
        _prize(line, rewards.get(line["player"]), payouts.get(line["player"]), tournament)
        for line in settled["lines"]
    )
    return Standing(
        prizes=prizes,
        settled=True,
        refusals=refused,
        platform_fee=fees["platform"],
        organizer_fee=fees["organizer"],
        organizer=fees["organizer_player"],
    )


def _prize(
    line: Mapping[str, Any],
    reward: Mapping[str, Any] | None,
    payout: Mapping[str, Any] | None,
    tournament: Tournament,
) -> Prize:
    before = "settled"
    if reward is not None:
        before = REQUESTED if reward["payout_id"] is not None else reward["state"]
    player = tournament.players[line["player"]]
    return Prize(
        place=line["place"],
        player_id=player.id,
        player=player.name,
        amount=line["amount"],
        rail=(payout or {}).get("rail") or player.rail,
        status=payout["state"] if payout is not None else before,
        payout_id=payout["payout_id"] if payout is not None else None,
        tx_hash=payout.get("tx_hash") if payout is not None else None,
        ledger=payout.get("ledger") if payout is not None else None,
        reference=(payout.get("proof") or {}).get("reference") if payout is not None else None,
    )


class Approvers:
    """Two persons who approve the payouts that the policy holds; each approves a payout once."""

    def __init__(self, api_for: Callable[[str], Api]) -> None:
        self._apis = {name: api_for(name) for name in APPROVERS}
        self._requested: set[tuple[str, str]] = set()

    def approve(self, prizes: tuple[Prize, ...]) -> int:
        """Approve the held payouts among the prizes; return how many approvals were given."""
        given = 0
        for prize in prizes:
            if prize.status != HELD or prize.payout_id is None:
                continue
            for name, api in self._apis.items():
                if (name, prize.payout_id) not in self._requested:
                    self._requested.add((name, prize.payout_id))
                    api.put(f"/api/admin/payouts/{prize.payout_id}/approve", {"note": "demonstration"})
                    given += 1
                    break
        return given
