"""Events of entries, top-ups and their reversals."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from prizewire_chassis.testing import event_bytes, make_key
from prizewire_contracts import ids
from prizewire_contracts.topics import PAYOUTS
from prizewire_rewards.entries.domain import EntryEnd
from prizewire_rewards.entries.handlers.ending import close_entries
from prizewire_rewards.ledger.domain.accounts import Kind
from services.rewards.tests.rig import Match, Rig


def _head(match: Match) -> dict[str, Any]:
    return {
        "round_id": str(match.round_id),
        "match_id": match.match_id,
        "match_source": "/games/test",
        "competition": "cup",
    }


def _progress(match: Match, kind: str, *, version: int, fee: str | None, asset: str) -> bytes:
    data = {
        **_head(match),
        "rule_version": 1,
        "at": "2026-03-01T12:00:00+00:00",
        "entry_fee": None if fee is None else {"asset": asset, "amount": fee},
    }
    return match.settlement_event(f"prizewire.round.{kind}.v1", data, version=version)


def opened(match: Match, *, fee: str | None = "5.00", asset: str = "USDC", version: int = 1) -> bytes:
    """``round.opened``, with the entry fee."""
    return _progress(match, "opened", version=version, fee=fee, asset=asset)


def closed(match: Match, *, version: int, fee: str | None = "5.00", asset: str = "USDC") -> bytes:
    """``round.closed``."""
    return _progress(match, "closed", version=version, fee=fee, asset=asset)


def entered(
    match: Match,
    player: str,
    *,
    version: int,
    fee: str = "5.00",
    asset: str = "USDC",
    changes: Mapping[str, object] | None = None,
) -> bytes:
    """``round.entered``: the player has to pay the fee. ``changes`` replace fields of the data."""
    data = {
        **_head(match),
        "entry_id": str(entry_of(match, player)),
        "player": player,
        "fee": {"asset": asset, "amount": fee},
        "at": "2026-03-01T12:00:00+00:00",
        **(changes or {}),
    }
    return match.settlement_event("prizewire.round.entered.v1", data, version=version)


def voided(match: Match, *, version: int) -> bytes:
    """``round.voided``."""
    data = {**_head(match), "reason": "power cut"}
    return match.settlement_event("prizewire.round.voided.v1", data, version=version)


def entry_of(match: Match, player: str) -> UUID:
    """The id of a player's entry."""
    return ids.entry_id(round_id=match.round_id, player=player)


async def end(rig: Rig, match: Match, how: EntryEnd) -> dict[str, int]:
    """End a round for its entries, as the consumer does with the event that ends it."""
    async with rig.db.transaction() as tx:
        reached = await close_entries(
            {match.round_id: how}, ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now()
        )
    return {str(state): count for state, count in reached.items()}


class TopupSession:
    """A top-up session at a provider. Each event gets the next version."""

    def __init__(self, player: str = "ann", *, amount: str = "20.00", asset: str = "USDC") -> None:
        self.id = uuid4()
        self.player = player
        self.amount = amount
        self.asset = asset
        self.version = 0

    def event(self, what: str, *, version: int | None = None, key: str = "payouts", **changes: Any) -> bytes:
        """A signed ``topup.*`` event."""
        if version is None:
            self.version += 1
        data = {
            "topup_id": str(self.id),
            "player": self.player,
            "asset": self.asset,
            "amount": self.amount,
            "rail": "stripe",
            **changes,
        }
        if what == "expired":
            data = {"topup_id": str(self.id), "player": self.player, "code": "session_expired"}
        return event_bytes(
            topic=PAYOUTS.name,
            kind=f"prizewire.topup.{what}.v1",
            source="/prizewire/payouts",
            subject=str(self.id),
            data=data,
            key=make_key(key),
            correlationid=str(self.id),
            aggregateversion=version or self.version,
        )

    def completed(self, **changes: Any) -> bytes:
        """``topup.completed``."""
        return self.event("completed", **{"reference": f"pay-{self.id.hex[:8]}", **changes})

    def reversal(self, what: str, ref: str, amount: str, **changes: Any) -> bytes:
        """``topup.refunded``, ``disputed`` or ``dispute_won``."""
        return self.event(what, amount=amount, reversal_ref=ref, **changes)


async def top_up(rig: Rig, player: str, amount: str, *, asset: str = "USDC") -> TopupSession:
    """Complete a top-up and check that it is credited."""
    session = TopupSession(player, amount=amount, asset=asset)
    before = await rig.balance(Kind.TOPUP, player, asset)
    await rig.feed(rig.payouts, session.completed())
    assert await rig.balance(Kind.TOPUP, player, asset) > before
    return session


async def spent_and_disputed(rig: Rig, player: str, amount: str) -> None:
    """The player pays an entry fee out of a top-up, and disputes the payment: a debt of ``amount`` with its reason."""
    session = await top_up(rig, player, amount)
    match = Match(await rig.campaign(), [])
    await rig.feed(rig.settlements, opened(match, fee=amount), entered(match, player, version=2, fee=amount))
    await rig.feed(rig.payouts, session.reversal("disputed", f"dp_{player}", amount))
