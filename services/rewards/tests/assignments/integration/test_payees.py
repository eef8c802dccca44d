"""Payee assignments in the life of money: two admins direct it, every kind of payout follows, and the checks see it."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.metrics import PAYEE_ASSIGNMENTS
from prizewire_rewards.payouts.handlers.withdrawals import withdraw_next
from services.rewards.tests.payouts.integration.test_retries import retry_event
from services.rewards.tests.rig import Match, Rig, closed_event, closure_of, method_event
from services.rewards.tests.sql import as_owner, refused_to_the_owner

PATH = "/api/admin/payee-assignments"


async def post(rig: Rig, by: str, path: str, role: str = "admin", **body: Any) -> httpx.Response:
    async with rig.client(by, role) as client:
        return await client.post(path, json=body, headers={"Idempotency-Key": uuid4().hex})


async def assign(rig: Rig, player: str = "kim", payee: str = "gerd", **body: Any) -> str:
    """An assignment that ada proposes and adam confirms. Returns its id."""
    made = await post(rig, "ada", PATH, player=player, payee=payee, reason="a minor", **body)
    assert made.status_code == 201, made.text
    found: str = made.json()["assignment_id"]
    confirmed = await post(rig, "adam", f"{PATH}/{found}/confirm")
    assert confirmed.status_code == 200, confirmed.text
    assert confirmed.json()["state"] == "in_force"
    return found


async def win(rig: Rig, player: str = "kim", *, delivery: Delivery = Delivery.WALLET) -> None:
    campaign = await rig.campaign(funded=100_000, delivery=delivery)
    await rig.settle(Match(campaign, [(player, "50.00")]))


async def request(rig: Rig, player: str = "kim", amount: str = "10.00", **body: Any) -> httpx.Response:
    return await post(
        rig, player, "/api/wallet/payout-request", "player", asset="USDC", amount=amount, **body
    )


async def last(rig: Rig) -> dict[str, Any]:
    """The data of the last requested payout."""
    found: dict[str, Any] = (await rig.events("payout.requested"))[-1]["data"]
    return found


def goes_to(data: dict[str, Any]) -> tuple[str | None, str]:
    """The payee and the address of a request."""
    return data["intent"]["payee"], data["intent"]["allowed"][0]["destination"]


def assigners(data: dict[str, Any]) -> list[str]:
    return [party["subject"] for party in data["parties"] if party["role"] == "assigner"]


async def test_two_admins_direct_every_payout_of_a_player(rig: Rig) -> None:
    """A request, a direct prize, an automatic withdrawal and a retry go to the payee out of the player's wallet, and name both
    admins as parties. After the end they go to the player again.
    """
    await rig.feed(rig.payouts, method_event("kim"), method_event("gerd"))
    await win(rig)
    assignment = await assign(rig)
    assert (await request(rig)).status_code == 202
    asked = await last(rig)
    assert (asked["player"], *goes_to(asked)) == ("kim", "gerd", "GGERD")
    assert assigners(asked) == ["ada", "adam"]
    assert await rig.winnings("kim") == 4_000

    await win(rig, delivery=Delivery.DIRECT)
    direct = await last(rig)
    assert (direct["filed_by"], *goes_to(direct)) == ("rewards:direct", "gerd", "GGERD")
    assert assigners(direct) == ["ada", "adam"]

    async with rig.client("kim") as client:
        body = {"threshold": "1.00"}
        assert (await client.put("/api/wallet/auto-withdraw/USDC", json=body)).status_code == 200
    async with rig.db.transaction() as tx:
        tried = await withdraw_next(ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now())
    assert tried is not None
    assert tried.code is None
    assert goes_to(await last(rig)) == ("gerd", "GGERD")

    old = UUID(asked["payout_id"])
    await rig.feed(rig.payouts, closed_event(old, "failed", closure=closure_of(old)))
    await rig.feed(rig.payouts, retry_event(old, player="kim"))
    retried = await last(rig)
    assert (retried["retry_of"], *goes_to(retried)) == (str(old), "gerd", "GGERD")
    assert await rig.breaches() == []

    rig.clock.advance(timedelta(seconds=1))
    ended = await post(rig, "ben", f"{PATH}/{assignment}/end", reason="of age")
    assert ended.json()["state"] == "ended"
    await win(rig)
    assert (await request(rig)).status_code == 202
    own = await last(rig)
    assert goes_to(own) == (None, "GKIM")
    assert assigners(own) == []
    assert await rig.breaches() == []
    async with rig.client("kim") as client:
        shown = (await client.get("/api/wallet/payout-requests")).json()["items"]
    assert [one["payee"] for one in shown] == [None, "gerd", "gerd", "gerd", "gerd"]


async def test_details_in_a_request_never_pass_by_the_payee(rig: Rig) -> None:
    """While an assignment is in force, a request with details is refused, and the retry of an earlier one goes to the payee. After the
    end, a retry of the payee's payout goes to the player.
    """
    details = {"type": "bank", "details": {"holder": "Kim", "iban": "DE89370400440532013000"}}
    await rig.feed(rig.payouts, method_event("gerd"))
    await win(rig)
    assert (await request(rig, method=details)).status_code == 202
    old = UUID((await last(rig))["payout_id"])
    await rig.feed(rig.payouts, closed_event(old, "failed", closure=None))
    rig.clock.advance(timedelta(seconds=1))
    assignment = await assign(rig)
    refused = await request(rig, method=details)
    assert (refused.status_code, refused.json()["code"]) == (422, "method_unknown")
    await rig.feed(rig.payouts, retry_event(old, player="kim"))
    retried = await last(rig)
    assert (retried["retry_of"], *goes_to(retried)) == (str(old), "gerd", "GGERD")
    assert retried["sealed_details"] is None
    assert await rig.breaches() == []

    again = UUID(retried["payout_id"])
    await rig.feed(rig.payouts, closed_event(again, "failed", closure=closure_of(again)), method_event("kim"))
    rig.clock.advance(timedelta(seconds=1))
    await post(rig, "ben", f"{PATH}/{assignment}/end", reason="of age")
    await rig.feed(rig.payouts, retry_event(again, player="kim"))
    own = await last(rig)
    assert (own["retry_of"], *goes_to(own)) == (str(again), None, "GKIM")
    assert await rig.breaches() == []


async def test_one_admin_alone_redirects_no_money(rig: Rig) -> None:
    """A proposal has no effect; its proposer, the player and the payee do not confirm it, as admins neither."""
    await rig.feed(rig.payouts, method_event("kim"), method_event("gerd"))
    await win(rig)
    made = await post(rig, "ada", PATH, player="kim", payee="gerd", reason="a minor")
    path = f"{PATH}/{made.json()['assignment_id']}"
    for person in ("ada", "kim", "gerd"):
        said = await post(rig, person, f"{path}/confirm")
        assert (said.status_code, said.json()["code"]) == (403, "own_assignment"), person
    for person in ("kim", "gerd"):
        said = await post(rig, person, PATH, player="kim", payee="gerd", reason="mine")
        assert (said.status_code, said.json()["code"]) == (403, "own_assignment"), person
    assert (await request(rig)).status_code == 202
    assert goes_to(await last(rig)) == (None, "GKIM")
    refused, why = await refused_to_the_owner(
        rig,
        "UPDATE payee_assignments SET state = 'in_force', confirmed_by = 'ada', in_force_from = proposed_at",
    )
    assert (refused, "payee_assignments_two_persons" in why) == ("23514", True)
    await post(rig, "adam", f"{path}/confirm")
    _, why = await refused_to_the_owner(rig, "UPDATE payee_assignments SET payee = 'ada'")
    assert "what it is bound to does not change" in why
    rows = await rig.rows("SELECT action, actor FROM audit_log ORDER BY sequence")
    assert [(row["action"], row["actor"]) for row in rows if row["action"].startswith("payee")] == [
        ("payee_assignment.proposed", "ada"),
        ("payee_assignment.confirmed", "adam"),
    ]


async def test_only_a_method_of_the_payee_is_named(rig: Rig) -> None:
    """The player's own method is refused, and without a method of the payee the refusal is that of a player without one."""
    own, theirs = uuid4(), uuid4()
    await rig.feed(rig.payouts, method_event("kim", method_id=own))
    await win(rig)
    await win(rig, "kim", delivery=Delivery.WALLET)
    await assign(rig)
    for body, code in (({}, "no_payout_method"), ({"method_id": str(own)}, "method_unknown")):
        said = await request(rig, **body)
        assert (said.status_code, said.json()["code"]) == (422, code)
    async with rig.client("kim") as client:
        body = {"threshold": "1.00", "method_id": str(own)}
        said = await client.put("/api/wallet/auto-withdraw/USDC", json=body)
        assert (said.status_code, said.json()["code"]) == (422, "method_unknown")
    await win(rig, delivery=Delivery.DIRECT)
    [noted] = await rig.rows("SELECT note FROM rewards WHERE note IS NOT NULL")
    assert noted["note"] == "no_payout_method"
    await rig.feed(rig.payouts, method_event("gerd", method_id=theirs, is_default=False))
    assert (await request(rig, method_id=str(theirs))).status_code == 202
    assert goes_to(await last(rig)) == ("gerd", "GGERD")
    assert await rig.breaches() == []


