"""The outcome of a run: every sum and every invariant, loaded again from all services."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from prizewire_devstack.api import Api
from prizewire_devstack.demo import onchain, sums
from prizewire_devstack.demo.following import Standing
from prizewire_devstack.demo.tournaments import Tournament
from prizewire_devstack.demo.ways import Ways
from prizewire_devstack.routes import SERVICES
from prizewire_money import AssetRegistry


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was observed during the run."""

    standings: tuple[Standing, ...]
    delivered: int
    deliveries_refused: int
    traced: Mapping[str, tuple[str, ...]]
    payments: Sequence[onchain.Payment]
    destinations: Mapping[str, str]
    paid_after_s: float
    ways: Ways


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a run. `standings` and `booked` are in the order of the tournaments.

    `paid_after_s` are the seconds from the first match event until every prize was paid, or given up; `seconds` those of all
    steps, from the declaration of the campaigns to the checks.
    """

    tournaments: tuple[Tournament, ...]
    standings: tuple[Standing, ...]
    booked: tuple[sums.Sum, ...]
    wallets: tuple[sums.WalletSum, ...]
    chained: tuple[onchain.ChainSum, ...]
    broken: tuple[sums.Broken, ...]
    delivered: int
    deliveries_refused: int
    traced: Mapping[str, tuple[str, ...]]
    ways: Ways
    paid_after_s: float
    seconds: float

    @property
    def prizes(self) -> int:
        """Prize lines of all tournaments."""
        return sum(len(one.prizes) for one in self.standings)

    @property
    def paid(self) -> int:
        """Prizes that were paid."""
        return sum(one.paid for one in self.standings)

    @property
    def sums_match(self) -> bool:
        """Whether every sum matches: in the books, in the wallets and on the chain."""
        return (
            all(one.matches for one in self.booked)
            and all(one.matches for one in self.wallets)
            and all(one.matches for one in self.chained)
        )

    @property
    def good(self) -> bool:
        """Whether all prizes are paid, every sum matches and no invariant is broken."""
        settled = all(one.settled and one.prizes and not one.refusals for one in self.standings)
        webhooks = self.delivered == self.paid and not self.deliveries_refused
        complete = all(len(services) == len(SERVICES) for services in self.traced.values())
        sound = self.sums_match and not self.broken
        return settled and self.paid == self.prizes and sound and webhooks and complete and self.ways.complete

    def to_json(self) -> dict[str, Any]:
        """The outcome as JSON for scripts."""
        return {
            "prizes": self.prizes,
            "paid": self.paid,
            "failed": self.prizes - self.paid,
            "sums_match": self.sums_match,
            "wallets": len(self.wallets),
            "wallets_off": [
                {
                    "player": one.player,
                    "asset": one.asset,
                    "held": one.held.to_wire(),
                    "history": one.history.to_wire(),
                    "of_run": one.of_run.to_wire(),
                    "expected": one.expected.to_wire(),
                }
                for one in self.wallets
                if not one.matches
            ],
            "invariants_broken": [asdict(one) for one in self.broken],
            "webhooks_delivered": self.delivered,
            "paid_by_rail": dict(self.ways.by_rail),
            "unknown_then_proved": [one.payout_id for one in self.ways.by_proof],
            "approved_by_two": [one.payout_id for one in self.ways.by_two],
            "paid_after_s": round(self.paid_after_s, 1),
            "seconds": round(self.seconds, 1),
            "ok": self.good,
            "tournaments": [
                {
                    "name": tournament.name,
                    "match_id": tournament.match_id,
                    "correlation_id": tournament.correlation_id,
                    "asset": tournament.asset,
                    "services": self.traced[tournament.correlation_id],
                    "refusals": one.refusals,
                    "prizes": [asdict(prize) for prize in one.prizes],
                    "funded": booked.funded.to_wire(),
                    **{name: value.to_wire() for name, value in booked.whereabouts.items()},
                }
                for tournament, one, booked in zip(self.tournaments, self.standings, self.booked, strict=True)
            ],
            "chain": [asdict(one) for one in self.chained],
        }


def judge(
    api: Api,
    tournaments: tuple[Tournament, ...],
    seen: Seen,
    *,
    campaigns: Mapping[str, str],
    assets: AssetRegistry,
    seconds: float,
    deadline_s: float = sums.SETTLED_DEADLINE_S,
    signer_url: str | None = None,
) -> Outcome:
    """Load every sum and every invariant. Sums and invariants that do not hold are part of the outcome.

    Raises:
        DevstackError: a service refused to answer.
    """
    pairs = list(zip(tournaments, seen.standings, strict=True))
    return Outcome(
        tournaments=tournaments,
        standings=seen.standings,
        booked=tuple(
            sums.books(
                api,
                tournament,
                one,
                campaign_id=campaigns[tournament.campaign],
                assets=assets,
                deadline_s=deadline_s,
            )
            for tournament, one in pairs
        ),
        wallets=tuple(sums.wallets(api, pairs, assets=assets, deadline_s=deadline_s)),
        chained=tuple(
            onchain.chain_sums(
                pairs,
                payments=seen.payments,
                destinations=seen.destinations,
                known=onchain.known_elsewhere(api, tournaments),
                deadline_s=min(deadline_s * 4, onchain.EXPLAINED_DEADLINE_S),
            )
        ),
        broken=tuple(sums.broken(api, signer_url=signer_url)),
        delivered=seen.delivered,
        deliveries_refused=seen.deliveries_refused,
        traced=seen.traced,
        ways=seen.ways,
        paid_after_s=seen.paid_after_s,
        seconds=seconds,
    )
