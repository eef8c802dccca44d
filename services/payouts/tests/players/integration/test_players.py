"""Facts of players: who may report them, which report counts, and the gate that asks for them."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_chassis.testing import event_bytes, make_key, records
from prizewire_contracts.player_sources import read_player_sources
from prizewire_contracts.topics import PLAYERS
from prizewire_contracts.trust import MessageKey
from prizewire_money import Amount
from prizewire_payouts.gates.domain import GateLimits
from prizewire_payouts.players.consumers import players_spec
from prizewire_payouts.players.domain import PlayerFacts
from prizewire_payouts.players.storage import PlayerStorage
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import EURC, START, Rig

KYC, TAX = make_key("kyc"), make_key("tax")
VALID = {"not_before": "2000-01-01T00:00:00Z", "not_after": "2100-01-01T00:00:00Z"}
SOURCES = [
    {
        "source": f"/facts/{name}",
        "tells": [group],
        "keys": [{"keyid": key.keyid, "public_key": key.public_key, **VALID}],
    }
    for name, group, key in (("kyc", "identity", KYC), ("tax", "tax", TAX))
]
LIMITS = GateLimits(identity_above={"EURC": Amount(EURC, 10_000)})


def report(
    player: str, *, hours: float = 0, source: str = "kyc", key: MessageKey | None = KYC, **facts: Any
) -> bytes:
    """A report about a player, dated this long after the start of the test."""
    data = {"player": player, **facts}
    return event_bytes(
        topic=PLAYERS.name,
        kind="prizewire.player.updated.v1",
        source=f"/facts/{source}",
        subject=player,
        data=data,
        key=key,
        id=str(uuid4()),
        correlationid=str(uuid4()),
        time=(START + timedelta(hours=hours)).isoformat(),
    )


class Reports:
    """The consumer over a rig, with these sources."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        file = folder / "player-sources.yaml"
        file.write_text(json.dumps({"sources": SOURCES}))
        self.rig = rig
        self.spec = players_spec(
            unit_of_work=rig.unit_of_work, clock=rig.clock, sources=read_player_sources(file.read_text())
        )
        self.start = 0

    async def feed(self, *events: bytes) -> None:
        self.start += 1000
        await self.rig.processor.process(self.spec, records(*events, topic=PLAYERS.name, start=self.start))

    async def of(self, player: str) -> PlayerFacts | None:
        return (await self.rig.run(lambda one: PlayerStorage(one.unit_of_work).find([player]))).get(player)


@pytest.fixture
def reports(rig: Rig, tmp_path: Path) -> Reports:
    return Reports(rig, tmp_path)


async def test_the_newest_report_of_each_fact_counts(reports: Reports) -> None:
    """In any order; an identity check and its end are one fact."""
    end = (START + timedelta(days=9)).isoformat()
    await reports.feed(
        report("ana", hours=-1, kyc_state="verified", kyc_expires_at=end),
        report("ana", hours=-2, kyc_state="pending"),
        report("ana", hours=-3, source="tax", key=TAX, tax_state="filed"),
        report("bob", hours=-1, kyc_state="rejected"),
    )
    ana, bob = await reports.of("ana"), await reports.of("bob")
    assert ana is not None
    assert bob is not None
    assert (ana.kyc_state, ana.kyc_expires_at, ana.tax_state) == (
        "verified",
        START + timedelta(days=9),
        "filed",
    )
    assert (bob.kyc_state, bob.tax_state) == ("rejected", None)
    await reports.feed(report("ana", kyc_state="verified"))
    later = await reports.of("ana")
    assert later is not None
    assert (later.kyc_expires_at, later.tax_state) == (None, "filed")
    assert await reports.rig.stuck() == []


