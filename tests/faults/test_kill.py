"""kill -9 of every part in turn while matches flow: every prize is paid once, and all books agree.

A part is started again only after the other parts have finished the work that they can do without it, for matches that
were published before and after the kill.
"""

from collections import Counter
from collections.abc import Callable

from prizewire_devstack.components.processes import answers_ok
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync
from tests.scene import PRIZES, Scene

MATCHES = 200
MEANWHILE = 5
"""How many matches of each part's share are published after it was killed."""
PLAYERS = 60
PAID_DEADLINE_S = 600
FUNDINGS = 3
NEW_STUCK = "SELECT reason, subject FROM stuck_events WHERE state IN ('dead', 'parked') ORDER BY id"


def cents(text: str) -> int:
    return int(text.replace(".", ""))


def rounds_settled(scene: Scene) -> int:
    with scene.api() as api:
        found = list(api.items("/api/rounds", competition=scene.name))
    return sum(one["state"].lower() in {"settled", "finalized"} for one in found)


def outbox_waits(stack: RunningStack, service: str) -> int:
    return int(stack.postgres.run_sql("SELECT count(*) FROM outbox_waiting", database=service))


def went_on(scene: Scene, part: str, published: int) -> Callable[[], bool]:
    """Whether the other parts have finished their work on `published` matches; without settlement or a server all work stops."""
    prizes = published * len(PRIZES)
    stack = scene.stack
    conditions: dict[str, Callable[[], bool]] = {
        "settlement": lambda: len(scene.paid()) == len(scene.rewards()),
        "rewards": lambda: rounds_settled(scene) == published,
        "payouts": lambda: len(scene.rewards()) == prizes,
        "signer": lambda: len(scene.payouts()) == prizes,
        "webhooks": lambda: len(scene.paid()) == prizes,
        "kafka": lambda: outbox_waits(stack, "rewards") >= FUNDINGS,
        "postgres": lambda: (
            not any(answers_ok(f"{stack.service_url(name)}/health/ready") for name in SERVICES)
        ),
    }
    return conditions[part]


PARTS = ("settlement", "rewards", "payouts", "signer", "webhooks", "kafka", "postgres")


def go_on_without(scene: Scene, part: str, meanwhile: list[int], published: int) -> None:
    """Continue while a part is stopped: report matches, or fund campaigns where no match can be reported."""
    if part == "kafka":
        with scene.api() as api:
            for number in range(FUNDINGS):
                reference = f"{scene.name}-meanwhile-{number}"
                body = {"amount": "1.00", "reference": reference}
                api.post(f"/api/campaigns/{scene.campaign}/fund", body, key=reference)
    else:
        scene.publish(*(scene.result(*scene.match(number)) for number in meanwhile))
    eventually_sync(went_on(scene, part, published), deadline_s=PAID_DEADLINE_S, poll_s=0.25)


def test_every_prize_is_paid_once_whatever_is_killed(full_stack: RunningStack) -> None:
    """200 matches flow while each service, then Kafka, then PostgreSQL is killed and stays stopped for a while."""
    scene = Scene(full_stack, "kill", PLAYERS)
    scene.set_up()
    signer_stuck = full_stack.postgres.run_sql(NEW_STUCK, database="signer")
    numbers = list(range(MATCHES))
    share = -(-MATCHES // len(PARTS))
    for position, part in enumerate(PARTS):
        batch = numbers[position * share : (position + 1) * share]
        now, meanwhile = batch[:-MEANWHILE], batch[-MEANWHILE:]
        already = len(scene.paid())
        scene.publish(*(scene.result(*scene.match(number)) for number in now))
        eventually_sync(lambda before=already: len(scene.paid()) > before, deadline_s=PAID_DEADLINE_S)
        full_stack.kill(part)
        go_on_without(scene, part, meanwhile, published=batch[-1] + 1)
        full_stack.restart(part)
        if part == "kafka":
            scene.publish(*(scene.result(*scene.match(number)) for number in meanwhile))
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

    eventually_sync(booked, deadline_s=600)
    sheet = scene.balance_sheet()
    assert cents(sheet["payout_pending"]) == cents(sheet["reserved"]) == cents(sheet["wallets"]) == 0
    assert cents(sheet["funded"]) == cents(sheet["available"]) + cents(sheet["paid"])
    assert cents(sheet["funded"]) == cents(scene.funding) + FUNDINGS * 100
    assert scene.breaches() == []
    rounds = {one["round_id"] for one in scene.rewards()}
    own = {scene.match(number)[0] for number in numbers} | rounds | set(scene.payouts())
    for service in ("settlement", "rewards", "payouts", "webhooks"):
        assert [one for one in scene.stuck(service) if one["subject"] in own] == [], service
    # The signer serves no HTTP to ask.
    assert full_stack.postgres.run_sql(NEW_STUCK, database="signer") == signer_stuck
