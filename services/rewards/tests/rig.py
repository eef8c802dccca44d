"""A test rig of rewards without Kafka: events go directly to the inbox, and published events stay in the outbox."""

import atexit
import hashlib
import json
import os
import sys
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache, cached_property
from pathlib import Path
from tempfile import mkstemp
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from structlog.testing import capture_logs

from prizewire_chassis.audit import Audit, AuditTable, newest_published
from prizewire_chassis.clock import ManualClock
from prizewire_chassis.db import Database
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.http.audit_routes import audit_controller
from prizewire_chassis.http.service_routes import service_controller
from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec
from prizewire_chassis.lifecycle import Built, Runtime
from prizewire_chassis.logging import get_logger
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.stuck_events import StuckEvents
from prizewire_chassis.testing import (
    event_bytes,
    hold_to_model,
    make_key,
    make_token,
    make_trust,
    records,
    token_reader,
)
from prizewire_contracts import ids
from prizewire_contracts.canonical import canonical_hash
from prizewire_contracts.topics import PAYOUTS, PLAYERS, SETTLEMENTS, SIGNING_RESULTS
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.components.postgres import DatabaseUrls
from prizewire_devstack.home import repository_root
from prizewire_money import AssetRegistry
from prizewire_railkit.method_types.installed import installed_method_types
from prizewire_rewards.app import build
from prizewire_rewards.campaigns.domain.commands import ChangeCampaign, CreateCampaign, FundCampaign
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import NO_SETTINGS, CampaignSettings
from prizewire_rewards.campaigns.handlers import change_campaign, create_campaign, fund_campaign
from prizewire_rewards.checks.invariants import Invariant
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.domain.receivables import Receivable
from prizewire_rewards.ledger.storage.accounts import account_id
from prizewire_rewards.payouts.adapters import (
    InlineDestinations,
    MessageKeySigner,
    SignedIntents,
    TrustedClosures,
    TrustedQuotes,
)
from prizewire_rewards.payouts.domain.rules import PayoutRules
from prizewire_rewards.rounds.consumers import CanonicalDigest
from prizewire_rewards.rounds.handlers.held import release_next
from prizewire_rewards.rounds.handlers.large import work_on_next
from prizewire_rewards.rounds.ports import RoundTools
from prizewire_rewards.settings import RewardsSettings
from prizewire_rewards.storage import Ports, ports_of
from services.rewards.tests.debts import ARTIFICIAL, open_receivable
from tests.documented import Documented

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NETWORK = "Standalone Network ; Prizewire Tests"
ASSETS = AssetRegistry.from_mapping(
    {
        "USDC": {"decimals": 2, "redeemable": True},
        "EURC": {"decimals": 2, "redeemable": True},
        "XLM": {"decimals": 7, "redeemable": True},
        "SEASON": {"decimals": 0, "redeemable": False},
    }
)
TRUST = make_trust()
INTENTS = SignedIntents(trust=TRUST, assets=ASSETS)


