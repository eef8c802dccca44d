"""A scene on the running stack: players with accounts and methods, a funded campaign, a competition.

Payments are read from the Stellar ledger and from the fake rail's payments, not from the services.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from stellar_sdk import Keypair

from prizewire_devstack import game_server
from prizewire_devstack.api import Api
from prizewire_devstack.components.stellar import assets
from prizewire_devstack.declarations import make_competition
from prizewire_devstack.demo.players import Address, create_accounts, register_methods
from prizewire_devstack.demo.tournaments import Player
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.verification import verify

SOURCE = "/game-servers/tests"
ASSET = "USDC"
STROOPS_PER_CENT = 10**5
PRIZES = ("50.00", "30.00", "20.00")
"""The prizes of the three places of a match, in cents."""


@dataclass(frozen=True, slots=True)
class Paid:
    """One payment on a rail: player, amount in cents, and its reference."""

    player: str
    cents: int
    proof: str


@dataclass
class Scene:
    """Competition ``name`` over a campaign of its own; ``players`` are paid over Stellar but every fifth."""

    stack: RunningStack
    name: str
    player_count: int
    delivery: str = "direct"
    funding: str = "1000000.00"
    risk: dict[str, Any] = field(default_factory=dict)
    """The rules that hold claims; none where it is empty."""
    campaign: str = ""
    players: list[Player] = field(default_factory=list)
    addresses: dict[str, Address] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.players = [
            Player(
                id=f"{self.name}-p{number}",
                name=f"Player {number}",
                rail="fake" if number % 5 == 4 else "stellar",
                asset=ASSET,
            )
            for number in range(self.player_count)
        ]
        self.addresses = {
            player.id: Address(player=player, keypair=Keypair.random()) for player in self.players
        }

    def api(self, *roles: str, subject: str = "scene-admin") -> Api:
        """A client of the gateway, as an admin unless other roles are named."""
        chosen = roles or ("admin", "operator", "organizer")
        return Api(base_url=self.stack.url, token=self.stack.token(*chosen, subject=subject))

    def set_up(self, *, keys: Sequence[dict[str, str]] = (), **rule: Any) -> None:
        """Make accounts, methods, campaign and competition; ``rule`` overrides the competition's fields."""
        tokens = {one.code: one for one in assets(self.stack.keyring.stellar())}
        on_chain = [address for address in self.addresses.values() if address.player.rail == "stellar"]
        create_accounts(self.stack.chain, on_chain, tokens)
        with self.api() as api:
            register_methods(lambda player: self.api("player", subject=player), list(self.addresses.values()))
            self.campaign = api.post(
                "/api/campaigns",
                {
                    "name": self.name,
                    "asset": ASSET,
                    "delivery": self.delivery,
                    **({"risk": self.risk} if self.risk else {}),
                },
                key=f"{self.name}:campaign",
            )["id"]
            api.post(
                f"/api/campaigns/{self.campaign}/fund",
                {"amount": self.funding, "reference": self.name},
                key=f"{self.name}:fund",
            )
            api.post(f"/api/campaigns/{self.campaign}/activate", {})
            rows = [{"places": str(place), "amount_each": prize} for place, prize in enumerate(PRIZES, 1)]
            make_competition(
                api,
                {
                    "id": self.name,
                    "name": self.name,
                    "campaign": self.campaign,
                    "asset": ASSET,
                    "gross_prize": "100.00",
                    "platform_fee_bps": 0,
                    "organizer_fee_bps": 0,
                    "template": {"table": rows},
                    "ties": {"policy": "refuse"},
                    "rank_by": {"by": "place"},
                    "sources": [{"source": SOURCE, "keys": list(keys)}],
                    "dispute_window_s": 0,
                    **rule,
                },
            )

    def result(self, match_id: str, players: Sequence[str], **overrides: Any) -> dict[str, Any]:
        """The CloudEvent of a result: players in the order of their places; ``overrides`` replace data fields."""
        data = {
            "match_id": match_id,
            "competition": self.name,
            "results": [{"player": player, "place": place} for place, player in enumerate(players, 1)],
            **overrides,
        }
        event = game_server.complete({"data": data, "source": SOURCE}, source=SOURCE, now=datetime.now(UTC))
        return {**event, "id": f"{match_id}-result"}

    def match(self, number: int) -> tuple[str, list[str]]:
        """Match ``number`` of the scene: its id and three players, spread over all."""
        count = len(self.players)
        chosen = [self.players[(number * 3 + step * 7) % count].id for step in range(3)]
        assert len(set(chosen)) == 3
        return f"{self.name}-m{number}", chosen

    def publish(self, *events: dict[str, Any]) -> None:
        """Send events to the topic of matches, unsigned, as a game server."""
        messages = [game_server.message(event, key=None) for event in events]
        game_server.send(self.stack.kafka.login("game-server"), messages)

    def wanted(self, numbers: Sequence[int]) -> Counter[tuple[str, int]]:
        """The expected payments of these matches: how often each (player, cents)."""
        due: Counter[tuple[str, int]] = Counter()
        for number in numbers:
            for player, prize in zip(self.match(number)[1], PRIZES, strict=True):
                due[player, int(prize.replace(".", ""))] += 1
        return due

    def paid(self) -> list[Paid]:
        """Every payment to this scene's players on a rail."""
        by_address = {
            address.keypair.public_key: player
            for player, address in self.addresses.items()
            if address.player.rail == "stellar"
        }
        treasury = self.stack.keyring.stellar().treasury.public_key
        found: list[Paid] = []
        after = 0
        while True:
            page = httpx.get(
                f"{self.stack.chain.url}/sandbox/payments",
                params={"account": treasury, "after": after, "limit": 1000},
                timeout=600,
                trust_env=False,
            ).json()
            for one in page["payments"]:
                player = by_address.get(one["to"])
                if player is not None and one["from"] == treasury:
                    cents, rest = divmod(int(one["amount"]), STROOPS_PER_CENT)
                    assert rest == 0, one
                    found.append(Paid(player, cents, f"{one['tx_hash']}/{one['op_index']}"))
            if not page["payments"]:
                break
            after = page["next"]
        return found + self._paid_by_fake_rail()

    def _paid_by_fake_rail(self) -> list[Paid]:
        made = self.stack.fake_payments()
        payouts = self.payouts() if made else {}
        return [
            Paid(payouts[payout]["player"], int(amount.replace(".", "")), f"fake-{number}")
            for payout, amount, number in made
            if payout in payouts
        ]

    def payouts(self) -> dict[str, dict[str, Any]]:
        """Payouts of this scene's players by id, from payouts."""
        own = {player.id for player in self.players}
        with self.api() as api:
            return {
                str(one["payout_id"]): one for one in api.items("/api/admin/payouts") if one["player"] in own
            }

    def rewards(self) -> list[dict[str, Any]]:
        """The rewards of this scene's players, from rewards."""
        own = {player.id for player in self.players}
        with self.api() as api:
            return [one for one in api.items("/api/rewards") if one["player"] in own]

    def balance_sheet(self) -> dict[str, Any]:
        """The campaign's money by whereabouts, from rewards."""
        with self.api() as api:
            sheet: dict[str, Any] = api.get(f"/api/campaigns/{self.campaign}/balance-sheet")
        return sheet

    def stuck(self, service: str) -> list[dict[str, Any]]:
        """The stuck events of a service."""
        with self.api() as api:
            return list(api.items(f"/api/services/{service}/stuck-events"))

    def breaches(self) -> list[str]:
        """The breaches of `prizewire verify`, and the services without an answer."""
        with self.api() as api:
            found = verify(api, signer_url=self.stack.service_url("signer"))
        broken = [
            f"{one.service} {one.invariant}: {breach}" for one in found.broken for breach in one.breaches
        ]
        return broken + [f"{service} does not answer" for service in found.silent]
