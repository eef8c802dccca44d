"""Bad messages on the topic of matches: each ends with a stable reason, and the messages around it are settled."""

import json
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka import Producer

from prizewire_contracts.topics import MATCHES
from prizewire_contracts.trust import MessageKey
from prizewire_devstack import game_server
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync
from tests.scene import Scene

KEY = MessageKey.from_seed(keyid="tests-1", seed=b"game server of the tests, 32 by.")
PINNED = {
    "keyid": KEY.keyid,
    "public_key": KEY.public_key,
    "not_before": "2020-01-01T00:00:00+00:00",
    "not_after": "2100-01-01T00:00:00+00:00",
}
SETTLED = {"SETTLED", "FINALIZED"}


@pytest.fixture(scope="module")
def scene(full_stack: RunningStack) -> Scene:
    found = Scene(full_stack, "bad", 12, delivery="wallet")
    found.set_up()
    return found


def send_raw(scene: Scene, value: bytes, *, key: bytes = b"raw") -> None:
    producer = Producer({**scene.stack.kafka.login("game-server").librdkafka(), "acks": "all"})
    producer.produce(MATCHES.name, key=key, value=value, headers=game_server.HEADERS)
    assert producer.flush(30) == 0


def rounds(scene: Scene) -> dict[str, dict[str, Any]]:
    with scene.api() as api:
        return {one["match_id"]: one for one in api.items("/api/rounds", competition=scene.name)}


def is_settled(scene: Scene, match_id: str) -> bool:
    return rounds(scene).get(match_id, {}).get("state") in SETTLED


def is_booked(scene: Scene) -> bool:
    """Whether rewards has credited every round that settlement says is settled; each pays 100.00."""
    settled = sum(one["state"] in SETTLED for one in rounds(scene).values())
    return Decimal(scene.balance_sheet()["wallets"]) == 100 * settled


def reasons(scene: Scene, match_id: str) -> list[str]:
    return [one["reason"] for one in scene.stuck("settlement") if one["subject"] == match_id]