@contextmanager
def captured_logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """Capture the log lines of all modules of the repository. Each module gets a new logger: a logger that was used
    keeps the processors that were configured then, and its lines would not be captured.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("prizewire_") and hasattr(module, "_log"):
                patch.setattr(module, "_log", get_logger("test"))
        with capture_logs() as lines:
            yield lines


def make_tools() -> RoundTools:
    """The tools of the service with test keys."""
    return RoundTools(
        assets=ASSETS,
        signer=MessageKeySigner(make_key("rewards")),
        intents=INTENTS,
        closures=TrustedClosures(TRUST),
        quotes=TrustedQuotes(TRUST),
        inline=InlineDestinations(
            types=installed_method_types(),
            rail_types={},
            trust=TRUST,
            mark=lambda text: hashlib.sha256(text.encode()).hexdigest(),
        ),
        payout_rules=PayoutRules(rates_max={("USDC", "EURC"): Fraction(2), ("EURC", "USDC"): Fraction(2)}),
        digest=CanonicalDigest(ASSETS),
        network=NETWORK,
        intent_lifetime=timedelta(days=7),
    )


@dataclass
class Match:
    """A match and its settlement. Amounts are decimal texts; lines are (player, amount)."""

    campaign: UUID
    lines: Sequence[tuple[str, str]]
    platform: str = "0.00"
    organizer: str = "0.00"
    organizer_player: str | None = None
    unclaimed: str = "0.00"
    asset: str = "USDC"
    final: bool = True
    lines_per_part: int | None = None
    match_id: str = field(default_factory=lambda: f"match-{uuid4().hex[:12]}")
    version: int = 1

    @property
    def round_id(self) -> UUID:
        return ids.round_id(source="/games/test", match_id=self.match_id)

    @property
    def correlation_id(self) -> str:
        return str(ids.match_correlation_id(source="/games/test", match_id=self.match_id))

    def reward_id(self, player: str) -> UUID:
        return ids.reward_id(round_id=self.round_id, player=player)

    def corrected(self, lines: Sequence[tuple[str, str]], *, at: int, **changes: Any) -> list[bytes]:
        """The signed ``round.corrected`` events of the next settlement version with these lines. The first event has the
        subject's version ``at``. The rest of the net prize is unclaimed. The match keeps the new lines and version.
        """

        def minor(amount: str) -> int:
            return int(amount.replace(".", ""))

        net = sum(minor(amount) for _, amount in self.lines) + minor(self.unclaimed)
        left = net - sum(minor(amount) for _, amount in lines)
        self.lines, self.version = lines, self.version + 1
        self.unclaimed = f"{left // 100}.{left % 100:02}"
        for name, value in changes.items():
            setattr(self, name, value)
        return self.events(kind="corrected", at=at, reason="a mistake")

    def voided(self, *, at: int) -> bytes:
        """``round.voided``."""
        head = {"match_id": self.match_id, "match_source": "/games/test", "competition": "cup"}
        data = {"round_id": str(self.round_id), **head, "reason": "cheating"}
        return self.settlement_event("prizewire.round.voided.v1", data, version=at)

    def events(self, *, kind: str = "settled", at: int = 1, **overrides: Any) -> list[bytes]:
        """The signed ``round.settled`` (or corrected) events, one for each part."""
        decimals = ASSETS[self.asset].decimals

        def minor(amount: str) -> int:
            return int(amount.replace(".", "")) if decimals else int(amount)

        def wire(value: int) -> str:
            return f"{value // 10**decimals}.{value % 10**decimals:0{decimals}}" if decimals else str(value)

        lines = [
            {"line": n, "player": player, "place": n, "amount": amount}
            for n, (player, amount) in enumerate(self.lines, 1)
        ]
        net = sum(minor(amount) for _, amount in self.lines) + minor(self.unclaimed)
        gross = net + minor(self.platform) + minor(self.organizer)
        size = self.lines_per_part or max(1, len(lines))
        chunks = [lines[at : at + size] for at in range(0, len(lines), size)] or [[]]
        digest = canonical_hash([[x["line"], x["player"], x["place"], x["amount"]] for x in lines]).hex()
        head = {
            "round_id": str(self.round_id),
            "match_id": self.match_id,
            "match_source": "/games/test",
            "competition": "cup",
            "settlement_version": self.version,
            "rule_version": 1,
            "campaign": str(self.campaign),
            "asset": self.asset,
            "gross": wire(gross),
            "fees": {
                "platform": self.platform,
                "organizer": self.organizer,
                "organizer_player": self.organizer_player,
            },
            "net": wire(net),
            "unclaimed": self.unclaimed,
            "parts": len(chunks),
            "lines_total": len(lines),
            "digest": digest,
            "final": self.final,
            "final_at": START.isoformat(),
        }
        return [
            event_bytes(
                topic=SETTLEMENTS.name,
                kind=f"prizewire.round.{kind}.v1",
                source="/prizewire/settlement",
                subject=str(self.round_id),
                data={**head, "part": part, "lines": chunk, **overrides},
                key=make_key("settlement"),
                correlationid=self.correlation_id,
                aggregateversion=at + part - 1,
            )
            for part, chunk in enumerate(chunks, 1)
        ]

    def settlement_event(self, kind: str, data: dict[str, Any], *, version: int) -> bytes:
        """A signed event of another type about this round."""
        return event_bytes(
            topic=SETTLEMENTS.name,
            kind=kind,
            source="/prizewire/settlement",
            subject=str(self.round_id),
            data=data,
            key=make_key("settlement"),
            correlationid=self.correlation_id,
            aggregateversion=version,
        )

    def finalized(self, *, version: int = 2) -> bytes:
        """``round.finalized``."""
        data = {"round_id": str(self.round_id), "settlement_version": self.version}
        return self.settlement_event("prizewire.round.finalized.v1", data, version=version)


def payout_event(payout_id: UUID, what: str, *, version: int = 1, key: str = "payouts", **data: Any) -> bytes:
    """A signed ``payout.*`` event."""
    return event_bytes(
        topic=PAYOUTS.name,
        kind=f"prizewire.payout.{what}.v1",
        source="/prizewire/payouts",
        subject=str(payout_id),
        data={"payout_id": str(payout_id), **data},
        key=make_key(key),
        correlationid=str(payout_id),
        aggregateversion=version,
    )


def paid_event(payout_id: UUID, *, player: str, amount: str, version: int = 1, **changes: Any) -> bytes:
    """``payout.paid`` over the rail ``stellar``."""
    data = {
        "attempt_no": 1,
        "rail": "stellar-main",
        "rail_type": "stellar",
        "player": player,
        "asset": "USDC",
        "amount": amount,
        "fee": "0.0000100",
        "fee_asset": "XLM",
        "fee_borne_by": "platform",
        "proof": {"tx_hash": "ab" * 32, "ledger": 7, "op": 0},
        "paid_at": START.isoformat(),
        **changes,
    }
    return payout_event(payout_id, "paid", version=version, **data)


def returned_event(payout_id: UUID, *, amount: str, version: int = 2, **changes: Any) -> bytes:
    """``payout.returned``. Rewards books it only on a rail that the signer does not serve."""
    data = {"return_ref": "r-1", "asset": "USDC", "amount": amount, "fee": "0.00", **changes}
    return payout_event(payout_id, "returned", version=version, **data)


def closed_event(
    payout_id: UUID,
    what: str,
    *,
    closure: str | None,
    version: int = 1,
    code: str = "tx_failed",
    **changes: Any,
) -> bytes:
    """``payout.failed``, ``rejected`` or ``cancelled``."""
    wrapped = None if closure is None else {"event": closure}
    return payout_event(payout_id, what, version=version, code=code, attempts=1, closure=wrapped, **changes)


def closure_of(payout_id: UUID, *, key: str = "signer", counter: int = 1) -> str:
    """The signer's closure as a Kafka message."""
    return event_bytes(
        topic=SIGNING_RESULTS.name,
        kind="prizewire.signing.closed.v1",
        source="/prizewire/signer",
        subject=str(payout_id),
        data={"payout_id": str(payout_id), "counter": counter},
        key=make_key(key),
        correlationid=str(payout_id),
        aggregateversion=1,
    ).decode()


