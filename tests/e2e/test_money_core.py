"""The money core across settlement and rewards: corrections, debts, voids with entry fees, claims, results in parts."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from confluent_kafka import Producer

from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.encode import sign_raw
from prizewire_contracts.topics import PAYOUTS
from prizewire_contracts.trust import MessageKey
from prizewire_devstack import game_server
from prizewire_devstack.api import Api
from prizewire_devstack.declarations import make_competition, once_known
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.verification import verify
from prizewire_devstack.waiting import eventually_sync
from tests.crowd import Crowd
from tests.scene import ASSET, SOURCE

FEE: dict[str, Any] = {"entry_fee": {"amount": "2.50", "asset": ASSET}}
WINDOW: dict[str, Any] = {"dispute_window_s": 3600}
NOTHING = "0.00"


def make(stack: RunningStack, name: str, count: int = 6, *, delivery: str = "wallet", **rule: Any) -> Crowd:
    crowd = Crowd(stack, name, count, delivery=delivery)
    crowd.set_up(**rule)
    return crowd


def report(crowd: Crowd, kind: str, match_id: str, number: int = 0, **data: Any) -> None:
    """Publish ``prizewire.match.<kind>.v1``; ``number`` makes the ids of several of a kind differ."""
    event = game_server.complete(
        {"data": {"match_id": match_id, "competition": crowd.name, **data}, "source": SOURCE},
        source=SOURCE,
        now=datetime.now(UTC),
    )
    crowd.publish({**event, "id": f"{match_id}-{kind}-{number}", "type": f"prizewire.match.{kind}.v1"})


def places(*players: str) -> list[dict[str, Any]]:
    return [{"player": player, "place": place} for place, player in enumerate(players, 1)]


def wallet(crowd: Crowd, player: str) -> dict[str, Any]:
    """A player's balances in the asset of the scene."""
    with crowd.api("player", subject=player) as api:
        found: dict[str, Any] = next(
            (one for one in api.get("/api/wallet")["balances"] if one["asset"] == ASSET), {}
        )
    return found


def balances(crowd: Crowd, bucket: str, *players: str) -> list[str]:
    return [wallet(crowd, player).get(bucket, NOTHING) for player in players]


def said(crowd: Crowd, kind: str, data: dict[str, Any], *, version: int) -> None:
    """Publish payouts' event about a top-up, signed with its key: no rail of this stack takes top-ups."""
    raw = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/prizewire/payouts",
        "type": kind,
        "time": datetime.now(UTC).isoformat(),
        "subject": data["topup_id"],
        "datacontenttype": "application/json",
        "correlationid": data["topup_id"],
        "aggregateversion": version,
        "data": data,
    }
    key = MessageKey.from_json(crowd.stack.keyring.message_key_file("payouts").read_text())
    producer = Producer({**crowd.stack.kafka.login("payouts").librdkafka(), "acks": "all"})
    event = sign_raw(topic=PAYOUTS.name, raw=raw, key=key)
    producer.produce(PAYOUTS.name, key=data["topup_id"].encode(), value=canonical_bytes(event))
    assert producer.flush(30) == 0


def top_up(crowd: Crowd, player: str, amount: str) -> None:
    row = {"player": player, "asset": ASSET, "bucket": "topup", "amount": amount, "reference": crowd.name}
    with crowd.api() as api:
        api.post("/api/imports/balances", {"dry_run": False, "rows": [row]}, key=f"{crowd.name}:{player}")


def resolve(crowd: Crowd, match_id: str, *players: str) -> None:
    """An admin's correction, which may come after finality."""
    with crowd.api() as api:
        found = {one["match_id"]: one for one in api.items("/api/rounds", competition=crowd.name)}
        api.post(
            f"/api/rounds/{found[match_id]['id']}/resolve",
            {"results": places(*players), "reason": "the judges decided"},
            key=f"{match_id}:resolve",
        )


