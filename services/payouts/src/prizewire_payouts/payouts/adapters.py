"""Intents of stored payouts: their signature by rewards is verified before a rail is called."""

from datetime import UTC, datetime
from typing import Final

import orjson
from pydantic import TypeAdapter, ValidationError

from prizewire_contracts.intents import INTENT_VERSION, AllowedWay, Intent
from prizewire_contracts.rails import SIGNER_RAILS
from prizewire_contracts.trust import NotTrusted, TrustStore
from prizewire_money import Amount, InvalidAmount
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.quotes.adapters import OwnQuotes
from prizewire_payouts.quotes.handlers import mismatch

_INTENT: Final = TypeAdapter(Intent)


def read_intent(stored: object) -> Intent | None:
    """The intent in a payout's row, whether it is signed or not; None where the row holds no intent."""
    try:
        return _INTENT.validate_json(orjson.dumps(stored), strict=True)
    except (ValidationError, orjson.JSONEncodeError):
        return None


class SignedIntents:
    """Whether rewards signed for a payout as the database holds it. A person who can write rows cannot sign intents.

    The intents of payouts on a rail that the signer serves are not checked here: the signer verifies the same signature. Their
    quotes are, like all others.
    """

    def __init__(self, *, trust: TrustStore) -> None:
        self._trust = trust
        self._quotes = OwnQuotes(trust)

    def __call__(self, payout: Payout, method: Method | None) -> bool:
        """Whether the intent is signed, and names this payout, payee, amount, destination and expiry."""
        intent = read_intent(dict(payout.intent))
        if intent is None:
            return payout.rail_type in SIGNER_RAILS
        if not self._quoted(payout, intent):
            return False
        if payout.rail_type in SIGNER_RAILS:
            return True
        try:
            self._trust.verify(
                keyid=intent.key_id,
                service="rewards",
                use="intent",
                message=intent.signing_bytes(),
                signature=payout.intent_signature,
                at=datetime.fromtimestamp(intent.issued_at, UTC),
            )
        except (NotTrusted, ValueError, OverflowError, OSError):
            return False
        return _named(intent) == _stored(payout) and any(
            (one.rail, one.destination, one.memo) == (payout.rail_type, payout.address, payout.memo)
            and (method is None or one.commitment == method.commitment)
            and _most(one, payout) >= payout.amount.minor
            for one in intent.allowed
        )

    def _quoted(self, payout: Payout, intent: Intent) -> bool:
        """Whether the stored quote is the one that the intent names, signed by payouts, over what is to be paid."""
        if payout.quote is None or intent.quote is None:
            return payout.quote is None and intent.quote is None
        quote = self._quotes.read(payout.quote.document)
        return (
            quote is not None
            and mismatch(quote, intent=intent, method_id=payout.method_id) is None
            and payout.quote.pay == payout.amount
        )


def _most(way: AllowedWay, payout: Payout) -> int:
    """The most that may be paid in this way, in minor units of the payout's asset; 0 where the way names no amount of it."""
    try:
        return Amount.parse(payout.amount.asset, way.amount_max).minor
    except InvalidAmount:
        return 0


def _named(intent: Intent) -> tuple[object, ...]:
    origin = (intent.campaign, intent.competition, intent.source)
    terms = (intent.v, intent.player, intent.payee, *origin, intent.pay_asset, intent.pay_amount)
    return (intent.payout_id, *terms, intent.expires_at)


def _stored(payout: Payout) -> tuple[object, ...]:
    amount = payout.amount
    origin = (payout.campaign, payout.competition, payout.source)
    terms = (INTENT_VERSION, payout.player, payout.payee, *origin, amount.asset.code, amount.to_wire())
    return (str(payout.payout_id), *terms, payout.intent_expires_at.timestamp())