def method_event(player: str, *, version: int = 1, method_id: UUID | None = None, **changes: Any) -> bytes:
    """``method.registered`` of a Stellar address, the player's default."""
    identifier = method_id or uuid4()
    data = {
        "method_id": str(identifier),
        "version": version,
        "player": player,
        "type": "stellar",
        "rail_types": ["stellar"],
        "state": "active",
        "verified": True,
        "is_default": True,
        "address": f"G{player.upper()}",
        "memo": None,
        "commitment": None,
        **changes,
    }
    return event_bytes(
        topic=PAYOUTS.name,
        kind="prizewire.method.registered.v1",
        source="/prizewire/payouts",
        subject=str(identifier),
        data=data,
        key=make_key("payouts"),
        correlationid=str(identifier),
        aggregateversion=version,
    )


FAKE_METHOD = {"type": "fake", "rail_types": ["fake"], "address": None, "commitment": "cd" * 32}
"""Changes of ``method_event`` for a method of a rail that the signer does not serve."""
FAKE_RAIL = {"rail": "fake", "rail_type": "fake"}
"""Changes of ``paid_event`` for a payment over that rail."""

GAMES = make_key("games")


def player_event(
    player: str,
    *,
    source: str = "/games/one",
    hours: float = 0,
    subject: str | None = None,
    key: MessageKey | None = GAMES,
    **facts: Any,
) -> bytes:
    """A signed ``player.updated`` of a source, at ``hours`` after the start (negative: before it)."""
    return event_bytes(
        topic=PLAYERS.name,
        kind="prizewire.player.updated.v1",
        source=source,
        subject=subject or player,
        data={"player": player, **facts},
        key=key,
        time=(START + timedelta(hours=hours)).isoformat(),
        id=uuid4().hex,
    )


def _file(name: str, text: str) -> Path:
    """Write a file that is deleted when the process ends."""
    handle, path = mkstemp(prefix=name)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    atexit.register(os.unlink, path)
    return Path(path)


@cache
def player_hash_key() -> Path:
    """A file with the key of players' hashes, the same in all tests of a run."""
    return _file("player-hash-", hashlib.sha256(b"test player hashes").hexdigest())