def receivables(crowd: Crowd, player: str) -> list[dict[str, Any]]:
    with crowd.api() as api:
        return list(api.items("/api/receivables", player=player))


def entries(crowd: Crowd, player: str) -> list[tuple[str, str | None]]:
    """State and code of each of a player's entries."""
    with crowd.api("player", subject=player) as api:
        return [(one["state"], one["code"]) for one in api.items("/api/wallet/entries")]


def test_a_correction_in_the_window_moves_the_difference(full_stack: RunningStack) -> None:
    """Prizes wait in pending; a corrected order swaps them, a void takes them all back to the pool."""
    crowd = make(full_stack, "swap", **WINDOW)
    match_id, players = crowd.match(0)
    report(crowd, "completed", match_id, results=places(*players))
    eventually_sync(
        lambda: balances(crowd, "pending", *players) == ["50.00", "30.00", "20.00"], deadline_s=600
    )
    report(
        crowd,
        "corrected",
        match_id,
        result_version=2,
        results=places(*players[::-1]),
        reason="the clock was read wrong",
    )
    eventually_sync(
        lambda: balances(crowd, "pending", *players) == ["20.00", "30.00", "50.00"], deadline_s=600
    )
    assert crowd.balance_sheet()["wallets"] == "100.00"
    report(crowd, "voided", match_id, reason="both sides cheated")
    eventually_sync(lambda: crowd.balance_sheet()["available"] == crowd.funding, deadline_s=600)
    assert balances(crowd, "pending", *players) == [NOTHING] * 3
    assert crowd.breaches() == []


def test_entry_fees_are_taken_and_given_back(full_stack: RunningStack) -> None:
    """Players who can pay enter; a void returns each fee to its bucket."""
    crowd = make(full_stack, "fees", **WINDOW, **FEE)
    voided, players = crowd.match(0)
    for player in players[:2]:
        top_up(crowd, player, "10.00")
    report(crowd, "opened", voided)
    for number, player in enumerate(players):
        report(crowd, "entered", voided, number, player=player)
    eventually_sync(lambda: balances(crowd, "topup", *players) == ["7.50", "7.50", NOTHING], deadline_s=600)
    eventually_sync(
        lambda: entries(crowd, players[2]) == [("refused", "insufficient_balance")], deadline_s=600
    )
    report(crowd, "voided", voided, reason="power cut")
    eventually_sync(lambda: balances(crowd, "topup", *players[:2]) == ["10.00", "10.00"], deadline_s=600)
    assert entries(crowd, players[0]) == [("refunded", None)]
    assert crowd.breaches() == []


def test_spent_prizes_are_owed_and_recovered(full_stack: RunningStack) -> None:
    """An admin corrects a final round whose winner has spent the prize: the rest is a debt, paid by the next prize."""
    crowd = make(full_stack, "debt", gross_prize="100.00")
    match_id, players = crowd.match(0)
    report(crowd, "completed", match_id, results=places(*players))
    eventually_sync(
        lambda: balances(crowd, "winnings", *players) == ["50.00", "30.00", "20.00"], deadline_s=600
    )
    with crowd.api() as api:
        make_competition(
            api,
            {
                "id": "debt-dear",
                "name": "Dear",
                "campaign": crowd.campaign,
                "asset": ASSET,
                "gross_prize": "1.00",
                "platform_fee_bps": 0,
                "organizer_fee_bps": 0,
                "template": {"name": "winner_takes_all"},
                "sources": [{"source": SOURCE}],
                "entry_fee": {"amount": "45.00", "asset": ASSET},
            },
        )
    report(crowd, "opened", "debt-dear-1", competition="debt-dear")
    report(crowd, "entered", "debt-dear-1", competition="debt-dear", player=players[0])
    eventually_sync(lambda: balances(crowd, "winnings", players[0]) == ["5.00"], deadline_s=600)
    resolve(crowd, match_id, players[2], players[1], players[0])
    eventually_sync(
        lambda: [one["open"] for one in receivables(crowd, players[0])] == ["25.00"], deadline_s=600
    )
    assert balances(crowd, "winnings", *players) == [NOTHING, "30.00", "50.00"]
    again, _ = crowd.match(1)
    report(crowd, "completed", again, results=places(players[1], players[0], players[2]))
    eventually_sync(
        lambda: balances(crowd, "winnings", *players) == ["5.00", "80.00", "70.00"], deadline_s=600
    )
    assert [one["open"] for one in receivables(crowd, players[0])] == [NOTHING]
    report(crowd, "completed", "debt-dear-1", competition="debt-dear", results=places(players[0]))
    eventually_sync(lambda: entries(crowd, players[0]) == [("earned", None)], deadline_s=600)
    assert crowd.breaches() == []


