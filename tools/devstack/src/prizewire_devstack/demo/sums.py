"""The sums at the end of a run, to the minor unit.

Each sum is compared with that of another service: a campaign's balance sheet in rewards with the fees and prizes of
settlement and the proved payouts of payouts; each wallet with its history and the same prizes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from prizewire_devstack.api import Api
from prizewire_devstack.demo.following import FAILED, PAID, Prize, Standing
from prizewire_devstack.demo.tournaments import Tournament
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.tracing import missing
from prizewire_devstack.verification import verify
from prizewire_devstack.waiting import NotInTimeError, eventually_sync
from prizewire_money import Amount, Asset, AssetRegistry

WHEREABOUTS: Final = (
    "paid",
    "payout_pending",
    "platform_fees",
    "organizer_fees",
    "wallets",
    "claimable",
    "reserved",
    "withdrawn",
    "available",
)
"""The places of a campaign's money; `funded` is their sum."""
BUCKETS: Final = ("winnings", "topup", "pending")
CREDITED: Final = frozenset({"pending", "credited"})
"""States of a reward whose money is in its player's wallet, as long as no payout was requested."""
SIGNS: Final = {"credit": 1, "debit": -1, "internal": 0, "none": 0}
"""The effect of an entry of a history on the whole wallet; `internal` moves from one bucket to another, `none` opens a debt."""
PARALLEL_REQUESTS: Final = 8
SETTLED_DEADLINE_S: Final = 5.0
"""Seconds for which sums that do not match are loaded again."""
POLL_S: Final = 0.25


@dataclass(frozen=True, kw_only=True)
class Sum:
    """A campaign's sums. `whereabouts` are those of rewards, `expected` those of settlement and payouts."""

    tournament: str
    asset: str
    funded: Amount
    whereabouts: Mapping[str, Amount]
    expected: Mapping[str, Amount]

    @property
    def matches(self) -> bool:
        """Whether the places sum to the funded amount, and equal the expected sums."""
        zero = Amount.zero(self.funded.asset)
        return self.funded == sum(self.whereabouts.values(), start=zero) and all(
            self.whereabouts[name] == value for name, value in self.expected.items()
        )


@dataclass(frozen=True, kw_only=True)
class WalletSum:
    """One wallet. `held` is its balance over all buckets, `history` the sum of all entries of its history, `of_run` the sum
    of those of this run's matches, and `expected` the same sum by the prize lists.
    """

    player: str
    asset: str
    held: Amount
    history: Amount
    of_run: Amount
    expected: Amount

    @property
    def matches(self) -> bool:
        """Whether the balance equals the history, and the history of this run equals the prizes."""
        return self.held == self.history and self.of_run == self.expected


S = TypeVar("S", Sum, WalletSum)


@dataclass(frozen=True, kw_only=True)
class Broken:
    """An invariant that a service reports as broken."""

    service: str
    name: str
    breaches: tuple[str, ...]


def load_assets(file: Path) -> AssetRegistry:
    """Read `assets.yaml`."""
    return AssetRegistry.from_mapping(yaml.safe_load(file.read_text())["assets"])


def books(
    api: Api,
    tournament: Tournament,
    standing: Standing,
    *,
    campaign_id: str,
    assets: AssetRegistry,
    deadline_s: float = SETTLED_DEADLINE_S,
) -> Sum:
    """Load a campaign's balance sheet and compare it with settlement and payouts.

    Rewards may learn a moment later than others that a payout was paid: the sheet is loaded again until then.
    """
    return _until_it_matches(
        lambda: _books(api, tournament, standing, campaign_id=campaign_id, assets=assets), deadline_s
    )


def _until_it_matches(ask: Callable[[], S], deadline_s: float) -> S:
    """Load until the sum matches or the deadline has passed; returns the last one."""
    last: list[S] = []

    def matches() -> bool:
        last[:] = [ask()]
        return last[0].matches

    with suppress(NotInTimeError):
        eventually_sync(matches, deadline_s=deadline_s, poll_s=POLL_S)
    return last[0]


