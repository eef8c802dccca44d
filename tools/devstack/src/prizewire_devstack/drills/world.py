"""The installation of a drill: a running stack, and what game servers, players and operators do on it."""

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import httpx

from prizewire_devstack import game_server
from prizewire_devstack.api import Api
from prizewire_devstack.declarations import make_competition
from prizewire_devstack.stack import Stack
from prizewire_devstack.waiting import eventually_sync

SOURCE: Final = "/game-servers/drills"
ASSET: Final = "USDC"
WAIT_S: Final = 120.0
"""How long a step of the stack may take, in seconds."""
_SETTLED: Final = ("SETTLED", "FINALIZED")
_PARALLEL: Final = 8


class World:
    """A stack with the parts that drills need. Names carry a number, so that no two drills share a campaign."""

    def __init__(self, stack: Stack, *, prometheus_url: str) -> None:
        self.stack = stack
        self.notes: dict[str, str] = {}
        """What a cause made, for the steps: ids by name."""
        self._prometheus = prometheus_url
        self._run = uuid.uuid4().hex[:6]
        self._numbers = count(1)

    def name(self, what: str) -> str:
        """A name that no other drill has used."""
        return f"drill-{what}-{self._run}-{next(self._numbers)}"

    def api(self, *roles: str, subject: str = "drill-admin") -> Api:
        """A client of the gateway, as an admin unless other roles are named."""
        chosen = roles or ("admin", "operator", "organizer")
        return Api(base_url=self.stack.url, token=self.stack.token(*chosen, subject=subject))

    def campaign(self, name: str, *, delivery: str, funding: str, **settings: Any) -> str:
        """An active campaign with money. Returns its id."""
        with self.api() as api:
            body = {"name": name, "asset": ASSET, "delivery": delivery, **settings}
            made: str = api.post("/api/campaigns", body, key=f"{name}:campaign")["id"]
            api.post(
                f"/api/campaigns/{made}/fund", {"amount": funding, "reference": name}, key=f"{name}:fund"
            )
            api.post(f"/api/campaigns/{made}/activate", {})
        return made

    def competition(self, name: str, *, campaign: str, prizes: Sequence[str], gross: str) -> None:
        """A competition whose results the drills report, unsigned; its rounds are final at once."""
        rows = [{"places": str(place), "amount_each": prize} for place, prize in enumerate(prizes, 1)]
        with self.api() as api:
            make_competition(
                api,
                {
                    "id": name,
                    "name": name,
                    "campaign": campaign,
                    "asset": ASSET,
                    "gross_prize": gross,
                    "platform_fee_bps": 0,
                    "organizer_fee_bps": 0,
                    "template": {"table": rows},
                    "ties": {"policy": "refuse"},
                    "rank_by": {"by": "place"},
                    "sources": [{"source": SOURCE, "keys": []}],
                    "dispute_window_s": 0,
                },
            )

    def play(self, competition: str, players: Sequence[str]) -> str:
        """Report the result of a match, the players in the order of their places. Returns the id of its settled round."""
        match_id = self.name("match")
        data = {
            "match_id": match_id,
            "competition": competition,
            "results": [{"player": player, "place": place} for place, player in enumerate(players, 1)],
        }
        event = game_server.complete({"data": data, "source": SOURCE}, source=SOURCE, now=datetime.now(UTC))
        game_server.send(self.stack.kafka.login("game-server"), [game_server.message(event, key=None)])

        def settled() -> str | None:
            with self.api() as api:
                rounds = list(api.items("/api/rounds", match_id=match_id))
            return next((str(one["id"]) for one in rounds if one["state"] in _SETTLED), None)

        return str(self.wait(settled))

    def register_fake_methods(self, players: Sequence[str]) -> None:
        """Give each player an account of the fake rail as the default method."""

        def register(player: str) -> None:
            with self.api("player", subject=player) as api:
                details = {"account": f"{player}@example.com"}
                api.post(
                    "/api/payout-methods",
                    {"type": "fake", "details": details, "default": True},
                    key=f"{player}:method",
                )

        self.each(register, players)

    def each(self, do: Callable[[str], Any], items: Sequence[str]) -> None:
        """Do something for each item, several at a time."""
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(do, items))

    def wait(self, condition: Callable[[], Any]) -> Any:
        """The first true result of a condition.

        Raises:
            NotInTimeError: there was none in time.
        """
        return eventually_sync(condition, deadline_s=WAIT_S, poll_s=0.2)

    def measured(self, query: str) -> float | None:
        """The value of a query in Prometheus now; None where it has none."""
        answer = httpx.get(f"{self._prometheus}/api/v1/query", params={"query": query}, trust_env=False)
        result = answer.json().get("data", {}).get("result", [])
        return float(result[0]["value"][1]) if result else None
