"""kill -9 of every part in turn while matches flow: every prize is paid once, and all books agree."""

from collections import Counter

import pytest

from prizewire_devstack.stack import Stack
from prizewire_devstack.waiting import eventually_sync
from tests.scene import Scene

MATCHES = 200
PLAYERS = 60
PAID_DEADLINE_S = 240
PARTS = ("settlement", "rewards", "payouts", "signer", "webhooks", "kafka", "postgres")


def cents(text: str) -> int:
    return int(text.replace(".", ""))


@pytest.mark.timeout(600)
def test_every_prize_is_paid_once_whatever_is_killed(full_stack: Stack) -> None:
    """200 matches flow while each service, then Kafka, then PostgreSQL is killed and started again."""
    scene = Scene(full_stack, "kill", PLAYERS)
    scene.set_up()
    numbers = list(range(MATCHES))
    share = -(-MATCHES // len(PARTS))
    for position, part in enumerate(PARTS):
        batch = numbers[position * share : (position + 1) * share]
        already = len(scene.paid())
        scene.publish(*(scene.result(*scene.match(number)) for number in batch))
        eventually_sync(lambda before=already: len(scene.paid()) > before, deadline_s=PAID_DEADLINE_S)
        full_stack.kill(part)
        full_stack.restart(part)
    wanted = scene.wanted(numbers)
    eventually_sync(lambda: len(scene.paid()) >= wanted.total(), deadline_s=PAID_DEADLINE_S, poll_s=1)

    def settled() -> bool:
        return {one["state"] for one in scene.payouts().values()} == {"paid"}

    eventually_sync(settled, deadline_s=PAID_DEADLINE_S, poll_s=1)
    paid = scene.paid()
    assert Counter((one.player, one.cents) for one in paid) == wanted
    assert len({one.proof for one in paid}) == len(paid)
    assert len(scene.payouts()) == wanted.total()

    def booked() -> bool:
        sheet = scene.balance_sheet()
        return cents(sheet["paid"]) == sum(one.cents for one in paid)

    eventually_sync(booked, deadline_s=60)
    sheet = scene.balance_sheet()
    assert cents(sheet["payout_pending"]) == cents(sheet["reserved"]) == cents(sheet["wallets"]) == 0
    assert cents(sheet["funded"]) == cents(sheet["available"]) + cents(sheet["paid"])
    assert scene.breaches() == []
    rounds = {one["round_id"] for one in scene.rewards()}
    own = {scene.match(number)[0] for number in numbers} | rounds | set(scene.payouts())
    for service in ("settlement", "rewards", "payouts", "webhooks"):
        assert [one for one in scene.stuck(service) if one["subject"] in own] == [], service