@cache
def player_sources() -> Path:
    """A file with sources of players' facts: a game server for risk, one for identity checks, and one with an expired key."""

    def entry(owner: str, **changes: str) -> dict[str, str]:
        key = make_key(owner)
        validity = {"not_before": "2000-01-01T00:00:00Z", "not_after": "2100-01-01T00:00:00Z"}
        return {"keyid": key.keyid, "public_key": key.public_key, **validity, **changes}

    sources = [
        {"source": "/games/one", "tells": ["risk"], "keys": [entry("games")]},
        {"source": "/kyc/checked", "tells": ["identity"], "keys": [entry("kyc")]},
        {
            "source": "/kyc/former",
            "tells": ["identity"],
            "keys": [entry("kyc", not_after="2001-01-01T00:00:00Z")],
        },
    ]
    return _file("player-sources-", json.dumps({"sources": sources}))


def settings_of(urls: DatabaseUrls, *, rules: Path | None = None) -> RewardsSettings:
    """Settings for a database. Files that a test does not read need not exist."""
    return RewardsSettings(
        payout_rules_file=rules,
        database_url=SecretStr(urls.runtime),
        kafka_sasl_password=SecretStr("unused"),
        message_key_file=Path("unused"),
        trust_file=Path("unused"),
        assets_file=repository_root() / "assets.yaml",
        stellar_network_passphrase=NETWORK,
        payout_funding_accounts="USDC=marketing,EURC=missing,XLM=marketing",
        payout_inline_rails='{"bank": ["manual"], "stellar": ["stellar"], "fake": ["fake"]}',
        player_hash_key_file=player_hash_key(),
        player_sources_file=player_sources(),
    )