CASES: dict[str, tuple[str, Any]] = {
    "unknown type": ("unknown_type", lambda event: {**event, "type": "prizewire.match.exploded.v1"}),
    "unknown version": ("unsupported_version", lambda event: {**event, "type": "prizewire.match.completed.v7"}),
    "not a CloudEvent": ("not_cloudevent", lambda event: {**event, "specversion": "0.3"}),
    "float": ("float_refused", lambda event: {**event, "data": {**event["data"], "prize": 1.5}}),
    "no result": ("schema_invalid", lambda event: {**event, "data": {**event["data"], "results": []}}),
    "unknown competition": (
        "competition_unknown",
        lambda event: {**event, "data": {**event["data"], "competition": "nobody-knows"}},
    ),
    "unlisted source": ("source_not_allowed", lambda event: {**event, "source": "/game-servers/unlisted"}),
    "duplicate player": (
        "duplicate_player",
        lambda event: {**event, "data": {**event["data"], "results": event["data"]["results"][:1] * 2}},
    ),
    "tie": (
        "tie_refused",
        lambda event: {
            **event,
            "data": {**event["data"], "results": [{**one, "place": 1} for one in event["data"]["results"]]},
        },
    ),
    "correction of nothing": (
        "result_missing",
        lambda event: {
            **event, "type": "prizewire.match.corrected.v1", "data": {**event["data"], "reason": "wrong player"}
        },
    ),
    "entry without a fee": (
        "entry_not_offered",
        lambda event: {
            **event,
            "type": "prizewire.match.entered.v1",
            "data": {**event["data"], "player": event["data"]["results"][0]["player"]},
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_bad_message_is_kept_and_its_neighbours_are_settled(scene: Scene, case: str) -> None:
    """Each kind of bad message becomes a stuck event with its reason; the match after it settles."""
    reason, spoil = CASES[case]
    number = 100 + list(CASES).index(case)
    good_id, players = scene.match(number)
    bad_id = f"{good_id}-bad"
    bad = spoil(scene.result(bad_id, players))
    send_raw(scene, json.dumps(bad).encode(), key=b"same-partition")
    good = scene.result(good_id, players)
    send_raw(scene, json.dumps(good).encode(), key=b"same-partition")
    eventually_sync(lambda: is_settled(scene, good_id), deadline_s=600)
    assert reasons(scene, bad_id) == [reason]
    assert not is_settled(scene, bad_id)
    discard_parked(scene, bad_id)


def discard_parked(scene: Scene, match_id: str) -> None:
    """A parked event is a breach for `prizewire verify` until it is applied or discarded."""
    with scene.api() as api:
        for one in scene.stuck("settlement"):
            if one["subject"] == match_id and one["state"] == "parked":
                place = f"/api/services/settlement/stuck-events/{one['id']}/discard"
                assert api.post(place, {"reason": "made up by a test"})["state"] == "discarded"
                assert reasons(scene, match_id) == []


def test_bytes_that_are_no_json_are_stored_whole(scene: Scene) -> None:
    """Bytes that are no JSON are listed with the bytes, and stop nothing."""
    send_raw(scene, b"\xff\xfenot json", key=b"same-partition")
    good_id, players = scene.match(200)
    send_raw(scene, json.dumps(scene.result(good_id, players)).encode(), key=b"same-partition")
    eventually_sync(lambda: is_settled(scene, good_id), deadline_s=600)
    found = [one for one in scene.stuck("settlement") if one["reason"] == "not_json"]
    with scene.api() as api:
        shown = api.get(f"/api/services/settlement/stuck-events/{found[-1]['id']}")
    assert shown["message"] == "\\xff\\xfenot json"


def test_a_repeated_event_has_no_effect_and_another_body_is_a_conflict(scene: Scene) -> None:
    """The same id with the same body does nothing; with another body it is dead as id_conflict."""
    match_id, players = scene.match(201)
    event = scene.result(match_id, players)
    scene.publish(event, event)
    eventually_sync(lambda: is_settled(scene, match_id), deadline_s=600)
    eventually_sync(lambda: is_booked(scene), deadline_s=600)
    before = scene.balance_sheet()
    scene.publish(event, scene.result(match_id, players[::-1]))
    eventually_sync(lambda: reasons(scene, match_id) == ["id_conflict"], deadline_s=600)
    assert scene.balance_sheet() == before


def test_another_result_for_a_settled_match_is_a_conflict(scene: Scene) -> None:
    """A second result under a new id, without being a correction, changes nothing."""
    match_id, players = scene.match(202)
    scene.publish(scene.result(match_id, players))
    eventually_sync(lambda: is_settled(scene, match_id), deadline_s=600)
    scene.publish({**scene.result(match_id, players[::-1]), "id": "second"})
    eventually_sync(lambda: reasons(scene, match_id) == ["result_conflict"], deadline_s=600)


def test_a_final_match_is_neither_corrected_nor_voided(scene: Scene) -> None:
    """Where there is no dispute window, both come too late: dead under their reasons, and the balance stays."""
    match_id, players = scene.match(204)
    event = scene.result(match_id, players)
    scene.publish(event)
    eventually_sync(lambda: is_settled(scene, match_id), deadline_s=600)
    eventually_sync(lambda: is_booked(scene), deadline_s=600)
    before = scene.balance_sheet()
    late = {**event, "data": {**event["data"], "reason": "too late"}}
    corrected = {**late["data"], "result_version": 2}
    scene.publish(
        {**late, "id": f"{match_id}-c", "type": "prizewire.match.corrected.v1", "data": corrected},
        {**late, "id": f"{match_id}-v", "type": "prizewire.match.voided.v1"},
    )
    wanted = ["dispute_window_passed", "illegal_transition"]
    eventually_sync(lambda: reasons(scene, match_id) == wanted, deadline_s=600)
    assert scene.balance_sheet() == before


def test_a_voided_match_takes_no_result(scene: Scene) -> None:
    """A void of an unknown match is stored: a later result pays nobody."""
    match_id, players = scene.match(205)
    event = scene.result(match_id, players)
    voided = {**event, "id": f"{match_id}-v", "type": "prizewire.match.voided.v1"}
    scene.publish({**voided, "data": {**event["data"], "reason": "power cut"}})
    eventually_sync(lambda: rounds(scene).get(match_id, {}).get("state") == "VOIDED", deadline_s=600)
    scene.publish(event)
    eventually_sync(lambda: reasons(scene, match_id) == ["illegal_transition"], deadline_s=600)
    assert not is_settled(scene, match_id)


def test_a_match_keeps_its_correlation_id(scene: Scene) -> None:
    """Another correlation id for a known match is refused."""
    match_id, players = scene.match(203)
    opened = {
        **scene.result(match_id, players),
        "type": "prizewire.match.opened.v1",
        "id": f"{match_id}-opened",
        "correlationid": "11111111-1111-5111-8111-111111111111",
        "data": {"match_id": match_id, "competition": scene.name},
    }
    send_raw(scene, json.dumps(opened).encode())
    eventually_sync(lambda: match_id in rounds(scene), deadline_s=600)
    other = {**scene.result(match_id, players), "correlationid": "22222222-2222-5222-8222-222222222222"}
    send_raw(scene, json.dumps(other).encode())
    eventually_sync(lambda: reasons(scene, match_id) == ["correlation_mismatch"], deadline_s=600)
    right = {**scene.result(match_id, players), "id": "right", "correlationid": opened["correlationid"]}
    send_raw(scene, json.dumps(right).encode())
    eventually_sync(lambda: is_settled(scene, match_id), deadline_s=600)


def test_a_competition_with_keys_needs_signatures(full_stack: RunningStack) -> None:
    """Unsigned and wrongly signed results are dead; the authentic one, under the same id, is settled."""
    scene = Scene(full_stack, "signed", 6, delivery="wallet")
    scene.set_up(keys=[PINNED])
    match_id, players = scene.match(0)
    event = scene.result(match_id, players)
    scene.publish(event)
    eventually_sync(lambda: reasons(scene, match_id) == ["signature_missing"], deadline_s=600)
    login = full_stack.kafka.login("game-server")
    another = MessageKey.from_seed(keyid=KEY.keyid, seed=bytes(32))
    game_server.send(login, [game_server.message(event, key=another)])
    eventually_sync(lambda: reasons(scene, match_id)[1:] == ["signature_invalid"], deadline_s=600)
    game_server.send(login, [game_server.message(event, key=KEY)])
    eventually_sync(lambda: is_settled(scene, match_id), deadline_s=600)


def test_a_missing_score_is_refused_where_scores_rank(full_stack: RunningStack) -> None:
    """A competition that ranks by a named score refuses a result without it."""
    scene = Scene(full_stack, "scores", 6, delivery="wallet")
    scene.set_up(rank_by={"by": "score", "score": "points", "order": "desc"})
    match_id, players = scene.match(0)
    results = [{"player": player, "scores": {"points": str(9 - n)}} for n, player in enumerate(players)]
    scene.publish(scene.result(match_id, players, results=[*results[:2], {"player": players[2], "place": 3}]))
    eventually_sync(lambda: reasons(scene, match_id) == ["score_missing"], deadline_s=600)
    scene.publish({**scene.result(match_id, players, results=results), "id": "whole"})
    eventually_sync(lambda: is_settled(scene, match_id), deadline_s=600)


def test_a_refused_event_can_be_replayed_once_the_reason_is_gone(full_stack: RunningStack) -> None:
    """A result for a competition that did not exist is settled by a replay after it was made."""
    scene = Scene(full_stack, "late", 6, delivery="wallet")
    match_id, players = scene.match(0)
    scene.publish(scene.result(match_id, players))
    eventually_sync(lambda: reasons(scene, match_id) == ["competition_unknown"], deadline_s=600)
    scene.set_up()
    entry = next(one for one in scene.stuck("settlement") if one["subject"] == match_id)
    with scene.api() as api:
        answer = api.post(f"/api/services/settlement/stuck-events/{entry['id']}/replay")
    assert answer["state"] == "replayed"
    eventually_sync(lambda: is_settled(scene, match_id), deadline_s=600)
    assert reasons(scene, match_id) == []


def test_prizes_beyond_the_pool_wait_whole_and_are_paid_in_order(full_stack: RunningStack) -> None:
    """A round beyond the pool is unfunded as a whole, later ones queue behind it, and funding pays them in order."""
    scene = Scene(full_stack, "short", 6, delivery="wallet", funding="150.00")
    scene.set_up()
    ids = []
    for number in range(3):
        match_id, players = scene.match(number)
        ids.append(match_id)
        scene.publish(scene.result(match_id, players))
        eventually_sync(lambda one=match_id: is_settled(scene, one), deadline_s=600)
    eventually_sync(lambda: scene.balance_sheet()["unfunded"] == "200.00", deadline_s=600)
    assert scene.balance_sheet()["wallets"] == "100.00"
    with scene.api() as api:
        api.post(
            f"/api/campaigns/{scene.campaign}/fund",
            {"amount": "50.00", "reference": "more"},
            key="short:more",
        )
    eventually_sync(lambda: scene.balance_sheet()["wallets"] == "200.00", deadline_s=600)
    assert scene.balance_sheet()["unfunded"] == "100.00"
    assert scene.breaches() == []
