"""The signer's audit records: kept in their order, served to admins, and a missing or changed one is seen."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.audit import GENESIS, ChainReader, link_hash
from prizewire_chassis.db import Database
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.http.audit_routes import audit_controller
from prizewire_chassis.testing import event_bytes, make_key, records, token_reader
from prizewire_contracts.ids import event_id
from prizewire_contracts.topics import AUDIT
from prizewire_payouts.signer_audit.consumers import signer_audit_spec
from prizewire_payouts.signer_audit.storage import CHECKS, RECORDS, signer_audit_lineage
from services.payouts.tests.http import as_
from services.payouts.tests.rig import START, Rig

KIND = "prizewire.audit.recorded.v1"


def chain(count: int, *, service: str = "signer") -> list[dict[str, Any]]:
    """A whole chain of so many records."""
    made: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        made.append(record(number, prev=made[-1]["hash"] if made else GENESIS, service=service))
    return made


def record(number: int, *, prev: str, service: str = "signer", **changes: Any) -> dict[str, Any]:
    """A record with the hash of its content."""
    bare = {
        "service": service,
        "sequence": number,
        "at": (START + timedelta(seconds=number)).isoformat().replace("+00:00", "Z"),
        "actor": "signer",
        "action": "signing.refused",
        "target": f"slot-{number}",
        "reason": "over_limit",
        "detail": {"revision": 1, "items": []},
        "correlation_id": f"slot-{number}",
        "prev_hash": prev,
        **changes,
    }
    return {**bare, "hash": link_hash(bare)}


def event(data: dict[str, Any], *, version: int | None = None) -> bytes:
    """The event of a record, signed by its service."""
    service, number = data["service"], version or data["sequence"]
    source = f"/prizewire/{service}"
    return event_bytes(
        topic=AUDIT.name,
        kind=KIND,
        source=source,
        subject=service,
        data=data,
        key=make_key(service),
        id=str(event_id(source=source, subject=service, version=number, kind=KIND)),
        aggregateversion=number,
        correlationid=data["correlation_id"],
        time=START.isoformat(),
    )


class Kept:
    """The consumer over a rig."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.spec = signer_audit_spec()
        self._start = 0

    async def feed(self, *events: bytes) -> None:
        await self.rig.processor.process(self.spec, records(*events, topic=AUDIT.name, start=self._start))
        self._start += len(events)

    async def numbers(self) -> list[int]:
        return [
            row.sequence
            for row in await self.rig.rows("SELECT sequence FROM signer_audit_records ORDER BY 1")
        ]

    async def breaches(self) -> list[str]:
        async with self.rig.db.transaction() as tx:
            return [breach for check in CHECKS for breach in await check.run(tx)]


@pytest.fixture
def kept(rig: Rig) -> Kept:
    return Kept(rig)