async def test_it_ends_by_its_time_and_is_replaced_without_a_gap(rig: Rig) -> None:
    """From ``until`` on the player is paid. A confirmed successor ends the assignment that is in force."""
    await rig.feed(rig.payouts, method_event("kim"), method_event("gerd"), method_event("gina"))
    await win(rig)
    until = rig.clock.now() + timedelta(hours=1)
    first = await assign(rig, until=until.isoformat())
    rig.clock.advance(timedelta(seconds=1))
    second = await post(rig, "ada", PATH, player="kim", payee="gina", reason="a new guardian")
    again = await post(rig, "bea", PATH, player="kim", payee="gustav", reason="another one")
    assert (again.status_code, again.json()["code"]) == (409, "assignment_exists")
    await request(rig)
    assert goes_to(await last(rig))[0] == "gerd"
    await post(rig, "adam", f"{PATH}/{second.json()['assignment_id']}/confirm")
    rig.clock.advance(timedelta(seconds=1))
    await request(rig)
    assert goes_to(await last(rig))[0] == "gina"
    async with rig.client("olga", "operator") as client:
        shown = (await client.get(f"{PATH}/{first}")).json()
        listed = (await client.get(PATH, params={"player": "kim"})).json()["items"]
        assert (await client.get(PATH, params={"payee": "nobody"})).json()["items"] == []
    assert (shown["state"], shown["ended_by"]) == ("ended", "adam")
    assert [one["state"] for one in listed] == ["in_force", "ended"]
    third = await post(
        rig, "ada", PATH, player="lou", payee="gerd", reason="a minor", until=until.isoformat()
    )
    path = f"{PATH}/{third.json()['assignment_id']}"
    rig.clock.advance(timedelta(hours=2))
    said = await post(rig, "adam", f"{path}/confirm")
    assert (said.status_code, said.json()["code"]) == (409, "assignment_final")
    async with rig.client("olga", "operator") as client:
        assert (await client.get(path)).json()["state"] == "expired"
    assert await rig.breaches() == []