def test_charged_back_money_buys_no_other_entry(full_stack: RunningStack) -> None:
    """A top-up of 20.00, an entry for 15.00, all of it disputed: the void of the match pays the debt first."""
    fee = {"entry_fee": {"amount": "15.00", "asset": ASSET}}
    crowd = make(full_stack, "charge", **WINDOW, **fee)
    voided, (player, *_) = crowd.match(0)
    session = {
        "topup_id": str(uuid4()),
        "player": player,
        "asset": ASSET,
        "amount": "20.00",
        "rail": "stripe",
    }
    said(crowd, "prizewire.topup.completed.v1", {**session, "reference": "pay_1"}, version=1)
    eventually_sync(lambda: balances(crowd, "topup", player) == ["20.00"], deadline_s=600)
    report(crowd, "opened", voided)
    report(crowd, "entered", voided, player=player)
    eventually_sync(lambda: balances(crowd, "topup", player) == ["5.00"], deadline_s=600)
    said(crowd, "prizewire.topup.disputed.v1", {**session, "reversal_ref": "dp_1"}, version=2)
    eventually_sync(lambda: [one["open"] for one in receivables(crowd, player)] == ["15.00"], deadline_s=600)
    report(crowd, "voided", voided, reason="power cut")
    eventually_sync(lambda: [one["open"] for one in receivables(crowd, player)] == [NOTHING], deadline_s=600)
    assert balances(crowd, "topup", player) == [NOTHING]
    another, _ = crowd.match(1)
    report(crowd, "opened", another)
    report(crowd, "entered", another, player=player)
    eventually_sync(lambda: ("refused", "insufficient_balance") in entries(crowd, player), deadline_s=600)
    assert crowd.breaches() == []


def test_a_prize_to_be_claimed_is_claimed_once(full_stack: RunningStack) -> None:
    """Final prizes wait for their players; claimed twice they are credited once."""
    crowd = make(full_stack, "claim", delivery="claim")
    match_id, players = crowd.match(0)
    report(crowd, "completed", match_id, results=places(*players))
    eventually_sync(lambda: balances(crowd, "held", *players) == ["50.00", "30.00", "20.00"], deadline_s=600)
    with crowd.api("player", subject=players[0]) as api:
        [found] = api.items("/api/claims")
        states = [
            api.post(f"/api/claims/{found['reward_id']}", key=f"{match_id}:{number}")["state"]
            for number in range(2)
        ]
    assert states == ["approved", "approved"]
    assert balances(crowd, "winnings", *players) == ["50.00", NOTHING, NOTHING]
    assert crowd.breaches() == []


def test_a_result_in_parts_is_booked_when_it_is_whole(full_stack: RunningStack) -> None:
    """Half of a result moves nothing; the other half brings every line, in chunks."""
    count, in_a_part = 2_500, 1_250
    crowd = make(
        full_stack,
        "large",
        gross_prize="2500.00",
        template={"table": [{"places": f"1-{count}", "amount_each": "1.00"}]},
    )
    results = places(*(f"large-q{number}" for number in range(count)))

    def part(number: int) -> None:
        rows = results[(number - 1) * in_a_part : number * in_a_part]
        report(crowd, "completed", "large-m", number, results=rows, part=number, parts=2)

    part(1)
    with crowd.api() as api:
        eventually_sync(lambda: list(api.items("/api/rounds", competition="large")) != [], deadline_s=600)
    assert crowd.balance_sheet()["available"] == crowd.funding
    part(2)
    eventually_sync(lambda: crowd.balance_sheet()["wallets"] == "2500.00", deadline_s=600)
    assert balances(crowd, "winnings", "large-q0", f"large-q{count - 1}") == ["1.00", "1.00"]
    assert crowd.breaches() == []


