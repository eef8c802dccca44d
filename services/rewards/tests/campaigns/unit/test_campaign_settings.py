"""Invalid settings, pools that become low, facts of players by time, keyed hashes."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from prizewire_rewards.campaigns.domain.model import Campaign, CampaignState, Delivery, check_level
from prizewire_rewards.campaigns.domain.settings import (
    NO_SETTINGS,
    CampaignSettings,
    Caps,
    ClaimSettings,
    RiskThresholds,
    Velocity,
)
from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.players.adapters import KeyedHasher
from prizewire_rewards.players.domain import KycState, PlayerFacts, newest

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY = hashlib.sha256(b"one").hexdigest()


@pytest.mark.parametrize(
    "parts",
    [
        {"low_water": 0},
        {"caps": Caps(per_player=0)},
        {"caps": Caps(per_campaign_day=-1)},
        {"claim": ClaimSettings(expires_s=0)},
        {"claim": ClaimSettings(review_deadline_s=10**9)},
        {"risk": RiskThresholds(collusion_winners=1)},
        {"risk": RiskThresholds(velocity=Velocity(count=0, window_s=60))},
        {"risk": RiskThresholds(velocity=Velocity(count=5, window_s=0))},
        {"risk": RiskThresholds(new_account_s=0)},
        {"risk": RiskThresholds(amount=0)},
    ],
)
def test_invalid_settings_are_refused(parts: dict[str, object]) -> None:
    """A cap of zero, a deadline in the past or collusion of one winner is refused."""
    with pytest.raises(InvalidRequest) as caught:
        CampaignSettings(**parts)  # type: ignore[arg-type]  # one field of many types
    assert caught.value.code == "settings_invalid"


def campaign(available: int, *, mark: int | None = 100, low: bool = False) -> Campaign:
    return Campaign(
        id=uuid4(),
        name="cup",
        asset="USDC",
        delivery=Delivery.WALLET,
        state=CampaignState.ACTIVE,
        available=available,
        low=low,
        settings=replace(NO_SETTINGS, low_water=mark),
    )


def test_pool_low_is_emitted_once_until_the_pool_has_risen() -> None:
    """At the mark the pool is not low. Below the mark the event is emitted once. After the pool reached the mark it can be
    emitted again.
    """
    at_mark, event = check_level(campaign(100))
    assert (at_mark.low, event) == (False, None)
    below, event = check_level(replace(at_mark, available=99))
    assert event is not None
    assert (event.campaign.version, below.version) == (1, 1)
    assert check_level(replace(below, available=5)) == (replace(below, available=5), None)
    risen, event = check_level(replace(below, available=100))
    assert (risen.low, event) == (False, None)
    assert check_level(replace(risen, available=0))[1] is not None


def test_a_pool_without_a_mark_is_never_low() -> None:
    """Without a mark no event is emitted. A pool whose mark is removed is no longer low."""
    assert check_level(campaign(0, mark=None))[1] is None
    assert check_level(campaign(0, mark=None, low=True))[0].low is False


def test_the_newest_report_of_each_fact_counts() -> None:
    """Several servers report facts in any order. An older report of one fact does not change another fact."""
    hour = timedelta(hours=1)
    known = PlayerFacts(
        player="ann",
        kyc_state=KycState.PENDING,
        kyc_state_told=NOW,
        device_hash="d1",
        device_hash_told=NOW,
    )
    reported = PlayerFacts(
        player="ann",
        kyc_state=KycState.VERIFIED,
        kyc_state_told=NOW + hour,
        device_hash="d0",
        device_hash_told=NOW - hour,
        registered_at=NOW,
        registered_at_told=NOW - hour,
    )
    became = newest(known=known, reported=reported)
    assert (became.kyc_state, became.device_hash, became.registered_at) == (KycState.VERIFIED, "d1", NOW)
    assert newest(known=reported, reported=known) == became
    assert newest(known=became, reported=replace(known, kyc_state_told=NOW + hour)) == became


def test_a_raw_value_and_its_hash_have_the_same_keyed_hash() -> None:
    """An admin sends a raw device, a game server its hash: both are the same device. Another key or fact gives another hash."""
    hasher = KeyedHasher(key_hex=KEY)
    plain = hashlib.sha256(b"device-7").hexdigest()
    assert hasher.raw("device", "device-7") == hasher.hashed("device", plain)
    assert hasher.raw("device", "device-7") != hasher.raw("address", "device-7")
    assert KeyedHasher(key_hex=plain).raw("device", "device-7") != hasher.raw("device", "device-7")
    assert plain not in hasher.raw("device", "device-7")


@pytest.mark.parametrize("text", ["", "short", KEY.upper(), KEY + "0"])
def test_an_invalid_key_is_refused(text: str) -> None:
    """A truncated key file must not be used as a weak key."""
    with pytest.raises(ValueError, match="64 lower-case hex digits"):
        KeyedHasher(key_hex=text)