async def test_a_time_in_the_future_counts_as_now(reports: Reports) -> None:
    """A report from a clock that is ahead does not win over later reports."""
    await reports.feed(report("ana", hours=10_000, kyc_state="verified"))
    reports.rig.clock.advance(timedelta(minutes=1))
    await reports.feed(report("ana", hours=1 / 60, kyc_state="rejected"))
    found = await reports.of("ana")
    assert found is not None
    assert found.kyc_state == "rejected"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (report("ana", kyc_state="verified", key=None), "signature_missing"),
        (report("ana", kyc_state="verified", key=TAX), "key_not_trusted"),
        (report("ana", kyc_state="verified", source="tax", key=TAX), "source_not_allowed"),
        (report("ana", kyc_state="verified", tax_state="filed"), "source_not_allowed"),
        (report("ana", kyc_state="verified", source="else"), "source_not_allowed"),
        (report("ana", kyc_state="verified").replace(b'"verified"', b'"pending" '), "signature_invalid"),
    ],
)
async def test_a_forged_report_changes_nothing(reports: Reports, event: bytes, code: str) -> None:
    """An event counts only where its source may report its facts, and signed it with a key of its own."""
    await reports.feed(event)
    assert await reports.of("ana") is None
    (found,) = await reports.rig.stuck()
    assert found == ("dead", code)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (None, "identity_check"),
        ({"kyc_state": "pending"}, "identity_check"),
        ({"kyc_state": "rejected"}, "identity_check"),
        ({"kyc_state": "verified", "kyc_expires_at": START.isoformat()}, "identity_check"),
        ({"kyc_state": "verified", "kyc_expires_at": (START + timedelta(hours=1)).isoformat()}, None),
        ({"kyc_state": "verified"}, None),
    ],
)
async def test_a_large_payout_asks_for_a_valid_identity_check(
    reports: Reports, facts: dict[str, Any] | None, code: str | None
) -> None:
    """Above the limit of the asset; at the limit none is asked for."""
    rig = reports.rig
    rig.limits = LIMITS
    if facts is not None:
        await reports.feed(report("ana", hours=-1, **facts))
    method = await rig.method()
    assert (await rig.payout(await rig.request(method, amount="100.00"))).code is None
    assert (await rig.payout(await rig.request(method, amount="100.01"))).code == code


async def test_a_check_that_ends_before_the_payment_holds_it(reports: Reports, client: Client) -> None:
    """Facts are read again before the attempt, and what persons approved was another fact."""
    rig = reports.rig
    rig.limits = LIMITS
    payout_id = await rig.request(await rig.method(), amount="100.01")
    path = f"/api/admin/payouts/{payout_id}/approve"
    shown = (await client.get(f"/api/payouts/{payout_id}", headers=as_("op", "operator"))).json()
    assert "identity check of the player is none" in shown["gates"][0]["reason"]
    assert (await client.put(path, json={}, headers=as_("pat", "approver"))).json()["state"] == "approved"
    await reports.feed(report("ana", kyc_state="rejected"))
    await rig.submit()
    held = await rig.payout(payout_id)
    assert (held.state, held.code, held.hold_no) == ("held", "identity_check", 2)
    rig.clock.advance(timedelta(seconds=1))
    await reports.feed(report("ana", hours=1 / 3600, kyc_state="verified"))
    assert (await client.put(path, json={}, headers=as_("pat", "approver"))).json()["state"] == "approved"
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
    assert await rig.breaches() == []


async def test_a_years_sum_of_a_campaign_asks_for_a_tax_form(reports: Reports) -> None:
    """In one batch and over several; another campaign, another year, and what ended without effect do not count."""
    rig = reports.rig
    rig.limits = GateLimits(tax_above={"EURC": Amount(EURC, 10_000)})
    method = await rig.method()
    intents = [rig.intent(method, amount=amount) for amount in ("60.00", "40.00", "0.01")]
    await rig.feed(*(rig.requested(method, intent) for intent in intents))
    codes = [(await rig.payout(UUID(intent.payout_id))).code for intent in intents]
    assert codes == [None, None, "tax_form_missing"]
    rig.clock.advance(timedelta(seconds=1))
    assert (await rig.payout(await rig.request(method, amount="0.01"))).code == "tax_form_missing"
    other = await rig.request(method, amount="100.00", campaign="22222222-2222-4222-8222-222222222222")
    assert (await rig.payout(other)).code is None
    await reports.feed(report("ana", source="tax", key=TAX, tax_state="filed"))
    assert (await rig.payout(await rig.request(method, amount="0.01"))).code is None
    bob = await rig.method("bob")
    cancelled = await rig.request(bob, amount="100.00")
    await rig.feed(rig.cancel_asked(cancelled))
    rig.clock.advance(timedelta(seconds=1))
    assert (await rig.payout(await rig.request(bob, amount="100.00"))).code is None
    rig.clock.advance(timedelta(days=60))
    assert (await rig.payout(await rig.request(bob, amount="100.00"))).code is None
