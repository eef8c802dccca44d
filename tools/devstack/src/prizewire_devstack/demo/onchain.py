"""Compare the treasury's payments on the sandbox's ledger with the prizes that are shown as paid over the chain."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import httpx

from prizewire_devstack.api import LOCAL_ADVICE, Api
from prizewire_devstack.demo.following import PAID, Standing
from prizewire_devstack.demo.tournaments import RAIL_DEFAULT, Tournament
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.waiting import NotInTimeError, eventually_sync
from prizewire_money import Amount, Asset

STELLAR_DECIMALS: Final = 7
PAGE: Final = 1_000
TIMEOUT_S: Final = 30.0
EXPLAINED_DEADLINE_S: Final = 20.0
"""Seconds that payouts may take to prove a payment that is on the ledger."""


class Payment(NamedTuple):
    """One payment out of the treasury. `asset` is a code, `units` are of 10^-7."""

    tx_hash: str
    destination: str
    asset: str
    units: int


@dataclass(frozen=True, kw_only=True)
class ChainSum:
    """The ledger's sums of one asset, as decimal strings.

    `left_treasury` are the ledger's payments that are prizes of this run, by transaction, destination and amount;
    `paid` is the sum of the prizes that are shown as paid there. `others` are payments of payouts of other runs,
    `unexplained` those without a payout.
    """

    asset: str
    left_treasury: str
    paid: str
    others: str
    unexplained: str

    @property
    def matches(self) -> bool:
        """Whether each prize was paid on the ledger, and every payment of the treasury belongs to a payout."""
        return self.left_treasury == self.paid and self.unexplained == _units(self.asset, 0)


class TreasuryLedger:
    """The ledger's list of a treasury's payments."""

    def __init__(self, *, url: str, treasury: str) -> None:
        self._url = f"{url}/sandbox/payments"
        self._treasury = treasury

    def end(self) -> int:
        """The cursor after all present payments."""
        return [cursor for _, cursor in self._pages(after=0)][-1]

    def since(self, cursor: int) -> list[Payment]:
        """The treasury's payments after a cursor, oldest first."""
        return [
            Payment(one["tx_hash"], one["to"], one["asset"].partition(":")[0], int(one["amount"]))
            for page, _ in self._pages(after=cursor)
            for one in page
            if one["from"] == self._treasury
        ]

    def _pages(self, *, after: int) -> Iterator[tuple[list[dict[str, Any]], int]]:
        while True:
            query: dict[str, str | int] = {"account": self._treasury, "after": after, "limit": PAGE}
            try:
                answer = httpx.get(self._url, params=query, timeout=TIMEOUT_S, trust_env=False)
                answer.raise_for_status()
                found = answer.json()
            except (httpx.HTTPError, ValueError) as error:
                raise DevstackError(
                    f"The sandbox's ledger does not list its payments ({type(error).__name__}): {LOCAL_ADVICE}."
                ) from error
            after = found["next"]
            yield found["payments"], after
            if len(found["payments"]) < PAGE:
                return


Known = Callable[[str], Counter[tuple[str, int]]]
"""Asset code → (transaction, units) of paid payouts that are not of this run."""


def known_elsewhere(api: Api, tournaments: Sequence[Tournament]) -> Known:
    """Load the paid payouts of other runs."""
    own = {tournament.correlation_id for tournament in tournaments}

    def ask(code: str) -> Counter[tuple[str, int]]:
        return Counter(
            (item["tx_hash"], _minor(item["pay_amount"], code))
            for item in api.items("/api/admin/payouts", state=PAID, asset=code)
            if item["correlation_id"] not in own and item["tx_hash"] is not None
        )

    return ask


def chain_sums(
    standings: Sequence[tuple[Tournament, Standing]],
    *,
    payments: Sequence[Payment],
    destinations: Mapping[str, str],
    known: Known,
    deadline_s: float = EXPLAINED_DEADLINE_S,
) -> list[ChainSum]:
    """Match each paid prize with a payment of the ledger, and each other payment with its payout.

    `destinations` are the addresses of players. A payout of another run may be on the ledger before payouts has
    proved it: the function waits for that.
    """
    found = []
    for code in sorted({tournament.asset for tournament, _ in standings}):
        left = Counter(one for one in payments if one.asset == code)
        prizes = Counter(
            Payment(prize.tx_hash or "", destinations[prize.player_id], code, _minor(prize.amount, code))
            for tournament, standing in standings
            if tournament.asset == code
            for prize in standing.prizes
            if prize.status == PAID and prize.rail == RAIL_DEFAULT
        )
        rest = Counter((one.tx_hash, one.units) for one in (left - prizes).elements())
        unexplained = _unexplained(rest, code=code, known=known, deadline_s=deadline_s)
        total = sum(units for _, units in rest.elements())
        nobodys = sum(units for _, units in unexplained.elements())
        found.append(
            ChainSum(
                asset=code,
                left_treasury=_units(code, sum(one.units for one in (left & prizes).elements())),
                paid=_units(code, sum(one.units for one in prizes.elements())),
                others=_units(code, total - nobodys),
                unexplained=_units(code, nobodys),
            )
        )
    return found


def _unexplained(
    rest: Counter[tuple[str, int]], *, code: str, known: Known, deadline_s: float
) -> Counter[tuple[str, int]]:
    left = rest
    if not left:
        return left

    def explained() -> bool:
        nonlocal left
        left = rest - known(code)
        return not left

    try:
        eventually_sync(explained, deadline_s=deadline_s, poll_s=1.0)
    except NotInTimeError:
        return left
    return left


def _asset(code: str) -> Asset:
    return Asset(code, STELLAR_DECIMALS, redeemable=True)


def _units(code: str, units: int) -> str:
    return Amount(_asset(code), units).to_wire()


def _minor(amount: str, code: str) -> int:
    return Amount.parse(_asset(code), amount).minor
