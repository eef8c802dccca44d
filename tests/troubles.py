"""Traffic with the troubles that dashboards show: a failure, held payouts and claims, an outage of a rail, a stuck event, a pool
that is short of money, a pause.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

import httpx

from prizewire_devstack.api import Api
from prizewire_devstack.demo.receiver import subscribed
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync
from tests.crowd import Crowd
from tests.scene import Scene

DEADLINE_S: Final = 600.0
LARGE: Final = "1200000.00"
"""More than the local stack approves without a person."""
MATCHES_UNTIL_OPEN: Final = 9
"""A circuit opens after 20 payments in a row without a clear answer."""
HELD_FROM: Final = "40.00"
"""The claim of a first place is held, those of the others are not."""


class Troubles:
    """The traffic over a stack that runs. Use as a context manager: a subscriber to webhooks ends with it, and the pause is lifted.

    ``name`` begins every name, so that several scenes of a stack do not meet.
    """

    def __init__(self, stack: RunningStack, name: str) -> None:
        self.stack = stack
        self.paid = Scene(stack, f"{name}-paid", 6, funding="5000.00")
        self.failing = Crowd(stack, f"{name}-failing", 6, delivery="direct", funding="5000.00")
        self.away = Crowd(stack, f"{name}-away", 6, delivery="direct", funding="5000.00")
        self.large = Crowd(stack, f"{name}-large", 6, delivery="direct", funding="9000000.00")
        self.short = Crowd(stack, f"{name}-short", 6, funding="150.00")
        self.claims = Crowd(
            stack, f"{name}-claims", 6, delivery="claim", funding="5000.00", risk={"amount": HELD_FROM}
        )
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        """Make campaigns, competitions, methods, a token of a game server, and a subscriber."""
        self.paid.set_up()
        for crowd in (self.failing, self.away, self.short, self.claims):
            crowd.set_up()
        self.large.set_up(gross_prize=LARGE, template={"table": [{"places": "1", "amount_each": LARGE}]})
        api = self._exit.enter_context(self.admin())
        self._exit.enter_context(subscribed(api))
        api.post("/api/source-tokens", {"source": f"/games/{self.paid.name}"}, key=f"{self.paid.name}:token")
        for crowd, scenario in ((self.failing, "failure"), (self.away, "outage"), (self.large, "success")):
            for player in crowd.players:
                self._register(player.id, scenario)
        self._wait_for_methods()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the subscriber, and lift the pause."""
        self._exit.close()

    def admin(self) -> Api:
        """A client of an admin who is an operator."""
        return self.paid.api("admin", "operator", "organizer")

    def pay(self, number: int) -> None:
        """A match whose three prizes are paid, and the round of one whose prizes are credited as far as the pool reaches."""
        self._play(self.paid, number, wanted="paid")
        match_id, players = self.short.match(number)
        self.short.publish(self.short.result(match_id, players))

    def fail(self, number: int) -> None:
        """A match whose three payouts fail: the rail refuses the accounts."""
        self._play(self.failing, number, wanted="failed")

    def claim(self, number: int) -> None:
        """A match whose three prizes are claimed: the first claim is held, the others are approved."""
        match_id, players = self.claims.match(number)
        self.claims.publish(self.claims.result(match_id, players))
        for player in players:
            with self.claims.api("player", subject=player) as api:
                [found] = eventually_sync(lambda api=api: _open(api), deadline_s=DEADLINE_S)
                api.post(f"/api/claims/{found['reward_id']}", key=f"{match_id}:{player}")

    def reject_a_claim(self) -> None:
        """An operator rejects the oldest held claim of the scene."""
        with self.admin() as api:
            held = [one for one in api.items("/api/claims", state="held") if self._is_mine(one)]
            api.post(
                f"/api/claims/{held[0]['reward_id']}/reject",
                {"reason": "test"},
                key=f"{held[0]['reward_id']}:reject",
            )

    def lose_a_rail(self) -> None:
        """Matches whose payouts meet a rail that is away: so many in a row that its circuit opens."""
        for number in range(MATCHES_UNTIL_OPEN):
            match_id, players = self.away.match(number)
            self.away.publish(self.away.result(match_id, players))

    def hold(self, number: int) -> None:
        """A match whose payout waits for approvers."""
        self._play(self.large, number, wanted="held", first_only=True)

    def stick(self) -> None:
        """A result for a competition that does not exist."""
        match_id, players = self.paid.match(99)
        event = self.paid.result(match_id, players, competition="nobody-made-this")
        self.paid.publish(event)
        eventually_sync(lambda: self.stuck_events("settlement") > 0, deadline_s=DEADLINE_S)

    def refuse_a_request(self) -> None:
        """A request whose head is too long for a service, which refuses it before any route."""
        answer = httpx.get(
            f"{self.stack.service_url('rewards')}/api/campaigns",
            headers={"x-long": "x" * 70_000},
            timeout=30,
            trust_env=False,
        )
        assert answer.status_code == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

    def pause_stellar(self, number: int) -> None:
        """Pause the rail, and play a match: its payouts are approved and wait."""
        with self.admin() as api:
            pause = api.post(
                "/api/admin/payouts/pauses",
                {"scope": "rail", "value": "stellar", "reason": "test"},
                key=f"{self.paid.name}:pause",
            )
        self._exit.callback(self._resume, pause["id"])
        match_id, players = self.paid.match(number)
        self.paid.publish(self.paid.result(match_id, players))
        self._wait_for("approved", players, at_least=1)

    def stuck_events(self, service: str) -> int:
        """The stuck events of a service that wait for a person, as its API lists them."""
        with self.admin() as api:
            found = list(api.items(f"/api/services/{service}/stuck-events"))
        return sum(one["state"] in {"dead", "parked"} for one in found)

    def _resume(self, pause: str) -> None:
        with self.admin() as api:
            api.delete(f"/api/admin/payouts/pauses/{pause}")

    def _is_mine(self, claim: dict[str, Any]) -> bool:
        return str(claim["player"]).startswith(self.claims.name)

    def _register(self, player: str, scenario: str) -> None:
        """From now on the fake rail plays a scenario for a player."""
        with self.paid.api("player", subject=player) as api:
            api.post(
                "/api/payout-methods",
                {"type": "fake", "details": {"account": f"{scenario}+{player}"}, "default": True},
                key=f"{player}:{scenario}",
            )

    def _wait_for_methods(self) -> None:
        """Wait until rewards knows every method: a prize of a player without one stays in the wallet."""
        scenes = (self.paid, self.failing, self.away, self.large)
        listed = ", ".join(f"'{player.id}'" for scene in scenes for player in scene.players)
        query = f"SELECT DISTINCT player FROM payout_methods WHERE player IN ({listed})"
        wanted = sum(len(scene.players) for scene in scenes)
        eventually_sync(
            lambda: len(self.stack.postgres.run_sql(query, database="rewards").split()) == wanted,
            deadline_s=DEADLINE_S,
        )

    def _play(self, scene: Scene, number: int, *, wanted: str, first_only: bool = False) -> None:
        match_id, players = scene.match(number)
        scene.publish(scene.result(match_id, players))
        self._wait_for(wanted, players[:1] if first_only else players)

    def _wait_for(self, state: str, players: Sequence[str], *, at_least: int | None = None) -> None:
        """Wait until each player, or as many as named, has a payout in this state."""
        listed = ", ".join(f"'{player}'" for player in players)
        query = f"SELECT DISTINCT player FROM payouts WHERE state = '{state}' AND player IN ({listed})"
        enough = at_least or len(set(players))
        eventually_sync(
            lambda: len(self.stack.postgres.run_sql(query, database="payouts").split()) >= enough,
            deadline_s=DEADLINE_S,
        )


def _open(api: Api) -> list[dict[str, Any]]:
    return [one for one in api.items("/api/claims") if one["state"] == "open"]
