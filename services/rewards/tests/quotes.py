"""Quotes as payouts signs them, and payouts that are requested with one."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self
from uuid import UUID, uuid4

from prizewire_chassis.testing import make_key
from prizewire_contracts.quotes import QUOTE_VERSION, PayoutQuote
from prizewire_rewards.payouts.domain.commands import RequestPayout
from prizewire_rewards.payouts.domain.model import Payout
from prizewire_rewards.payouts.domain.quotes import SignedQuote
from prizewire_rewards.payouts.handlers.requests import request_payout
from prizewire_rewards.payouts.ports import PayoutTools
from services.rewards.tests.rig import FAKE_METHOD, NETWORK, START, Rig, method_event


@dataclass(frozen=True)
class FakeMethod:
    """A payout method of a rail that the signer does not serve."""

    player: str
    id: UUID

    @classmethod
    async def register(cls, rig: Rig, player: str) -> Self:
        """Publish a method of the player."""
        method = cls(player, uuid4())
        await rig.feed(rig.payouts, method_event(player, method_id=method.id, **FAKE_METHOD))
        return method


def quote_of(method: FakeMethod, *, debit: str, pay: str, **changes: Any) -> PayoutQuote:
    """A quote of dollars in euros, which is valid for an hour."""
    now = int(START.timestamp())
    quote = PayoutQuote(
        v=QUOTE_VERSION,
        network=NETWORK,
        quote_id=str(uuid4()),
        player=method.player,
        method_id=str(method.id),
        rail="fake",
        rail_type="fake",
        debit_asset="USDC",
        debit_amount=debit,
        pay_asset="EURC",
        pay_amount=pay,
        rate="0.92",
        fee_asset="EURC",
        fee_amount="0.00",
        fee_borne_by="platform",
        issued_at=now,
        expires_at=now + 30 * 86_400,
        key_id=make_key("payouts").keyid,
    )
    return replace(quote, **changes)


def sign_quote(quote: PayoutQuote, *, by: str = "payouts") -> SignedQuote:
    """The quote with the signature of a service's test key."""
    return SignedQuote(fields=asdict(quote), signature=make_key(by).sign(quote.signing_bytes()))


async def request_with(
    rig: Rig,
    quote: SignedQuote,
    method: FakeMethod,
    *,
    amount: int,
    tools: PayoutTools | None = None,
    pay_asset: str | None = None,
) -> Payout:
    """Request a payout of ``amount`` minor units of dollars with this quote."""
    command = RequestPayout(
        id=uuid4(),
        player=method.player,
        asset="USDC",
        amount=amount,
        method_id=method.id,
        pay_asset=pay_asset,
        quote=quote,
    )
    async with rig.db.transaction() as tx:
        return await request_payout(
            command, ports=rig.ports_of(tx), tools=tools or rig.tools, now=rig.clock.now()
        )


async def request_quoted(rig: Rig, method: FakeMethod, *, debit: str, pay: str, **changes: Any) -> UUID:
    """Request a payout of ``debit`` dollars that pays ``pay`` by a quote."""
    quote = sign_quote(quote_of(method, debit=debit, pay=pay, **changes))
    payout = await request_with(rig, quote, method, amount=int(debit.replace(".", "")))
    return payout.id
