"""What is signed is read as it is written: no value of one type stands for a value of another."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest

from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.decode import EventRefused, decode
from prizewire_contracts.encode import encode, sign_raw
from prizewire_contracts.events.rewards import PayoutRequested, PayoutRequestedEvent
from prizewire_contracts.events.signing import SigningRequested, SigningRequestedEvent
from prizewire_contracts.intents import AllowedWay, Approval, Intent
from prizewire_contracts.topics import REWARDS, SIGNING_REQUESTS, Topic
from prizewire_contracts.trust import USES, MessageKey, TrustStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = {
    name: MessageKey.from_seed(keyid=f"{name}-1", seed=bytes([number]) * 32)
    for number, name in enumerate(("payouts", "rewards"))
}
PAYOUT = UUID("00000000-0000-4000-8000-000000000001")
INTENT = Intent(
    v=2, network="test", payout_id=str(PAYOUT), correlation_id="c-1", player="ana", campaign="spring", competition="spring-cup", source="/games/chess", quote=None,
    funding_account=None, debit_asset="EUR", debit_amount="1.00", pay_asset="EUR", pay_amount="1.00",
    allowed=(AllowedWay(rail="stellar", destination="G", amount_max="1.00"),), issued_at=1, expires_at=2, key_id="rewards-1",
)  # fmt: skip
APPROVAL = Approval(
    v=1, kind="payment", network="test", chain="stellar", account="G", sequence="7", revision=1, tx_hash="00" * 32,
    max_time=1, fee_cap=1, items=(str(PAYOUT),), key_id="payouts-1",
)  # fmt: skip
SIGNING = SigningRequested.model_validate(
    {
        "request_id": PAYOUT, "kind": "payment", "chain": "stellar", "revision": 1, "xdr": "AAAA", "tx_hash": "00" * 32,
        "slot": {"slot_id": PAYOUT, "chain": "stellar", "account": "G", "sequence": "7"}, "max_time": 1, "fee_cap": 1,
        "items": [{"op": 1, "payout_id": PAYOUT, "correlation_id": "c-1", "intent": asdict(INTENT),
                   "intent_signature": "00" * 64}],
        "approval": asdict(APPROVAL), "approval_signature": "00" * 64,
    }
)  # fmt: skip
REQUESTED = PayoutRequested.model_validate(
    {
        "payout_id": PAYOUT, "player": "ana", "reward_ids": [PAYOUT], "method_id": PAYOUT, "method_version": 1,
        "intent": asdict(INTENT), "intent_signature": "00" * 64, "filed_by": "ana",
    }
)  # fmt: skip
EVENTS = {
    "signing": (SIGNING_REQUESTS, SigningRequestedEvent, SIGNING, "payouts"),
    "requested": (REWARDS, PayoutRequestedEvent, REQUESTED, "rewards"),
}


def trust() -> TrustStore:
    entries = [
        {
            "keyid": key.keyid, "service": name, "uses": sorted(USES), "public_key": key.public_key,
            "not_before": "2026-01-01T00:00:00+00:00", "not_after": "2027-01-01T00:00:00+00:00",
        }
        for name, key in KEYS.items()
    ]  # fmt: skip
    return TrustStore.from_json(orjson.dumps({"keys": entries}).decode())


def raw_of(name: str) -> dict[str, Any]:
    _, model, data, service = EVENTS[name]
    event = encode(
        model, data, service=service, subject=str(PAYOUT), version=1, correlation_id="c-1", causation_id=None,
        now=NOW, key=KEYS[service],
    )  # fmt: skip
    found: dict[str, Any] = orjson.loads(event.value)
    return found


def read(name: str, raw: dict[str, Any]) -> None:
    """Sign ``raw`` as its producer would, and read it as a consumer does."""
    topic: Topic = EVENTS[name][0]
    signed = sign_raw(topic=topic.name, raw=raw, key=KEYS[EVENTS[name][3]])
    decode(topic=topic, value=canonical_bytes(signed), trust=trust())


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place in a JSON value that holds no object and no list."""
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, name))
    else:
        yield path, value


def others(value: Any) -> list[Any]:
    """Values of other types that a lenient reader takes for this one."""
    if isinstance(value, bool):
        return [int(value), str(value).lower()]
    if isinstance(value, int):
        return [str(value), value == 1] if value in (0, 1) else [str(value)]
    if isinstance(value, str):
        return [7, True, [value]] + (
            [int(NOW.timestamp()), str(int(NOW.timestamp()))] if _is_moment(value) else []
        )
    return []


def _is_moment(text: str) -> bool:
    return text.startswith("2026-03-01T")


CASES = [
    pytest.param(name, path, other, id=f"{name}/{'/'.join(map(str, path))}={other!r}")
    for name in EVENTS
    for path, value in leaves(raw_of(name))
    if path[-1] not in ("signature", "keyid")
    for other in others(value)
]


@pytest.mark.parametrize("name", EVENTS)
def test_as_it_was_written_it_is_read(name: str) -> None:
    """Without a change both events are taken, so that the refusals below are for the change."""
    read(name, raw_of(name))


@pytest.mark.parametrize(("name", "path", "other"), CASES)
def test_no_type_stands_for_another(name: str, path: tuple[Any, ...], other: Any) -> None:
    """Each value of a signed event, intent, approval and item, written in another type: refused, though signed."""
    raw = raw_of(name)
    place = raw
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = other
    with pytest.raises(EventRefused) as refused:
        read(name, raw)
    assert refused.value.code in (RefusalCode.SCHEMA_INVALID, RefusalCode.NOT_CLOUDEVENT)
