"""Intents of stored payouts: their signature by rewards is verified before a rail is called."""

from datetime import UTC, datetime
from typing import Final

import orjson
from pydantic import TypeAdapter, ValidationError

from prizewire_contracts.intents import Intent
from prizewire_contracts.rails import SIGNER_RAILS
from prizewire_contracts.trust import NotTrusted, TrustStore
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.payouts.domain.model import Payout

_INTENT: Final = TypeAdapter(Intent)


def read_intent(stored: object) -> Intent | None:
    """The intent in a payout's row, whether it is signed or not; None where the row holds no intent."""
    try:
        return _INTENT.validate_json(orjson.dumps(stored), strict=True)
    except (ValidationError, orjson.JSONEncodeError):
        return None


class SignedIntents:
    """Whether rewards signed for a payout as the database holds it. A person who can write rows cannot sign intents.

    Payouts on a rail that the signer serves are not checked here: the signer verifies the same signature.
    """

    def __init__(self, *, trust: TrustStore) -> None:
        self._trust = trust

    def __call__(self, payout: Payout, method: Method | None) -> bool:
        """Whether the intent is signed, and names this payout, payee, amount, destination and expiry."""
        if payout.rail_type in SIGNER_RAILS:
            return True
        intent = read_intent(dict(payout.intent))
        if intent is None:
            return False
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
            for one in intent.allowed
        )


def _named(intent: Intent) -> tuple[object, ...]:
    terms = (intent.player, intent.campaign, intent.pay_asset, intent.pay_amount)
    return (intent.payout_id, *terms, intent.expires_at)


def _stored(payout: Payout) -> tuple[object, ...]:
    amount = payout.amount
    terms = (payout.player, payout.campaign, amount.asset.code, amount.to_wire())
    return (str(payout.payout_id), *terms, payout.intent_expires_at.timestamp())