class Rig:
    """The service over one database."""

    built: Built
    settlements: ConsumerSpec
    payouts: ConsumerSpec
    players: ConsumerSpec

    def __init__(self, urls: DatabaseUrls) -> None:
        self.urls = urls
        self.clock = ManualClock(START)
        self.db = Database(urls.runtime, application_name="rewards-test", pool_size=10)
        self.tools = make_tools()
        self.outbox = Outbox(service="rewards", key=make_key("rewards"), clock=self.clock)
        self.processor = BatchProcessor(db=self.db, trust=TRUST, clock=self.clock)
        self.audit = Audit(service="rewards", outbox=self.outbox, clock=self.clock)
        self._offset = 0

    @classmethod
    async def open(cls, urls: DatabaseUrls, *, rules: Path | None = None) -> "Rig":
        """Build the service as its composition root does, with the payout rules of a file if one is given."""
        rig = cls(urls)
        runtime = Runtime(
            service="rewards",
            settings=settings_of(urls, rules=rules),
            clock=rig.clock,
            db=rig.db,
            key=make_key("rewards"),
            trust=TRUST,
            outbox=rig.outbox,
            audit=rig.audit,
            processor=rig.processor,
            health=Health(),
        )
        rig.built = await build(runtime)
        rig.settlements, rig.payouts, rig.players = rig.built.specs
        return rig

    @cached_property
    def app(self) -> Documented:
        """The service's HTTP application. It is built once: building it and its OpenAPI document blocks the event loop for
        a second, and connections that are being opened would time out.
        """
        stuck = StuckEvents(db=self.db, processor=self.processor, specs=self.built.specs, clock=self.clock)
        about = service_controller(
            service="rewards",
            db=self.db,
            stuck=stuck,
            lineage=self.built.lineage,
            checks=self.built.checks,
            audit=self.audit,
        )
        chain = audit_controller(db=self.db, table=AuditTable("rewards", newest_published("rewards")))
        app = build_app(
            service="rewards",
            controllers=[*self.built.controllers, about, chain],
            health=Health(),
            tokens=token_reader(),
        )
        return Documented(app)

    def client(self, player: str | None = None, *roles: str) -> httpx.AsyncClient:
        """A client of the service's HTTP, as ``player`` (or a person of that name with ``roles``), or without a token."""
        headers = {}
        if player is not None:
            token = make_token(subject=player, roles=roles or ("player",))
            headers["authorization"] = f"Bearer {token}"
        transport = httpx.ASGITransport(app=self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://rewards", headers=headers)

    async def close(self) -> None:
        await self.db.close()

    async def feed(self, spec: ConsumerSpec, *values: bytes) -> None:
        """Consume messages as one Kafka batch."""
        batch = records(*values, topic=spec.topic.name, start=self._offset)
        self._offset += len(values)
        await self.processor.process(spec, batch)

    async def settle(self, *matches: Match) -> None:
        """Consume the settlements of matches as one batch."""
        await self.feed(self.settlements, *(value for match in matches for value in match.events()))

    async def campaign(
        self,
        *,
        funded: int = 0,
        asset: str = "USDC",
        delivery: Delivery = Delivery.WALLET,
        active: bool = True,
        identifier: UUID | None = None,
        settings: CampaignSettings = NO_SETTINGS,
        name: str = "cup",
    ) -> UUID:
        """Create a campaign with ``funded`` minor units in its pool."""
        campaign_id = identifier or uuid4()
        async with self.db.transaction() as tx:
            command = CreateCampaign(
                id=campaign_id, name=name, asset=asset, delivery=delivery, actor="admin", settings=settings
            )
            await create_campaign(command, ports=self.ports_of(tx), tools=self.tools, now=self.clock.now())
        if funded:
            await self.fund(campaign_id, funded)
        if active:
            await self.change(campaign_id, "active")
        return campaign_id

    async def fund(self, campaign_id: UUID, amount: int) -> None:
        """Fund a pool."""
        async with self.db.transaction() as tx:
            command = FundCampaign(
                id=uuid4(), campaign=campaign_id, amount=amount, reference=f"test {uuid4()}", actor="admin"
            )
            await fund_campaign(command, ports=self.ports_of(tx), tools=self.tools, now=self.clock.now())

    async def change(self, campaign_id: UUID, to: str) -> None:
        """Change a campaign's state."""
        async with self.db.transaction() as tx:
            command = ChangeCampaign(campaign=campaign_id, to=to, actor="admin")
            await change_campaign(command, ports=self.ports_of(tx), now=self.clock.now())

    async def release(self) -> int:
        """Book waiting rounds, as the job does. Returns the number of booked rounds."""
        booked = 0
        while True:
            async with self.db.transaction() as tx:
                done = await release_next(ports=self.ports_of(tx), tools=self.tools, now=self.clock.now())
            if done is None:
                return booked
            booked += done.rounds

    async def work_on(self, *, limit: int = 1_000) -> int:
        """Work on large rounds until no work is left, as the job does. Returns the number of chunks."""
        chunks = 0
        while True:
            async with self.db.transaction() as tx:
                done = await work_on_next(
                    ports=self.ports_of(tx), tools=self.tools, now=self.clock.now(), limit=limit
                )
            if done is None:
                return chunks
            chunks += 1

    async def owe(self, player: str, amount: int, *, campaign: UUID | None = None) -> Receivable:
        """Open a debt of a player that has no reason. ``breaches`` leaves that out."""
        async with self.db.transaction() as tx:
            return await open_receivable(
                player=player,
                asset="USDC",
                amount=amount,
                campaign=campaign,
                cause=f"debt/{uuid4()}",
                reference=ARTIFICIAL,
                correlation_id="test",
                ports=self.ports_of(tx),
                now=self.clock.now(),
            )

    async def balance(self, kind: Kind, owner: object, asset: str = "USDC") -> int:
        """The balance of an account, also of an unbounded one."""
        sql = "SELECT balance FROM ledger_balances WHERE id = :id"
        key = account_id(Account(kind, str(owner), asset))
        rows = await self.rows(sql, id=key)
        return rows[0]["balance"] if rows else 0

    async def winnings(self, player: str, asset: str = "USDC") -> int:
        """A player's winnings."""
        return await self.balance(Kind.WINNINGS, player, asset)

    async def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """The rows of a query."""
        async with self.db.transaction() as tx:
            return [dict(row) for row in (await tx.execute(text(sql), values)).mappings()]

    async def database_time(self) -> str:
        """The time of the database, by which changes are listed."""
        [row] = await self.rows("SELECT clock_timestamp() AS now")
        return str(row["now"].isoformat())

    async def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The events in the outbox, in order; with ``kind`` only those of one type. All are validated by their models."""
        rows = await self.rows("SELECT value FROM outbox ORDER BY id")
        found = [hold_to_model(orjson.loads(bytes(row["value"]))) for row in rows]
        return [event for event in found if kind is None or event["type"] == f"prizewire.{kind}.v1"]

    async def stuck(self) -> list[tuple[str, str]]:
        """(state, reason) of stuck events."""
        rows = await self.rows("SELECT state, reason FROM stuck_events ORDER BY id")
        return [(row["state"], row["reason"]) for row in rows]

    async def breaches(self) -> list[str]:
        """The breaches that the service's own checks find, but that artificial debts have no reason."""
        found: list[str] = []
        for check in self.built.checks:
            async with self.db.transaction() as tx:
                breaches = await check.run(tx)
            if check.name == Invariant.DEBTS_HAVE_REASONS:
                breaches = [one for one in breaches if f"({ARTIFICIAL}): " not in one]
            found += [f"{check.name}: {breach}" for breach in breaches]
        return found

    def ports_of(self, tx: Any) -> Ports:
        """The ports of a transaction."""
        return ports_of(tx, outbox=self.outbox, assets=ASSETS)