async def test_nobody_is_paid_over_two_assignments(rig: Rig) -> None:
    """A payee with an assignment is refused, and so is an assignment of a payee; also when both were proposed before."""
    ahead = await post(rig, "ada", PATH, player="gerd", payee="gina", reason="away")
    await assign(rig)
    for player, payee in (("gerd", "gina"), ("lou", "kim")):
        if player == "lou":
            said = await post(rig, "ada", PATH, player=player, payee=payee, reason="chained")
        else:
            said = await post(rig, "adam", f"{PATH}/{ahead.json()['assignment_id']}/confirm")
        assert (said.status_code, said.json()["code"]) == (422, "assignment_chain"), said.text


async def test_a_confirmation_and_requests_at_one_time_agree(rig: Rig) -> None:
    """Requests of payouts that run beside a confirmation go to the player or to the payee as the stored times say."""
    await rig.feed(rig.payouts, method_event("kim"), method_event("gerd"))
    await win(rig)
    made = await post(rig, "ada", PATH, player="kim", payee="gerd", reason="a minor")
    path = f"{PATH}/{made.json()['assignment_id']}/confirm"
    done = await asyncio.gather(
        *(request(rig, amount="1.00") for _ in range(3)),
        post(rig, "adam", path),
        *(request(rig, amount="1.00") for _ in range(3)),
    )
    assert {said.status_code for said in done} == {200, 202}
    assert await rig.breaches() == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE payouts SET payee = NULL, assignment = NULL",
        'UPDATE payouts SET assigners = \'["ada", "eve"]\'',
        "UPDATE payee_assignments SET ended_at = in_force_from, ended_by = 'eve', end_reason = 'x', state = 'ended'",
    ],
)
async def test_the_check_finds_payouts_of_another_payee(rig: Rig, change: str) -> None:
    """A payout whose payee was changed, and one whose assignment was moved, break the invariant."""
    await rig.feed(rig.payouts, method_event("gerd"))
    await win(rig)
    await assign(rig)
    await request(rig)
    await as_owner(
        rig,
        "ALTER TABLE payouts DISABLE TRIGGER USER",
        "ALTER TABLE payee_assignments DISABLE TRIGGER USER",
        change,
    )
    assert any(breach.startswith("payees_are_assigned") for breach in await rig.breaches())


async def test_decisions_are_counted(rig: Rig) -> None:
    """By what was decided."""
    before = PAYEE_ASSIGNMENTS.labels("withdrawn")._value.get()
    made = await post(rig, "ada", PATH, player="kim", payee="gerd", reason="a minor")
    said = await post(rig, "ada", f"{PATH}/{made.json()['assignment_id']}/end", reason="the wrong person")
    assert said.json()["state"] == "withdrawn"
    assert PAYEE_ASSIGNMENTS.labels("withdrawn")._value.get() == before + 1
