"""Every `prizewire` command of the runbooks runs on the real stack, with values as a person would fill them in."""

import json
import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from prizewire_devstack.cli.main import group
from prizewire_devstack.demo.by_hand import FORMAT, RAIL
from prizewire_devstack.home import HOME_VARIABLE
from prizewire_devstack.monitoring.runbooks import Command, load
from prizewire_devstack.stack import RunningStack, Stack
from prizewire_devstack.stack.control import Requests
from prizewire_devstack.stack.keeping import Keeper
from prizewire_devstack.stack.monitoring import PARTS
from prizewire_devstack.waiting import eventually_sync
from tests.scene import ASSET, Scene

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    one.text: one for page in load(ROOT) for one in page.commands if one.text.startswith("prizewire ")
}
RESTARTS = ("prizewire restart ",)
"""Commands that stop a part of the stack: they run last."""
LINES = f"/api/admin/payouts/by-hand/{RAIL}"
FINDS_SOMETHING = {"prizewire verify": (0, 1), "prizewire audit verify": (0, 1)}
"""Commands that end with 1 where they find what another test left; they must have looked at everything."""


class World:
    """What the commands act on. Each request for a value of a decision makes a fresh object."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack = stack
        self._numbers = count(1)
        self.scene = Scene(stack, "book", 6, delivery="direct")
        self.scene.set_up(dispute_window_s=3600)
        self.failing = Scene(stack, "bookf", 6, delivery="direct")
        self.failing.set_up()
        self.claims = Scene(stack, "bookc", 6, delivery="claim")
        self.claims.set_up()
        with self.claims.api() as api:
            settings = {"risk": {"amount": "1.00"}}
            api.put(f"/api/campaigns/{self.claims.campaign}/settings", settings)
        self._claims: list[str] = []
        self._failed: list[str] = []

    @cached_property
    def exhausted(self) -> str:
        """A campaign whose pool does not cover its round."""
        scene = Scene(self.stack, "bookx", 3, delivery="wallet", funding="10.00")
        scene.set_up()
        self._play(scene)
        eventually_sync(lambda: self._campaign(scene.campaign)["unfunded_rounds"])
        return scene.campaign

    def _campaign(self, campaign: str) -> dict[str, Any]:
        with self.scene.api() as api:
            found: dict[str, Any] = api.get(f"/api/campaigns/{campaign}")
        return found

    def _play(self, scene: Scene) -> str:
        """Settle one match; return the id of its round."""
        number = next(self._numbers)
        match_id, players = f"{scene.name}-{number}", [player.id for player in scene.players[:3]]
        scene.publish(scene.result(match_id, players))

        def settled() -> str | None:
            with scene.api() as api:
                rounds = list(api.items("/api/rounds", match_id=match_id))
            return next((one["id"] for one in rounds if one["state"] in ("SETTLED", "FINALIZED")), None)

        return str(eventually_sync(settled))

    def round_in_dispute(self) -> str:
        """A settled round that is not final."""
        return self._play(self.scene)

    def refused_round(self) -> str:
        """A round whose campaign has ended, and whose rule has been mended since."""
        number = next(self._numbers)
        scene = Scene(self.stack, f"bookr{number}", 3, delivery="wallet")
        scene.set_up()
        with scene.api() as api:
            rule = api.get(f"/api/competitions/{scene.name}")
            api.post(f"/api/campaigns/{scene.campaign}/end", {})
            round_id = self._play(scene)
            eventually_sync(lambda: api.get(f"/api/rounds/{round_id}")["refused_at"])
            fields = {name: value for name, value in rule.items() if name in _RULE_FIELDS}
            api.put(f"/api/competitions/{scene.name}", {**fields, "campaign": self.scene.campaign})
        return round_id

    def held_claim(self) -> str:
        """A claim that a rule holds."""
        if not self._claims:
            self._play(self.claims)
            with self.claims.api() as api:
                opened = eventually_sync(
                    lambda: list(api.items("/api/claims", campaign=self.claims.campaign, state="open"))
                )
            for one in opened:
                with self.claims.api("player", subject=one["player"]) as api:
                    api.post(f"/api/claims/{one['reward_id']}", {}, key=f"claim:{one['reward_id']}")
                self._claims.append(one["reward_id"])
        return self._claims.pop()

    def held_prize(self) -> str:
        """A prize that a cap holds."""
        number = next(self._numbers)
        scene = Scene(self.stack, f"bookh{number}", 3, delivery="wallet")
        scene.set_up()
        with scene.api() as api:
            api.put(f"/api/campaigns/{scene.campaign}/settings", {"caps": {"per_player": "0.01"}})
            round_id = self._play(scene)
            held = eventually_sync(lambda: list(api.items("/api/rewards", state="held", round_id=round_id)))
        return str(held[0]["reward_id"])

    def failed_payout(self) -> str:
        """A payout that its rail refused."""
        if not self._failed:
            number = next(self._numbers)
            players = [player.id for player in self.failing.players[:3]]
            for player in players:
                with self.failing.api("player", subject=player) as api:
                    api.post(
                        "/api/payout-methods",
                        {
                            "type": "fake",
                            "details": {"account": f"failure+{player}-{number}"},
                            "default": True,
                        },
                        key=f"book:failure:{player}:{number}",
                    )
            known = set(self.failing.payouts())
            self._play(self.failing)

            def failed() -> list[str] | None:
                fresh = {key: one for key, one in self.failing.payouts().items() if key not in known}
                done = [key for key, one in fresh.items() if one["state"] == "failed"]
                return done if len(done) == 3 else None

            self._failed = list(eventually_sync(failed))
        return self._failed.pop()

    def held_payout(self) -> str:
        """A payout that waits for another person: a retry that an operator requested."""
        failed = self.failed_payout()
        with self.failing.api(subject="olga") as api:
            api.post(f"/api/admin/payouts/{failed}/retry", {"reason": "test"}, key=f"retry:{failed}")
            return str(
                eventually_sync(
                    lambda: next(
                        (one["retried_by"] for one in api.get(f"/api/payouts/{failed}")["retries"]), None
                    )
                )
            )

    def claimed_by_hand(self) -> str:
        """A payment by hand that a person claimed, and whose outcome persons prove."""
        player = self.failing.players[0].id
        number = next(self._numbers)
        with self.failing.api("player", subject=player) as api:
            details = {"iban": "DE89370400440532013000", "holder": "Ada Example"}
            api.post(
                "/api/payout-methods",
                {"type": "bank", "details": details, "default": True},
                key=f"book:bank:{number}",
            )
        known = set(self.failing.payouts())
        self._play(self.failing)
        with self.failing.api("operator", "approver", "admin", subject="petra") as api:

            def line() -> str | None:
                open_lines = api.items(f"{LINES}/lines", state="open")
                return next(
                    (
                        one["payout_id"]
                        for one in open_lines
                        if one["payout_id"] not in known and one["payout_id"] in self.failing.payouts()
                    ),
                    None,
                )

            payout = str(eventually_sync(line))
            claimed = api.post(f"{LINES}/claims", {"payout_ids": [payout]}, key=f"book:claim:{payout}")
            api.get(f"{LINES}/batches/{claimed['batch_id']}/export", format=FORMAT)
        return payout

    def filed_evidence(self) -> tuple[str, str]:
        """A payment with evidence that waits for another person."""
        payout = self.claimed_by_hand()
        found = {"finding": "paid", "reference": "ticket 4711", "note": "test"}
        with self.failing.api("operator", "approver", "admin", subject="petra") as api:
            review = api.post(
                f"/api/admin/payouts/reviews/{payout}/evidence", found, key=f"book:evidence:{payout}"
            )
        return payout, review["evidence"][0]["evidence_id"]

    def stuck_event(self, *, mended: bool) -> str:
        """A dead result of a competition that did not exist; ``mended``: it exists now."""
        number = next(self._numbers)
        scene = Scene(self.stack, f"books{number}", 3, delivery="wallet")
        match_id = f"{scene.name}-m"
        scene.publish(scene.result(match_id, [player.id for player in scene.players]))
        found = eventually_sync(
            lambda: [one for one in scene.stuck("settlement") if one["subject"] == match_id]
        )
        if mended:
            scene.set_up()
        return f"settlement/{found[0]['id']}"

    def pause(self) -> str:
        """A pause in force."""
        number = next(self._numbers)
        body = {"scope": "player", "value": f"nobody-{number}", "reason": "test"}
        with self.scene.api() as api:
            return str(api.post("/api/admin/payouts/pauses", body, key=f"book:pause:{number}")["id"])

    def values(self, command: Command) -> dict[str, str]:
        """A value for each place of a command."""
        words = " ".join(command.text.split()[1:4])
        if words.startswith("payouts evidence confirm"):
            payout, evidence = self.filed_evidence()
            return {"PAYOUT": payout, "EVIDENCE": evidence}
        makers: dict[str, Callable[[], str]] = {
            "PAYOUT": self.held_payout,
            "ROUND": self.round_in_dispute,
            "CLAIM": self.held_claim,
            "PRIZE": self.held_prize,
            "PAUSE": self.pause,
            "CAMPAIGN": lambda: self.scene.campaign,
            "AMOUNT": lambda: "500.00",
            "ASSET": lambda: ASSET,
            "RAIL": lambda: RAIL,
            "PLAYER": lambda: f"{self.scene.name}-nobody",
            "ID": lambda: f"{self.scene.name}-1",
            "SERVICE": lambda: "webhooks",
            "SERVICE/NUMBER": lambda: self.stuck_event(mended="replay" in words),
        }
        if words.startswith("payouts retry"):
            makers["PAYOUT"] = self.failed_payout
        if words.startswith("payouts evidence file"):
            makers["PAYOUT"] = self.claimed_by_hand
        if words.startswith("rounds resettle"):
            makers["ROUND"] = self.refused_round
        if words.startswith("campaigns fund"):
            makers["CAMPAIGN"] = lambda: self.exhausted
        if words.startswith("campaigns activate"):
            makers["CAMPAIGN"] = self.paused_campaign
        if words.startswith("campaigns end"):
            makers["CAMPAIGN"] = self.idle_campaign
        if words.startswith("trace"):
            makers["ID"] = self.correlation_id
        return {place: makers[place]() for place in command.places}

    def paused_campaign(self) -> str:
        """A campaign that is paused."""
        with self.scene.api() as api:
            api.post(f"/api/campaigns/{self.scene.campaign}/pause", {})
        return self.scene.campaign

    def idle_campaign(self) -> str:
        """A campaign of its own without rounds, since an ended one stays ended."""
        scene = Scene(self.stack, f"booke{next(self._numbers)}", 3, delivery="wallet")
        scene.set_up()
        return scene.campaign

    def correlation_id(self) -> str:
        """The correlation id of a match."""
        with self.scene.api() as api:
            return str(api.get(f"/api/rounds/{self.round_in_dispute()}")["correlation_id"])

    def lift_pauses(self) -> None:
        """Lift what the commands paused, so that later commands and tests pay."""
        with self.scene.api() as api:
            for one in api.get("/api/admin/payouts/pauses")["items"]:
                api.delete(f"/api/admin/payouts/pauses/{one['id']}")
            if self._campaign(self.scene.campaign)["state"] == "paused":
                api.post(f"/api/campaigns/{self.scene.campaign}/activate", {})


_RULE_FIELDS = (
    "name", "campaign", "asset", "gross_prize", "platform_fee_bps", "organizer_fee_bps", "template", "ties",
    "rank_by", "sources", "dispute_window_s",
)  # fmt: skip


@pytest.fixture(scope="module")
def world(full_stack: RunningStack) -> World:
    return World(full_stack)


@pytest.fixture
def run(full_stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command in this process, with the stack's state directory."""
    monkeypatch.setenv(HOME_VARIABLE, str(full_stack.home.root))
    monkeypatch.chdir(full_stack.root)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(group, arguments, standalone_mode=False)

    return invoke


