"""Controllers read in a transaction, and do each action once, audited, or not at all."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from litestar import Request, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.router import Router
from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.health import Health
from prizewire_chassis.http import (
    Action,
    ErrorStatuses,
    HttpContext,
    OptionalKey,
    RequiredKey,
    build_app,
    cursor_key,
    page_limit,
)
from prizewire_chassis.http.answers import AnswerModel, Id, PageOf
from prizewire_chassis.http.cursors import number
from prizewire_chassis.testing import make_token, token_reader

BY_NUMBER = cursor_key(number(0, 2**63 - 1))


class EffectError(Exception):
    """What the rules of this test service refuse."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Effects:
    """The effects, over one transaction: unit of work and queries at once."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def add(self, identifier: UUID, note: str) -> None:
        await self._tx.execute(
            text("INSERT INTO effects (event_id, note) VALUES (:id, :note)"),
            {"id": str(identifier), "note": note},
        )
        if note == "refused":
            raise EffectError("note_refused", "this note is refused")

    async def after(self, number: int, limit: int) -> list[Any]:
        found = await self._tx.execute(
            text("SELECT n, event_id, note FROM effects WHERE n > :n ORDER BY n LIMIT :limit"),
            {"n": number, "limit": limit},
        )
        return list(found)

    async def one(self, identifier: UUID) -> Any:
        found = await self._tx.execute(
            text("SELECT n, event_id, note FROM effects WHERE event_id = :id"), {"id": str(identifier)}
        )
        row = found.one_or_none()
        if row is None:
            raise EffectError("effect_not_found", f"there is no effect {identifier}")
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(HttpContext[Effects, Effects]):
    """A context with a member of the service's own."""

    greeting: str


class NewEffect(BaseModel):
    note: Annotated[str, Field(examples=["a note"])]


class EffectAnswer(AnswerModel):
    """An effect. ``secret`` is shown to the request that made it."""

    id: Id
    note: Annotated[str, Field(examples=["a note"])]
    secret: Annotated[str | None, Field(examples=[None])]


@post("/effects", guards=[require(Role.ADMIN)], refusals={422: ("note_refused",)})
async def create(
    context: NamedDependency[Context],
    data: JSONBody[NewEffect],
    request: Request[Principal, Any, Any],
    key: RequiredKey = None,
) -> Response[EffectAnswer]:
    return await _create(context, data, request.user, key=key, key_required=True)


@post("/loose", guards=[require(Role.ADMIN)])
async def create_loosely(
    context: NamedDependency[Context],
    data: JSONBody[NewEffect],
    request: Request[Principal, Any, Any],
    key: OptionalKey = None,
) -> Response[EffectAnswer]:
    return await _create(context, data, request.user, key=key, key_required=False)


async def _create(
    context: Context, data: NewEffect, caller: Principal, *, key: str | None, key_required: bool
) -> Response[EffectAnswer]:
    async def make(action: Action[Effects, Effects]) -> tuple[int, EffectAnswer]:
        await action.unit_of_work.add(action.id, data.note)
        await action.record("effect.created", target=str(action.id), reason=data.note)
        return 201, EffectAnswer(id=action.id, note=f"{context.greeting} {data.note}", secret=None)

    return await context.once(
        make,
        answers=EffectAnswer,
        actor=caller,
        route="POST /effects",
        key=key,
        body=data.model_dump(mode="json"),
        key_required=key_required,
        shown_once={"secret": "hush"},
    )


@post("/always", guards=[require(Role.ADMIN)])
async def change(
    context: NamedDependency[Context], data: JSONBody[NewEffect], request: Request[Principal, Any, Any]
) -> EffectAnswer:
    async def add(action: Action[Effects, Effects]) -> EffectAnswer:
        await action.unit_of_work.add(action.id, data.note)
        return EffectAnswer(id=action.id, note=data.note, secret=None)

    return await context.change(add, actor=request.user)


@get("/effects")
async def listing(
    context: NamedDependency[Context],
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
) -> PageOf[str]:
    size, after = page_limit(limit), BY_NUMBER.read(cursor)
    start = 0 if after is None else after[0]
    found = await context.read(lambda queries: queries.after(start, size))
    return BY_NUMBER.page(found, limit=size, key=lambda row: (row.n,), show=lambda row: row.note)


@get("/effects/{effect_id:uuid}", refusals={404: ("effect_not_found",)})
async def show(context: NamedDependency[Context], effect_id: FromPath[UUID]) -> EffectAnswer:
    row = await context.read(lambda queries: queries.one(effect_id))
    return EffectAnswer(id=effect_id, note=row.note, secret=None)


