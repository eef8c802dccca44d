"""Facts of players: reported by events and admins, hashed before they are stored, erased on request."""

import hashlib
import hmac
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from prizewire_chassis.logging import get_logger
from prizewire_chassis.testing import make_key
from services.rewards.tests.rig import Rig, captured_logs, player_event, player_hash_key

DEVICE, ADDRESS = "imei-490154203237518", "Main Street 7, Springfield"


def sha256(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


async def known(rig: Rig, player: str) -> dict[str, Any]:
    async with rig.client("olga", "operator") as olga:
        answer = await olga.get(f"/api/players/{player}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_the_newest_report_of_each_fact_counts(rig: Rig) -> None:
    """In one batch and over several, in any order."""
    await rig.feed(
        rig.players,
        player_event("ann", hours=-2, registered_at="2024-01-01T00:00:00Z", device_hash=sha256("old")),
        player_event("ann", hours=-3, registered_at="2020-01-01T00:00:00Z", address_hash=sha256(ADDRESS)),
        player_event("bob", hours=-1, registered_at="2025-01-01T00:00:00Z"),
    )
    await rig.feed(rig.players, player_event("ann", hours=-1, device_hash=sha256(DEVICE)))
    await rig.feed(rig.players, player_event("ann", hours=-4, registered_at="2019-01-01T00:00:00Z"))
    ann = await known(rig, "ann")
    assert ann["registered_at"] == "2024-01-01T00:00:00Z"
    assert (ann["device_known"], ann["address_known"]) == (True, True)
    [row] = await rig.rows("SELECT device_hash, address_hash FROM players WHERE player = 'ann'")
    assert row["device_hash"] == keyed("device", DEVICE)
    assert row["address_hash"] == keyed("address", ADDRESS)
    assert await rig.stuck() == []


def keyed(fact: str, value: str) -> str:
    """The expected keyed hash, computed without the code under test."""
    key_bytes = bytes.fromhex(player_hash_key().read_text())
    return hmac.new(key_bytes, f"prizewire.player.{fact}:{sha256(value)}".encode(), "sha256").hexdigest()


async def test_a_time_in_the_future_counts_as_now(rig: Rig) -> None:
    """A report from a clock that is ahead does not win over later reports."""
    await rig.feed(rig.players, player_event("ann", hours=10_000, registered_at="2000-01-01T00:00:00Z"))
    rig.clock.advance(timedelta(minutes=1))
    await rig.feed(rig.players, player_event("ann", hours=0.02, registered_at="2026-02-28T00:00:00Z"))
    assert (await known(rig, "ann"))["registered_at"] == "2026-02-28T00:00:00Z"


KYC = make_key("kyc")
FORGERIES: dict[str, tuple[str, bytes]] = {
    "unsigned": (
        "signature_missing",
        player_event("ann", source="/kyc/checked", kyc_state="verified", key=None),
    ),
    "unsigned risk": ("signature_missing", player_event("ann", device_hash=sha256("x"), key=None)),
    "signed by another source": (
        "key_not_trusted",
        player_event("ann", source="/kyc/checked", kyc_state="verified"),
    ),
    "signed by another key with the same key id": (
        "signature_invalid",
        player_event(
            "ann",
            source="/kyc/checked",
            kyc_state="verified",
            key=replace(make_key("another"), keyid=KYC.keyid),
        ),
    ),
    "changed after signing": (
        "signature_invalid",
        player_event("ann", source="/kyc/checked", kyc_state="rejected", key=KYC).replace(
            b'"rejected"', b'"verified"'
        ),
    ),
    "a key out of its time": (
        "key_not_trusted",
        player_event("ann", source="/kyc/former", kyc_state="verified", key=KYC),
    ),
    "an unlisted source": (
        "source_not_allowed",
        player_event("ann", source="/games/two", device_hash=sha256("x")),
    ),
    "a game server that verifies": ("source_not_allowed", player_event("ann", kyc_state="verified")),
    "an identity source that reports devices": (
        "source_not_allowed",
        player_event("ann", source="/kyc/checked", device_hash=sha256("x"), key=KYC),
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_only_facts_signed_by_their_source_are_stored(rig: Rig, forgery: str) -> None:
    """An attacker who may write to the topic can name any source. Only an event that the source's key signed is applied, and
    only for the source's kinds of facts.
    """
    code, forged = FORGERIES[forgery]
    name, labels = "prizewire_rewards_player_events_refused_total", {"code": code}
    before = REGISTRY.get_sample_value(name, labels) or 0
    await rig.feed(
        rig.players, forged, player_event("bob", source="/kyc/checked", kyc_state="verified", key=KYC)
    )
    assert await rig.stuck() == [("dead", code)]
    assert await rig.rows("SELECT player, kyc_state FROM players") == [
        {"player": "bob", "kyc_state": "verified"}
    ]
    assert (REGISTRY.get_sample_value(name, labels) or 0) - before == 1


async def test_an_event_whose_subject_is_another_player_is_dead(rig: Rig) -> None:
    """Subject and player must be the same. The events after it are applied."""
    await rig.feed(
        rig.players,
        player_event("ann", subject="bob", device_hash=sha256("x")),
        player_event("bob", device_hash=sha256("y")),
    )
    assert await rig.stuck() == [("dead", "event_mismatch")]
    assert [row["player"] for row in await rig.rows("SELECT player FROM players")] == ["bob"]


async def test_raw_values_that_an_admin_sets_are_not_stored(rig: Rig) -> None:
    """No table, event, audit record or answer holds them: only the keyed hash is stored."""
    async with rig.client("boss", "admin") as admin:
        answer = await admin.put(
            "/api/players/ann",
            json={"kyc_state": "verified", "device": DEVICE, "address": ADDRESS},
        )
        assert answer.status_code == 200, answer.text
        kept = await admin.put("/api/players/ann", json={"registered_at": "2024-01-01T00:00:00Z"})
    assert (kept.json()["kyc_state"], kept.json()["device_known"]) == ("verified", True)
    said = answer.text
    tables = await rig.rows(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'"
    )
    for table in tables:
        said += str(await rig.rows(f'SELECT CAST(t.* AS text) AS row FROM "{table["name"]}" t'))
    said += str(await rig.events())
    assert "player.told" in said
    for secret in (DEVICE, ADDRESS, sha256(DEVICE), sha256(ADDRESS)):
        assert secret not in said


async def test_a_refusal_does_not_repeat_values_of_the_body(rig: Rig) -> None:
    """No log line and no answer holds a raw device. The test writes one log line of its own to prove that it reads the log."""
    async with rig.client("boss", "admin") as admin:
        with captured_logs() as lines:
            answer = await admin.put(
                "/api/players/ann", json={"device": [DEVICE], "address": ADDRESS, "x": ADDRESS}
            )
            get_logger("tests").warning("the log is read")
    assert answer.status_code == 400
    said = answer.text + str(lines)
    assert "the log is read" in said
    assert DEVICE not in said
    assert ADDRESS not in said


@pytest.mark.parametrize(
    ("method", "role", "status"),
    [
        ("GET", "player", 403),
        ("GET", "organizer", 403),
        ("GET", "operator", 404),
        ("PUT", "operator", 403),
        ("PUT", "player", 403),
        ("DELETE", "operator", 403),
        ("PUT", "admin", 403),
        ("DELETE", "admin", 403),
    ],
)
async def test_operators_read_and_admins_write(rig: Rig, method: str, role: str, status: int) -> None:
    """Operators may read and admins may write. Players may do neither, also for their own facts."""
    async with rig.client("ann", role) as client:
        answer = await client.request(method, "/api/players/ann", json={} if method == "PUT" else None)
    assert answer.status_code == status


async def test_own_facts_may_not_be_set_or_erased(rig: Rig) -> None:
    """A winner must not decide what their claim is checked against. Other admins may; they become parties."""
    await rig.feed(rig.players, player_event("ann", device_hash=sha256(DEVICE)))
    async with rig.client("ann", "admin") as ann:
        changed = await ann.put("/api/players/ann", json={"kyc_state": "verified"})
        erased = await ann.delete("/api/players/ann")
    assert [(answer.status_code, answer.json()["code"]) for answer in (changed, erased)] == [
        (403, "own_facts")
    ] * 2
    assert (await known(rig, "ann"))["kyc_state"] is None
    assert await rig.rows("SELECT 1 FROM source_parties WHERE source = 'player/ann'") == []
    async with rig.client("boss", "admin") as admin:
        assert (await admin.put("/api/players/ann", json={"kyc_state": "verified"})).status_code == 200
    async with rig.client("eve", "admin") as admin:
        assert (await admin.delete("/api/players/ann")).status_code == 204
    rows = await rig.rows(
        "SELECT role, subject FROM source_parties WHERE source = 'player/ann' ORDER BY subject"
    )
    assert [(row["role"], row["subject"]) for row in rows] == [("releaser", "boss"), ("releaser", "eve")]


async def test_facts_can_be_erased(rig: Rig) -> None:
    """The row is deleted, and an audit record names it."""
    await rig.feed(rig.players, player_event("ann", device_hash=sha256(DEVICE)))
    async with rig.client("boss", "admin") as admin:
        assert (await admin.delete("/api/players/ann")).status_code == 204
        assert (await admin.get("/api/players/ann")).json()["code"] == "player_unknown"
    assert await rig.rows("SELECT 1 FROM players") == []
    [row] = await rig.rows("SELECT actor, target FROM audit_log WHERE action = 'player.forgotten'")
    assert row == {"actor": "boss", "target": "ann"}


@pytest.mark.parametrize(
    ("name", "code"),
    [("a%20b", "player_invalid"), ("x" * 129, "player_invalid"), ("%07", "character_refused")],
)
async def test_an_invalid_player_name_is_refused(rig: Rig, name: str, code: str) -> None:
    """A name has 1 to 128 visible characters, as in events."""
    async with rig.client("boss", "admin") as admin:
        answer = await admin.put(f"/api/players/{name}", json={"kyc_state": "none"})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
