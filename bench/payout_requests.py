"""Payouts as rewards requests them, signed with its key."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

from prizewire_contracts.encode import encode
from prizewire_contracts.events.rewards import PayoutRequestedEvent
from prizewire_contracts.intents import INTENT_VERSION, AllowedWay, Intent
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.components.stellar import PASSPHRASE

PLAYER = "bench"
AMOUNT = "12.50"


class Method(NamedTuple):
    """A registered payout method of ``PLAYER``: its id, and the commitment to its details."""

    method_id: str
    commitment: str


def payout_requested(*, method: Method, correlation_id: str, key: MessageKey) -> bytes:
    """The event that requests one payout to this method."""
    now = datetime.now(UTC)
    payout_id = str(uuid4())
    intent = Intent(
        v=INTENT_VERSION,
        network=PASSPHRASE,
        payout_id=payout_id,
        correlation_id=correlation_id,
        player=PLAYER,
        campaign=None,
        competition=None,
        source=None,
        funding_account=None,
        debit_asset="EURC",
        debit_amount=AMOUNT,
        pay_asset="EURC",
        pay_amount=AMOUNT,
        allowed=(AllowedWay(rail="fake", commitment=method.commitment, amount_max=AMOUNT),),
        quote=None,
        issued_at=int(now.timestamp()),
        expires_at=int((now + timedelta(days=1)).timestamp()),
        key_id=key.keyid,
    )
    data = {
        "payout_id": payout_id,
        "player": PLAYER,
        "reward_ids": [],
        "method_id": method.method_id,
        "method_version": 1,
        "intent": asdict(intent),
        "intent_signature": key.sign(intent.signing_bytes()),
        "filed_by": "rewards",
    }
    event = encode(
        PayoutRequestedEvent,
        data,
        service="rewards",
        subject=payout_id,
        version=1,
        correlation_id=correlation_id,
        causation_id=None,
        now=now,
        key=key,
    )
    return event.value
