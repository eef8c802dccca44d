"""Creates payouts with their signed intents, and renews intents."""

from dataclasses import asdict, replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts.intents import AllowedDestination, Intent
from prizewire_money import Amount
from prizewire_rewards.ledger.domain.records import CreditParties
from prizewire_rewards.payouts.domain.funding import Destination, FundingAccount
from prizewire_rewards.payouts.domain.model import Method, Payout, PayoutState
from prizewire_rewards.payouts.ports import PayoutTools


def make_payout(
    *,
    payout_id: UUID,
    method: Method,
    asset: str,
    amount: int,
    correlation_id: str,
    filed_by: str,
    campaign: UUID | None,
    round_id: UUID | None,
    credited_by: CreditParties,
    tools: PayoutTools,
    now: datetime,
    fee: int = 0,
) -> Payout:
    """Create a payout to ``method`` with its signed intent, as version 1. The paid asset is the debited asset. The ``fee``,
    which the player bears, is debited and not paid.
    """
    intent = _intent(
        payout_id=payout_id,
        correlation_id=correlation_id,
        player=method.player,
        campaign=campaign,
        funding_account=None,
        asset=asset,
        debit=amount,
        pay=amount - fee,
        to=AllowedDestination(
            rail=method.rail_type,
            destination=method.address,
            commitment=method.commitment,
            memo=method.memo,
        ),
        tools=tools,
        now=now,
    )
    return Payout(
        id=payout_id,
        player=method.player,
        asset=asset,
        amount=amount,
        correlation_id=correlation_id,
        state=PayoutState.REQUESTED,
        filed_by=filed_by,
        method_id=method.id,
        method_version=method.version,
        rail_types=(method.rail_type,),
        intent=asdict(intent),
        intent_signature=tools.signer.sign(intent),
        campaign=campaign,
        round_id=round_id,
        fee=fee,
        version=1,
        credited_by=credited_by,
    )


def make_operator_payout(
    *,
    payout_id: UUID,
    account: FundingAccount,
    amount: int,
    destination: Destination,
    filed_by: str,
    credited_by: CreditParties,
    tools: PayoutTools,
    now: datetime,
) -> Payout:
    """Create a payout out of a funding account to an address in clear text, with its signed intent, as version 1. It has no
    player, campaign or method; its id is its correlation id.
    """
    intent = _intent(
        payout_id=payout_id,
        correlation_id=str(payout_id),
        player=None,
        campaign=None,
        funding_account=account.name,
        asset=account.asset,
        debit=amount,
        pay=amount,
        to=AllowedDestination(
            rail=destination.rail_type, destination=destination.address, memo=destination.memo
        ),
        tools=tools,
        now=now,
    )
    return Payout(
        id=payout_id,
        player=None,
        asset=account.asset,
        amount=amount,
        correlation_id=str(payout_id),
        state=PayoutState.REQUESTED,
        filed_by=filed_by,
        method_id=None,
        method_version=None,
        rail_types=(destination.rail_type,),
        intent=asdict(intent),
        intent_signature=tools.signer.sign(intent),
        funding_account=account.name,
        version=1,
        credited_by=credited_by,
    )


def _intent(
    *,
    payout_id: UUID,
    correlation_id: str,
    player: str | None,
    campaign: UUID | None,
    funding_account: str | None,
    asset: str,
    debit: int,
    pay: int,
    to: AllowedDestination,
    tools: PayoutTools,
    now: datetime,
) -> Intent:
    issued_at = int(now.timestamp())
    known = tools.assets[asset]
    return Intent(
        v=1,
        network=tools.network,
        payout_id=str(payout_id),
        correlation_id=correlation_id,
        player=player,
        campaign=str(campaign) if campaign else None,
        funding_account=funding_account,
        debit_asset=asset,
        debit_amount=Amount(known, debit).to_wire(),
        pay_asset=asset,
        pay_amount=Amount(known, pay).to_wire(),
        allowed=(to,),
        issued_at=issued_at,
        expires_at=issued_at + int(tools.intent_lifetime.total_seconds()),
        key_id=tools.signer.key_id,
    )


def renew_intent(payout: Payout, *, tools: PayoutTools, now: datetime) -> Payout:
    """Create the next version of a payout, with an intent on the same terms that is valid from now on."""
    issued_at = int(now.timestamp())
    intent = Intent(
        **{
            **payout.intent,
            "allowed": tuple(AllowedDestination(**one) for one in payout.intent["allowed"]),
            "issued_at": issued_at,
            "expires_at": issued_at + int(tools.intent_lifetime.total_seconds()),
            "key_id": tools.signer.key_id,
        }
    )
    return replace(
        payout,
        intent=asdict(intent),
        intent_signature=tools.signer.sign(intent),
        version=payout.version + 1,
    )