def _fault(command: Command, done: Result) -> str | None:
    """What is wrong with the outcome of a command; None where it did what the page says."""
    allowed = next(
        (codes for begin, codes in FINDS_SOMETHING.items() if command.text.startswith(begin)), (0,)
    )
    if done.exception is not None:
        return f"{command.page}: `{command.text}` failed: {done.exception!r}"
    if (done.return_value or 0) not in allowed:
        return f"{command.page}: `{command.text}` ended with {done.return_value}: {done.output}"
    return None


def test_every_command_does_what_the_page_says(world: World, run: Callable[..., Result]) -> None:
    """Each command ends well on a target of the kind that it is for."""
    faults = []
    for text, command in COMMANDS.items():
        if text.startswith(RESTARTS):
            continue
        done = run(*command.arguments(world.values(command))[1:])
        faults.append(_fault(command, done))
        if " pause " in text:
            world.lift_pauses()
    assert [fault for fault in faults if fault] == []


def test_the_decisions_had_their_effect(world: World, run: Callable[..., Result]) -> None:
    """After the page about an empty pool its rounds are booked; a retried payout names the payout that it retries."""
    world.values(COMMANDS["prizewire campaigns show CAMPAIGN"])
    run("campaigns", "fund", world.exhausted, "500.00", "--reference", "the test's own")
    eventually_sync(lambda: world._campaign(world.exhausted)["unfunded_rounds"] == 0)
    failed = world.failed_payout()
    assert run("payouts", "retry", failed, "--reason", "test").exception is None
    shown = eventually_sync(
        lambda: next(
            (
                one["retried_by"]
                for one in json.loads(run("payouts", "show", failed, "--json").stdout)["retries"]
            ),
            None,
        )
    )
    approved = run("payouts", "approve", str(shown), "--by", "kim")
    assert (approved.exception, approved.return_value) == (None, 0)


@pytest.fixture
def kept(full_stack: RunningStack) -> Iterator[None]:
    """The stack takes requests of other terminals, as under `prizewire up`."""
    assert isinstance(full_stack, Stack)
    requests = Requests(full_stack.home)
    keeper = Keeper(stack=full_stack, requests=requests, say=lambda _: None)
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.2):
            keeper.look()

    with requests.opened():
        thread = threading.Thread(target=look)
        thread.start()
        yield
        done.set()
        thread.join()


@pytest.mark.local_processes
@pytest.mark.usefixtures("kept")
def test_every_restart_brings_the_part_back(world: World, run: Callable[..., Result]) -> None:
    """Each `prizewire restart` of a page ends once the part is ready again. Parts of monitoring: `test_stack_with_monitoring`."""
    faults = [
        _fault(command, run(*command.arguments(world.values(command))[1:]))
        for text, command in COMMANDS.items()
        if text.startswith(RESTARTS) and text.split()[-1] not in PARTS
    ]
    assert [fault for fault in faults if fault] == []
