"""Before building: would the ledger apply this payment now? One bad payment would fail all payments of its transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_payouts.stellar.domain.model import (
    NATIVE,
    AccountFacts,
    AccountQuery,
    ChainAsset,
    Payment,
)


@dataclass(frozen=True, slots=True)
class Preflight:
    """Payments that may be built, those that cannot be made with their codes, and those that the treasury cannot
    cover now.
    """

    good: tuple[Payment, ...]
    bad: Mapping[UUID, str]
    uncovered: tuple[Payment, ...]


def queries(payments: Sequence[Payment], *, treasury: str, channel: str) -> list[AccountQuery]:
    """The accounts and trustlines that ``check`` must know, each account once."""
    wanted: dict[str, set[ChainAsset]] = {channel: set(), treasury: set()}
    for payment in payments:
        for account in (payment.account, treasury):
            lines = wanted.setdefault(account, set())
            if payment.asset != NATIVE and payment.asset.issuer != account:
                lines.add(payment.asset)
    return [AccountQuery(account, frozenset(assets)) for account, assets in sorted(wanted.items())]


def check(payments: Sequence[Payment], *, treasury: str, accounts: Mapping[str, AccountFacts]) -> Preflight:
    """Judge payments in their order; room and cover are used up by those before."""
    room: dict[tuple[str, ChainAsset], int] = {}
    cover: dict[ChainAsset, int] = {}
    good: list[Payment] = []
    bad: dict[UUID, str] = {}
    uncovered: list[Payment] = []
    for payment in payments:
        code = _refusal(payment, accounts=accounts, room=room)
        if code is not None:
            bad[payment.provider_key] = code
            continue
        left = cover.get(payment.asset)
        if left is None:
            left = cover_of(payment.asset, treasury=treasury, facts=accounts.get(treasury))
        if payment.stroops > left:
            uncovered.append(payment)
            cover[payment.asset] = left
            continue
        cover[payment.asset] = left - payment.stroops
        key = (payment.account, payment.asset)
        if key in room:
            room[key] -= payment.stroops
        good.append(payment)
    return Preflight(tuple(good), bad, tuple(uncovered))


def _refusal(
    payment: Payment, *, accounts: Mapping[str, AccountFacts], room: dict[tuple[str, ChainAsset], int]
) -> str | None:
    facts = accounts.get(payment.account)
    if facts is None:
        return PayoutCode.DESTINATION_MISSING
    # SEP-29: a muxed address names its owner by itself and needs no memo
    if facts.memo_required and not payment.memo and payment.destination == payment.account:
        return PayoutCode.MEMO_REQUIRED
    if payment.asset == NATIVE or payment.asset.issuer == payment.account:
        return None
    line = facts.lines.get(payment.asset)
    if line is None:
        return PayoutCode.NO_TRUSTLINE
    if not line.authorized:
        return PayoutCode.NOT_AUTHORIZED
    left = room.setdefault((payment.account, payment.asset), line.room)
    return PayoutCode.LINE_FULL if payment.stroops > left else None


def cover_of(asset: ChainAsset, *, treasury: str, facts: AccountFacts | None) -> int:
    """What the treasury can pay of an asset, in ten-millionths: without reserve and liabilities; of its own asset the most there is."""
    if facts is None:
        return 0
    if asset == NATIVE:
        return facts.spendable
    if asset.issuer == treasury:
        return 2**63 - 1
    line = facts.lines.get(asset)
    return line.spendable if line is not None and line.authorized else 0