@pytest.fixture
async def client(rig: Rig):
    app = build_app(
        service="payouts",
        controllers=[audit_controller(db=rig.db, table=RECORDS)],
        health=Health(),
        tokens=token_reader(),
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as opened:
        yield opened


async def test_the_signers_records_are_kept_and_served(rig, kept, client):
    """Each is served as it was published, so its hash can be computed; records of other services are not kept."""
    whole = chain(3)
    await kept.feed(event(chain(1, service="rewards")[0]), *map(event, whole))
    await kept.feed(event(whole[2]))
    answer = await client.get("/api/services/signer/audit", headers=as_("ada", "admin"))
    assert answer.json()["items"] == whole
    head = await client.get("/api/services/signer/audit/head", headers=as_("ada", "admin"))
    assert head.json() == {"service": "signer", "sequence": 3, "hash": whole[2]["hash"], "published": 3}
    assert (await client.get("/api/services/signer/audit", headers=as_("op", "operator"))).status_code == 403
    assert await rig.stuck() == []
    assert await kept.breaches() == []
    assert len(await rig.rows("SELECT 1 FROM inbox WHERE consumer = 'payouts.audit'")) == 3
    async with rig.db.transaction() as tx:
        (step,) = await signer_audit_lineage(tx, "slot-2")
    assert (step.service, step.summary) == ("signer", "signing refused by signer: over_limit")


async def test_records_behind_a_missing_one_wait(rig, kept, client):
    """The gap is a stuck event and a breach, and the head shows up to where records came; the missing record ends it."""
    one, two, three = chain(3)
    await kept.feed(event(one), event(three))
    assert await kept.numbers() == [1]
    assert await rig.stuck() == [("parked", "version_gap")]
    assert await kept.breaches() == [
        "audit record 2 of signer to 3 are missing at the end, although published"
    ]
    head = await client.get("/api/services/signer/audit/head", headers=as_("ada", "admin"))
    assert (head.json()["sequence"], head.json()["published"]) == (1, 3)
    await kept.feed(event(two))
    await kept.feed(event(three))
    assert (await kept.numbers())[:2] == [1, 2]


@pytest.mark.parametrize(
    "second",
    [
        lambda one: {**record(2, prev=one["hash"]), "target": "another"},
        lambda one: record(2, prev="ab" * 32),
        lambda one: record(2, prev=one["hash"], service="rewards"),
        lambda one: record(7, prev=one["hash"]),
    ],
    ids=["changed", "other-past", "other-service", "other-number"],
)
async def test_a_record_that_does_not_continue_the_chain_is_parked(rig, kept, second):
    """The signer's signature is not enough: content, number and link must fit, and what comes later waits."""
    one = chain(1)[0]
    wrong = second(one)
    signed = event({**wrong, "service": "signer"}, version=2) if wrong["service"] == "signer" else None
    if signed is None:
        source = "/prizewire/signer"
        signed = event_bytes(
            topic=AUDIT.name,
            kind=KIND,
            source=source,
            subject="signer",
            data=wrong,
            key=make_key("signer"),
            id=str(event_id(source=source, subject="signer", version=2, kind=KIND)),
            aggregateversion=2,
            correlationid="c",
            time=START.isoformat(),
        )
    await kept.feed(event(one), signed, event(record(3, prev=wrong["hash"])))
    assert await kept.numbers() == [1]
    assert await rig.stuck() == [("parked", "event_mismatch"), ("parked", "subject_parked")]


async def test_a_record_that_another_service_signed_is_refused(rig, kept):
    """A writer of the topic without the key of the signer adds nothing."""
    forged = event_bytes(
        topic=AUDIT.name,
        kind=KIND,
        source="/prizewire/signer",
        subject="signer",
        data=chain(1)[0],
        key=make_key("webhooks"),
        id="e-1",
        aggregateversion=1,
        correlationid="c",
        time=START.isoformat(),
    )
    await kept.feed(forged)
    assert await kept.numbers() == []
    assert [state for state, _ in await rig.stuck()] == ["dead"]


async def test_kept_records_are_never_changed(rig, kept):
    """The table refuses it even of its owner; what is changed past the trigger is found by the check and by a reader."""
    await kept.feed(*map(event, chain(3)))
    owner = Database(rig.urls.migration, application_name="owner")
    try:
        for change in ("UPDATE signer_audit_records SET actor = 'x'", "DELETE FROM signer_audit_records"):
            with pytest.raises(DBAPIError):
                async with owner.transaction() as tx:
                    await tx.execute(text(change))
        async with owner.transaction() as tx:
            await tx.execute(text("ALTER TABLE signer_audit_records DISABLE TRIGGER USER"))
            await tx.execute(text("UPDATE signer_audit_records SET actor = 'x' WHERE sequence = 2"))
            await tx.execute(text("DELETE FROM signer_audit_records WHERE sequence = 3"))
    finally:
        await owner.close()
    changed, cut = await kept.breaches()
    assert changed.startswith("audit record 2 of signer is not the record that was written")
    assert cut == "audit record 3 of signer is missing at the end, although published"
    assert ChainReader("signer").breaks == []


async def test_a_row_that_does_not_continue_the_chain_is_refused(rig, kept):
    """With the service's login, nobody can put a row where the signer's next record belongs; the record itself fits."""
    first, second = chain(2)
    await kept.feed(event(first))
    forged = (
        "INSERT INTO signer_audit_records (sequence, at, actor, action, target, reason, detail, correlation_id, prev_hash, hash) "
        "VALUES (:sequence, now(), 'x', 'x', 'x', NULL, '{}', 'x', :prev_hash, :hash)"
    )
    for values in (
        {"sequence": 2, "prev_hash": "0" * 64, "hash": "1" * 64},
        {"sequence": 3, "prev_hash": first["hash"], "hash": "1" * 64},
        {"sequence": 2, "prev_hash": first["hash"], "hash": "none"},
    ):
        with pytest.raises(DBAPIError, match="does not continue the chain"):
            async with rig.db.transaction() as tx:
                await tx.execute(text(forged), values)
    await kept.feed(event(second))
    assert await kept.numbers() == [1, 2]