def test_a_refused_round_is_resettled_and_paid(full_stack: RunningStack) -> None:
    """The campaign ends after the rule was written: rewards refuses two final rounds, which are breaches in settlement. One
    is resettled under a corrected rule and paid, the other is voided, and no breach is left.
    """
    crowd = make(full_stack, "refused")
    first, second = crowd.match(0), crowd.match(1)
    with crowd.api() as api:
        api.post(f"/api/campaigns/{crowd.campaign}/end", {})
    for match_id, players in (first, second):
        crowd.publish(crowd.result(match_id, players))

    def refused() -> dict[str, str]:
        with crowd.api() as api:
            found = list(api.items("/api/rounds", competition=crowd.name, refused="true"))
        return {one["match_id"]: one["id"] for one in found}

    eventually_sync(lambda: len(refused()) == 2, deadline_s=600)
    rounds = refused()
    with crowd.api() as api:
        shown = api.get(f"/api/rounds/{rounds[first[0]]}")
        assert (shown["state"], shown["refused"]["code"]) == ("FINALIZED", "campaign_ended")
        assert all(any(one in breach for breach in unmended(api)) for one in rounds.values())
        again = api.post(
            "/api/campaigns", {"name": "refused-2", "asset": ASSET, "delivery": "wallet"}, key="refused-2"
        )["id"]
        api.post(
            f"/api/campaigns/{again}/fund", {"amount": "1000.00", "reference": "refused-2"}, key="refused-2"
        )
        api.post(f"/api/campaigns/{again}/activate", {})
        rule = api.get(f"/api/competitions/{crowd.name}")
        body = {name: rule[name] for name in RULE_FIELDS}
        once_known(lambda: api.put(f"/api/competitions/{crowd.name}", {**body, "campaign": again}))
        why = {"reason": "the campaign had ended"}
        api.post(f"/api/rounds/{rounds[first[0]]}/resettle", why, key="refused-a")
        api.post(f"/api/rounds/{rounds[second[0]]}/resolve", {**why, "void": True}, key="refused-b")
    eventually_sync(
        lambda: balances(crowd, "winnings", *first[1]) == ["50.00", "30.00", "20.00"], deadline_s=600
    )
    assert refused() == {}
    with crowd.api() as api:
        assert not any(one in breach for breach in unmended(api) for one in rounds.values())
        [sheet] = [one for one in api.items("/api/campaigns") if one["id"] == again]
    assert (sheet["granted"], sheet["funded"]) == ("100.00", "1000.00")


RULE_FIELDS = (
    "name", "asset", "gross_prize", "platform_fee_bps", "organizer_fee_bps", "template", "ties", "rank_by",
    "sources", "dispute_window_s",
)  # fmt: skip


def unmended(api: Api) -> list[str]:
    """The breaches of settlement's check of refused rounds."""
    checks = api.get("/api/services/settlement/checks")["checks"]
    found: list[str] = next(
        one["breaches"] for one in checks if one["name"] == "settlement.refused_rounds_are_mended"
    )
    return found


def test_all_of_it_is_verified(full_stack: RunningStack) -> None:
    """`prizewire verify` finds no breach after refused rounds, short prizes and charge-backs."""
    with Api(base_url=full_stack.url, token=full_stack.token("admin", "operator")) as api:
        found = verify(api, signer_url=full_stack.service_url("signer"))
    assert (found.silent, found.broken) == ((), ())