def _books(
    api: Api, tournament: Tournament, standing: Standing, *, campaign_id: str, assets: AssetRegistry
) -> Sum:
    asset = assets[tournament.asset]
    sheet: Mapping[str, Any] = api.get(f"/api/campaigns/{campaign_id}/balance-sheet")
    zero = Amount.zero(asset)
    to_wallets = sum((amount for _, amount in _into_wallets(standing, asset=asset)), start=zero)
    return Sum(
        tournament=tournament.name,
        asset=asset.code,
        funded=Amount.parse(asset, sheet["funded"]),
        whereabouts={name: Amount.parse(asset, sheet[name]) for name in WHEREABOUTS},
        expected={
            "paid": _total(asset, (prize for prize in standing.prizes if prize.status == PAID)),
            "payout_pending": zero,
            "reserved": zero,
            "platform_fees": Amount.parse(asset, standing.platform_fee or "0"),
            "organizer_fees": zero
            if standing.organizer is not None
            else Amount.parse(asset, standing.organizer_fee or "0"),
            "wallets": to_wallets,
        },
    )


def _total(asset: Asset, prizes: Iterable[Prize]) -> Amount:
    return sum((Amount.parse(asset, prize.amount) for prize in prizes), start=Amount.zero(asset))


def _into_wallets(standing: Standing, *, asset: Asset) -> Iterator[tuple[str, Amount]]:
    """(player, amount) of a round's money that is in wallets."""
    for prize in standing.prizes:
        if prize.status in (CREDITED if prize.payout_id is None else FAILED):
            yield prize.player_id, Amount.parse(asset, prize.amount)
    if standing.organizer is not None and standing.organizer_fee is not None:
        yield standing.organizer, Amount.parse(asset, standing.organizer_fee)


def wallets(
    api: Api,
    pairs: Sequence[tuple[Tournament, Standing]],
    *,
    assets: AssetRegistry,
    deadline_s: float = SETTLED_DEADLINE_S,
) -> list[WalletSum]:
    """Compare the wallet of every player and organizer with its history and with the prize lists.

    Other runs may change a wallet between the two requests; it is then loaded again.
    """
    expected: dict[tuple[str, str], Amount] = {}
    for tournament, standing in pairs:
        asset = assets[tournament.asset]
        for player in {*tournament.players, *tournament.organizers}:
            expected.setdefault((player, asset.code), Amount.zero(asset))
        for player, amount in _into_wallets(standing, asset=asset):
            so_far = expected.setdefault((player, asset.code), Amount.zero(asset))
            expected[player, asset.code] = so_far + amount
    run = frozenset(tournament.correlation_id for tournament, _ in pairs)

    def compare(holder: tuple[str, str]) -> WalletSum:
        return _until_it_matches(
            lambda: _wallet(api, holder, assets=assets, run=run, expected=expected[holder]), deadline_s
        )

    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        return list(pool.map(compare, sorted(expected)))


def _wallet(
    api: Api, holder: tuple[str, str], *, assets: AssetRegistry, run: frozenset[str], expected: Amount
) -> WalletSum:
    player, code = holder
    asset = assets[code]
    history = of_run = 0
    for entry in api.items("/api/wallet/transactions", player=player, asset=code):
        signed = SIGNS[entry["direction"]] * Amount.parse(asset, entry["amount"]).minor
        history += signed
        of_run += signed if entry["correlation_id"] in run else 0
    balances = api.get("/api/wallet", player=player)["balances"]
    held = sum(
        Amount.parse(asset, balance[bucket]).minor
        for balance in balances
        if balance["asset"] == code
        for bucket in BUCKETS
    )
    return WalletSum(
        player=player,
        asset=code,
        held=Amount(asset, held),
        history=Amount(asset, history),
        of_run=Amount(asset, of_run),
        expected=expected,
    )


def broken(api: Api, *, signer_url: str | None) -> list[Broken]:
    """Verify the installation; returns the broken invariants.

    Raises:
        DevstackError: a service does not answer.
    """
    found = verify(api, signer_url=signer_url)
    if found.silent:
        raise DevstackError(missing(found.silent))
    return [Broken(service=one.service, name=one.invariant, breaches=one.breaches) for one in found.broken]