@pytest.fixture
async def client(db, clock, outbox):
    context = Context(
        db=db,
        clock=clock,
        audit=Audit(service="payouts", outbox=outbox, clock=clock),
        errors=ErrorStatuses(errors=(EffectError,), by_code={"effect_not_found": 404}, default=422),
        unit_of_work=Effects,
        queries=Effects,
        greeting="hello",
    )
    routes = Router(
        path="/",
        route_handlers=[create, create_loosely, change, listing, show],
        dependencies={"context": Provide(lambda: context, sync_to_thread=False)},
    )
    app = build_app(service="test", controllers=[routes], health=Health(), tokens=token_reader())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=transport,
        base_url="http://service.test",
        headers={"authorization": f"Bearer {make_token(subject='ada', roles=['admin'])}"},
    ) as opened:
        yield opened


async def rows(db, table: str) -> list[Any]:
    async with db.transaction() as tx:
        return list(await tx.execute(text(f"SELECT * FROM {table}")))


async def test_a_repeated_request_is_done_once(client, db):
    """Under one key there is one effect and one audit record; the answer says that it is a repetition."""
    first, again = [
        await client.post("/effects", json={"note": "a"}, headers={"idempotency-key": "k"}) for _ in range(2)
    ]
    assert (first.status_code, again.status_code) == (201, 201)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert {**first.json(), "secret": None} == again.json()
    assert [row.event_id for row in await rows(db, "effects")] == [first.json()["id"]]
    (record,) = await rows(db, "audit_log")
    assert (record.actor, record.action, record.target) == ("ada", "effect.created", first.json()["id"])


async def test_twenty_at_once_have_one_effect(client, db):
    """Concurrent requests under one key wait for the first, and get its answer."""
    sent = [client.post("/effects", json={"note": "a"}, headers={"idempotency-key": "k"}) for _ in range(20)]
    answers = await asyncio.gather(*sent)
    assert {answer.status_code for answer in answers} == {201}
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 19
    assert len(await rows(db, "effects")) == 1


async def test_a_secret_is_shown_once_and_never_stored(client, db):
    """The first answer shows it, a repeated one does not, and no row holds it."""
    first, again = [
        await client.post("/effects", json={"note": "a"}, headers={"idempotency-key": "k"}) for _ in range(2)
    ]
    assert (first.json()["secret"], again.json()["secret"]) == ("hush", None)
    assert "hush" not in str(await rows(db, "idempotency_keys"))


async def test_another_body_under_the_key_is_a_conflict(client, db):
    """The second request changes nothing."""
    await client.post("/effects", json={"note": "a"}, headers={"idempotency-key": "k"})
    answer = await client.post("/effects", json={"note": "b"}, headers={"idempotency-key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert len(await rows(db, "effects")) == 1


async def test_without_its_key_nothing_is_done(client, db):
    """A route that requires the key refuses a request without it; one that does not has its effect at each call."""
    refused = await client.post("/effects", json={"note": "a"})
    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_required")
    assert await rows(db, "effects") == []
    first, second = [await client.post("/loose", json={"note": "a"}) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]
    assert first.json()["secret"] == second.json()["secret"] == "hush"
    assert len(await rows(db, "effects")) == 2
    assert await rows(db, "idempotency_keys") == []


async def test_a_domain_error_rolls_everything_back(client, db):
    """The refusal has its code and status; neither effect nor key nor audit record stay, so the key may be used again."""
    for path in ("/effects", "/loose", "/always"):
        refused = await client.post(path, json={"note": "refused"}, headers={"idempotency-key": "k"})
        assert (refused.status_code, refused.json()["code"]) == (422, "note_refused"), path
        assert refused.json()["detail"] == "this note is refused"
    for table in ("effects", "idempotency_keys", "audit_log"):
        assert await rows(db, table) == [], table
    again = await client.post("/effects", json={"note": "a"}, headers={"idempotency-key": "k"})
    assert again.status_code == 201


async def test_a_change_is_done_at_each_call(client, db):
    """Without a key there is one effect for each request, each under an id of its own."""
    first, second = [await client.post("/always", json={"note": "a"}) for _ in range(2)]
    assert first.json()["id"] != second.json()["id"]
    assert len(await rows(db, "effects")) == 2


async def test_a_listing_is_read_page_by_page(client):
    """Each page begins behind the last row of the one before; the last has no cursor."""
    for note in "abcde":
        await client.post("/always", json={"note": note})
    seen, cursor = [], None
    while True:
        query = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        page = (await client.get("/effects", params=query)).json()
        seen.append(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [["a", "b"], ["c", "d"], ["e"]]
    refused = await client.get("/effects", params={"cursor": "bm8"})
    assert (refused.status_code, refused.json()["code"]) == (400, "cursor_invalid")


async def test_a_query_refuses_with_its_status(client):
    """A domain error of a reading route is answered as one of an action is."""
    answer = await client.get(f"/effects/{UUID(int=7)}")
    assert (answer.status_code, answer.json()["code"]) == (404, "effect_not_found")
