"""A whole settlement over a real PostgreSQL: batches in, events out, HTTP beside it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

from httpx import AsyncClient
from pydantic import SecretStr
from sqlalchemy import text

from prizewire_chassis.audit import Audit, AuditTable, newest_published
from prizewire_chassis.clock import ManualClock
from prizewire_chassis.db import Database
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.http.audit_routes import audit_controller
from prizewire_chassis.http.service_routes import service_controller
from prizewire_chassis.inbox import BatchProcessor
from prizewire_chassis.lifecycle import Built, Runtime
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.stuck_events import StuckEvents
from prizewire_chassis.testing import (
    FakeRecord,
    event_bytes,
    hold_to_model,
    make_key,
    make_token,
    make_trust,
    token_reader,
)
from prizewire_contracts.decode import decode
from prizewire_contracts.ids import round_id
from prizewire_contracts.topics import MATCHES, REWARDS, SETTLEMENTS
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.components.postgres import DatabaseUrls
from prizewire_devstack.home import repository_root
from prizewire_settlement.settings import Settings
from services.settlement.tests.fakes import CAMPAIGN, KEY, NOW, SOURCE


def open_runtime(urls: DatabaseUrls, *, now: datetime, **more: Any) -> Runtime:
    """A runtime with keys made for tests, and a clock that the test moves."""
    settings = Settings(
        database_url=SecretStr(urls.runtime),
        kafka_sasl_password=SecretStr("unused"),
        message_key_file=Path("unused"),
        trust_file=Path("unused"),
        assets_file=repository_root() / "assets.yaml",
        **more,
    )
    clock = ManualClock(now)
    db = Database(urls.runtime, application_name="settlement-test", pool_size=12)
    key, trust = make_key("settlement"), make_trust()
    outbox = Outbox(service="settlement", key=key, clock=clock)
    return Runtime(
        service="settlement",
        settings=settings,
        clock=clock,
        db=db,
        key=key,
        trust=trust,
        outbox=outbox,
        audit=Audit(service="settlement", outbox=outbox, clock=clock),
        processor=BatchProcessor(db=db, trust=trust, clock=clock),
        health=Health(),
    )


def competition_body(**changes: Any) -> dict[str, Any]:
    """Signed reports only, 100.00 EURC to three places, the default fees."""
    return {
        "id": "cup",
        "name": "Cup",
        "campaign": str(
            CAMPAIGN if changes.get("asset", "EURC") == "EURC" else uuid5(CAMPAIGN, changes["asset"])
        ),
        "asset": "EURC",
        "gross_prize": "100.00",
        "organizer_player": "org",
        "template": {"name": "top3"},
        "sources": [
            {
                "source": SOURCE,
                "keys": [
                    {
                        "keyid": KEY.keyid,
                        "public_key": KEY.public_key,
                        "not_before": "2026-01-01T00:00:00Z",
                        "not_after": "2027-01-01T00:00:00Z",
                    }
                ],
            }
        ],
        **changes,
    }


def results(*players: str) -> list[dict[str, Any]]:
    return [{"player": player, "place": place} for place, player in enumerate(players, start=1)]


def match_event(kind: str, match_id: str = "m1", **changes: Any) -> bytes:
    """A match event as a game server sends it, signed by its key unless ``key`` says otherwise."""
    data = {"match_id": match_id, "competition": "cup", **changes.pop("data", {})}
    if kind in ("completed", "corrected"):
        data.setdefault("results", results("ann", "bob", "cyd"))
    if kind in ("corrected", "voided"):
        data.setdefault("reason", "a judge said so")
    if kind == "corrected":
        data.setdefault("result_version", 2)
    key: MessageKey | None = changes.pop("key", KEY)
    attributes: dict[str, Any] = {
        "source": SOURCE,
        "subject": match_id,
        "correlationid": f"corr-{match_id}",
        "time": NOW.isoformat(),
        **changes,
    }
    return event_bytes(
        topic=MATCHES.name, kind=f"prizewire.match.{kind}.v1", data=data, key=key, **attributes
    )


def rewards_event(kind: str, subject: object, *, version: int = 1, **data: Any) -> bytes:
    """A signed event of rewards."""
    return event_bytes(
        topic=REWARDS.name,
        kind=f"prizewire.{kind}.v1",
        source="/prizewire/rewards",
        subject=str(subject),
        data=data,
        key=make_key("rewards"),
        correlationid=str(subject),
        aggregateversion=version,
    )


def campaign_event(
    campaign: object, *, asset: str = "EURC", state: str = "active", version: int = 1
) -> bytes:
    """``campaign.created``, or with a higher version ``campaign.state_changed``."""
    data = {
        "campaign": str(campaign),
        "name": "autumn",
        "asset": asset,
        "state": state,
        "delivery": "wallet",
        "actor": "ada",
    }
    kind = "campaign.created" if version == 1 else "campaign.state_changed"
    return rewards_event(kind, campaign, version=version, **data)


def refused_event(
    match_id: str = "m1", *, version: int = 1, at: int = 1, code: str = "asset_mismatch"
) -> bytes:
    """``round.refused`` of a settlement ``version``, as the event number ``at`` of its round."""
    found = subject_of(match_id)
    data = {
        "round_id": str(found),
        "settlement_version": version,
        "part": 1,
        "code": code,
        "detail": "the campaign is in another asset",
    }
    return rewards_event("round.refused", found, version=at, **data)


def disowned_event(match_id: str = "m1", **changes: Any) -> bytes:
    """``round.disowned`` of the round of a match."""
    disownment = changes.pop("subject", uuid4())
    data = {
        "round_id": str(subject_of(match_id)),
        "disownment_id": str(disownment),
        "reason": "it was forged",
    }
    return rewards_event("round.disowned", disownment, **{**data, **changes})


@dataclass
class Service:
    """One settlement process: its database, consumers, jobs and HTTP."""

    runtime: Runtime
    built: Built
    urls: DatabaseUrls
    offset: int = 0
    client: AsyncClient = field(init=False)

    @property
    def db(self) -> Database:
        return self.runtime.db

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.runtime.clock, ManualClock)
        return self.runtime.clock

    @property
    def stuck_events(self) -> StuckEvents:
        return StuckEvents(
            db=self.db, processor=self.runtime.processor, specs=self.built.specs, clock=self.clock
        )

    def app(self) -> Any:
        about = service_controller(
            service="settlement",
            db=self.db,
            stuck=self.stuck_events,
            lineage=self.built.lineage,
            checks=self.built.checks,
            audit=self.runtime.audit,
        )
        chain = audit_controller(db=self.db, table=AuditTable("settlement", newest_published("settlement")))
        return build_app(
            service="settlement",
            controllers=[*self.built.controllers, about, chain],
            health=self.runtime.health,
            tokens=token_reader(),
            api_tokens=self.built.api_tokens,
        )

    def as_(self, *roles: str, subject: str = "olga") -> dict[str, str]:
        return {"authorization": f"Bearer {make_token(subject=subject, roles=roles)}"}

    async def create(self, **changes: Any) -> dict[str, Any]:
        """A competition over a campaign in its asset that settlement knows."""
        body = competition_body(**changes)
        if body["campaign"] != str(CAMPAIGN):
            await self.know(campaign_event(body["campaign"], asset=body["asset"]))
        answer = await self.client.post("/api/competitions", json=body, headers=self.as_("admin"))
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def records(self, *values: bytes) -> list[FakeRecord]:
        found = [FakeRecord(MATCHES.name, 0, self.offset + n, value) for n, value in enumerate(values)]
        self.offset += len(values)
        return found

    async def take(self, *values: bytes) -> None:
        """Process one batch of match events."""
        await self.runtime.processor.process(self.built.specs[0], self.records(*values))

    async def create_rule(self, **changes: Any) -> None:
        """The next rule of `cup`."""
        body = competition_body(**changes)
        answer = await self.client.put("/api/competitions/cup", json=body, headers=self.as_("admin"))
        assert answer.status_code == 200, answer.text

    async def know(self, *values: bytes) -> None:
        """Process one batch of rewards' events."""
        found = [FakeRecord(REWARDS.name, 0, self.offset + n, value) for n, value in enumerate(values)]
        self.offset += len(values)
        await self.runtime.processor.process(self.built.specs[1], found)

    async def events(self) -> list[Any]:
        """Every event about rounds so far, verified as a consumer would, and held to its model."""
        rows = await self.rows(f"SELECT value FROM outbox WHERE topic = '{SETTLEMENTS.name}' ORDER BY id")
        found = [decode(topic=SETTLEMENTS, value=bytes(row.value), trust=self.runtime.trust) for row in rows]
        for one in found:
            hold_to_model(one.raw)
        return [one.event for one in found]

    async def stuck(self) -> list[tuple[str, str]]:
        """State and reason of every stuck event, in order."""
        rows = await self.rows("SELECT state, reason FROM stuck_events ORDER BY id")
        return [(row.state, row.reason) for row in rows]

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        async with self.db.transaction() as tx:
            return list(await tx.execute(text(sql), values))

    async def columns(self, table: str) -> list[str]:
        """The columns of a table, in their order."""
        statement = (
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name = :table ORDER BY ordinal_position"
        )
        return [row.column_name for row in await self.rows(statement, table=table)]

    async def count(self, table: str) -> int:
        return int((await self.rows(f"SELECT count(*) AS n FROM {table}"))[0].n)

    async def round(self, match_id: str = "m1", source: str = SOURCE) -> dict[str, Any]:
        found = round_id(source=source, match_id=match_id)
        answer = await self.client.get(f"/api/rounds/{found}", headers=self.as_("operator"))
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def breaches(self) -> dict[str, list[str]]:
        """The breaches that the service's own checks find."""
        found = {}
        for check in self.built.checks:
            async with self.db.transaction() as tx:
                if breaches := await check.run(tx):
                    found[check.name] = breaches
        return found

    async def finalize(self) -> bool:
        return await self.job("rounds.finalize")

    async def job(self, name: str) -> bool:
        """Run a job once."""
        (found,) = (job for job in self.built.jobs if job.name == name)
        return await found.run()


Opener = Callable[..., Any]


def line_amounts(body: dict[str, Any]) -> dict[str, str]:
    return {line["player"]: line["amount"] for line in body["lines"]}


def subject_of(match_id: str) -> UUID:
    return round_id(source=SOURCE, match_id=match_id)
