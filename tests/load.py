"""Continuous load on a running stack: game servers, players, admins and a rail, each over connections that it keeps; and the sums of
everything that was asked for, to be compared with the result.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from threading import Event, Thread
from time import monotonic
from typing import Any, Final
from uuid import uuid4

import httpx

from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync
from prizewire_rail_fake import signed_webhook
from prizewire_rail_fake.journal import Entry
from tests.crowd import Crowd
from tests.scene import ASSET, PRIZES, Scene

PAUSE_S: Final = 0.5
"""The least pause between two actions of one client, in seconds."""
REST: Final = 2
"""The pause is at least this many times as long as the slowest of the clients' last actions. So the load of a slow machine leaves room
for the restarts that are tested, and for other tests.
"""
FIRST_MATCHES: Final = 15
"""Matches that fill the wallets before the load begins."""
SOURCES: Final = ("/game-servers/east", "/game-servers/west", "/game-servers/north")
SET_UP_DEADLINE_S: Final = 600
PROGRESS_DEADLINE_S: Final = 600
PAYOUT: Final = "1.00"


class Client:
    """One client of the gateway. It stores each answer with another status than the expected one as an error."""

    def __init__(self, stack: RunningStack, errors: list[str], *roles: str, subject: str = "") -> None:
        self._errors = errors
        token = {"authorization": f"Bearer {stack.token(*roles, subject=subject)}"} if roles else {}
        self._http = httpx.Client(base_url=stack.url, headers=token, trust_env=False, timeout=600)

    def ask(self, method: str, path: str, *, expected: int = 200, key: str | None = None, **sent: Any) -> Any:
        """The document of an answer with the expected status, else None."""
        headers = {**sent.pop("headers", {}), **({"idempotency-key": key} if key else {})}
        try:
            answer = self._http.request(method, path, headers=headers, **sent)
        except httpx.HTTPError as error:
            self._errors.append(f"{method} {path}: {error!r}")
            return None
        if answer.status_code != expected:
            self._errors.append(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
            return None
        return answer.json() if answer.content else None

    def bearing(self, token: str) -> "Client":
        """This client with another token."""
        self._http.headers["authorization"] = f"Bearer {token}"
        return self


@dataclass
class Load:
    """Prizes of three scenes: paid directly over rails, kept in wallets and paid on request, and claimed."""

    stack: RunningStack
    name: str
    errors: list[str] = field(default_factory=list)
    reported: int = 0
    """Matches of the direct scene and, with the first ones, of the wallet scene."""
    claimable: int = 0
    """Matches of the claim scene, which are reported over HTTP."""
    requested: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Payouts that players requested out of their wallets: player and cents."""
    claimed: set[str] = field(default_factory=set)
    funded: int = 0
    hooks: set[str] = field(default_factory=set)
    actions: Counter[str] = field(default_factory=Counter)
    took_s: dict[str, float] = field(default_factory=dict)
    """How long the last action of each client took, in seconds."""

    def __post_init__(self) -> None:
        self.direct = Scene(self.stack, f"{self.name}direct", 10)
        self.wallet = Crowd(self.stack, f"{self.name}wallet", 10)
        self.claims = Crowd(self.stack, f"{self.name}claims", 6, delivery="claim")
        self._stop = Event()

    def set_up(self) -> None:
        """Make the scenes, fill the wallets, and register a payout method for each player of the wallet scene."""
        sources = [{"source": source, "keys": []} for source in SOURCES]
        self.direct.set_up(sources=sources)
        self.wallet.set_up(sources=sources)
        self.claims.set_up(sources=[{"source": self._http_source, "keys": []}])
        for player in self.wallet.players:
            with self.wallet.api("player", subject=player.id) as api:
                account = {
                    "type": "fake",
                    "details": {"account": f"{player.id}@example.com"},
                    "default": True,
                }
                api.post("/api/payout-methods", account, key=player.id)
        self._publish(self.wallet, *range(FIRST_MATCHES))
        eventually_sync(
            lambda: self.wallet.credited() == FIRST_MATCHES * len(PRIZES), deadline_s=SET_UP_DEADLINE_S
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the load in the block, each client in a thread of its own."""
        clients = self._clients()
        self.took_s = dict.fromkeys(clients, 0.0)
        threads = [Thread(target=self._repeat, args=(name, make())) for name, make in clients.items()]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def wait_for_progress(self) -> None:
        """Wait until each client has done something, so that every state of the services meets the load."""
        before = Counter(self.actions)

        def all_moved() -> bool:
            return all(self.actions[name] > before[name] for name in self._clients())

        eventually_sync(all_moved, deadline_s=PROGRESS_DEADLINE_S)

    def settle(self, *, deadline_s: float) -> None:
        """Wait until everything that was asked for has its end.

        Raises:
            NotInTimeError: something has none.
        """
        direct = self.direct.wanted(range(self.reported)).total()
        wallets = (FIRST_MATCHES + self.reported) * len(PRIZES)
        waiting = {"deadline_s": deadline_s, "poll_s": 1.0}
        eventually_sync(lambda: self.wallet.credited() == wallets, **waiting)
        eventually_sync(lambda: len(self.direct.paid()) >= direct, **waiting)
        eventually_sync(lambda: len(self.wallet.paid()) >= self.requested.total(), **waiting)
        for scene in (self.direct, self.wallet):
            eventually_sync(partial(self._all_paid, scene), **waiting)
        self._claim_all()
        eventually_sync(lambda: len(self.claims.rewards()) == self.claimable * len(PRIZES), **waiting)
        self._claim_all()

    def check(self) -> None:
        """Compare what was asked for with the ledgers: every prize credited once, every payout paid once, to the cent."""
        matches = range(self.reported)
        paid = self.direct.paid()
        assert Counter((one.player, one.cents) for one in paid) == self.direct.wanted(matches)
        assert len({one.proof for one in paid}) == len(paid)
        requested = self.wallet.paid()
        assert Counter((one.player, one.cents) for one in requested) == self.requested
        assert len({one.proof for one in requested}) == len(requested)
        earned = self.wallet.earned(range(FIRST_MATCHES + self.reported))
        for (player, cents), count in self.requested.items():
            earned[player] -= cents * count
        assert self.wallet.wallets() == +earned
        assert self.claims.wallets() == self.claims.earned(range(self.claimable))
        assert len(self.claimed) == self.claimable * len(PRIZES)
        assert self.wallet.balance_sheet()["funded"] == f"{1_000_000 + self.funded}.00"
        keys = ", ".join(f"'{key}'" for key in self.hooks)
        stored = f"SELECT count(*) FROM provider_events WHERE provider_key IN ({keys})"
        assert int(self.stack.postgres.run_sql(stored, database="webhooks")) == len(self.hooks)
        assert self.direct.breaches() == []

    def _clients(self) -> dict[str, Callable[[], Callable[[int], None]]]:
        """What makes each client: a function of the number of its action."""
        return {
            "game servers": self._game_servers,
            "reporter": self._reporter,
            "claimers": self._claimers,
            "payees": self._payees,
            "admin": self._admin,
            "rail": self._rail,
            "readers": self._readers,
        }

    @property
    def _http_source(self) -> str:
        return f"/games/{self.name}"

    def _repeat(self, name: str, act: Callable[[int], None]) -> None:
        number = 0
        while not self._stop.wait(max(PAUSE_S, REST * max(self.took_s.values()))):
            began = monotonic()
            try:
                act(number)
            except Exception as error:  # noqa: BLE001 - the test shows every error at its end
                self.errors.append(f"{name}: {error!r}")
            self.took_s[name] = monotonic() - began
            number += 1
            self.actions[name] += 1

    def _client(self, *roles: str, subject: str = "") -> Client:
        return Client(self.stack, self.errors, *roles, subject=subject)

    @staticmethod
    def _publish(scene: Scene, *numbers: int) -> None:
        """Publish these matches, each as the game server of another source."""
        scene.publish(
            *(
                {**scene.result(*scene.match(number)), "source": SOURCES[number % len(SOURCES)]}
                for number in numbers
            )
        )

    def _game_servers(self) -> Callable[[int], None]:
        def act(number: int) -> None:
            self._publish(self.direct, number)
            self._publish(self.wallet, FIRST_MATCHES + number)
            self.reported = number + 1

        return act

    def _reporter(self) -> Callable[[int], None]:
        admin = self._client("admin", subject="load-admin")
        issued = admin.ask(
            "POST",
            "/api/source-tokens",
            expected=201,
            key=f"{self.name}:token",
            json={"source": self._http_source},
        )
        client = self._client().bearing(issued["token"])

        def act(number: int) -> None:
            event = {**self.claims.result(*self.claims.match(number)), "source": self._http_source}
            if client.ask("POST", "/api/matches", expected=202, key=event["id"], json=event) is not None:
                self.claimable = number + 1

        return act

    def _claimers(self) -> Callable[[int], None]:
        clients = [self._client("player", subject=player.id) for player in self.claims.players]

        def act(number: int) -> None:
            self._claim(clients[number % len(clients)])

        return act

    def _claim_all(self) -> None:
        for player in self.claims.players:
            client = self._client("player", subject=player.id)
            while self._claim(client):
                pass

    def _claim(self, client: Client) -> int:
        """Claim the rewards of one page, and return how many were claimed."""
        page = client.ask("GET", "/api/claims", params={"state": "open", "limit": 20}) or {"items": []}
        claimed = 0
        for one in page["items"]:
            reward = one["reward_id"]
            if client.ask("POST", f"/api/claims/{reward}", key=reward) is not None:
                self.claimed.add(reward)
                claimed += 1
        return claimed

    def _payees(self) -> Callable[[int], None]:
        players = [player.id for player in self.wallet.players]
        clients = [self._client("player", subject=player) for player in players]

        def act(number: int) -> None:
            place = number % len(clients)
            body = {"asset": ASSET, "amount": PAYOUT}
            key = f"{self.name}:{number}"
            if (
                clients[place].ask("POST", "/api/wallet/payout-request", expected=202, key=key, json=body)
                is not None
            ):
                self.requested[players[place], 100] += 1
            clients[place].ask("GET", "/api/wallet")

        return act

    def _admin(self) -> Callable[[int], None]:
        client = self._client("admin", "operator", "organizer", subject="load-admin")
        campaign = f"/api/campaigns/{self.wallet.campaign}"

        def act(number: int) -> None:
            client.ask("PUT", f"{campaign}/settings", json={"low_water": f"{number + 1}.00"})
            key = f"{self.name}:{number}"
            body = {"amount": "1.00", "reference": key}
            if client.ask("POST", f"{campaign}/fund", expected=201, key=key, json=body) is not None:
                self.funded += 1
            token = client.ask(
                "POST", "/api/source-tokens", expected=201, key=f"{key}:x", json={"source": f"/games/{key}"}
            )
            if token is not None:
                client.ask("DELETE", f"/api/source-tokens/{token['id']}")

        return act

    def _rail(self) -> Callable[[int], None]:
        client = self._client()
        secret = self.stack.keyring.fake_webhook_secret_file.read_text().strip()

        def act(_: int) -> None:
            entry = Entry(
                key=uuid4(), payout_id=uuid4(), attempt_no=1, asset=ASSET, amount=PAYOUT, state="paid", code=None,
                scenario="", looks=0,
            )  # fmt: skip
            body, headers = signed_webhook(entry=entry, secret=secret, at=datetime.now(UTC))
            sent = {"content": body, "headers": headers}
            if client.ask("POST", "/api/payments/webhook/fake", **sent) is not None:
                self.hooks.add(str(entry.key))

        return act

    def _readers(self) -> Callable[[int], None]:
        client = self._client("admin", "operator", "organizer", subject="load-reader")
        paths: Sequence[str] = (
            "/api/rounds",
            "/api/rewards",
            "/api/admin/payouts",
            "/api/webhooks",
            "/api/services/settlement/openapi.json",
        )

        def act(number: int) -> None:
            client.ask("GET", paths[number % len(paths)])

        return act

    @staticmethod
    def _all_paid(scene: Scene) -> bool:
        return {one["state"] for one in scene.payouts().values()} == {"paid"}
