"""A real database, the real sandbox, and a signer that signs what it is asked."""

import hashlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from stellar_sdk import Asset, Keypair, TransactionEnvelope

from prizewire_chassis.clock import SystemClock
from prizewire_chassis.db import Database
from prizewire_chassis.inbox import BatchProcessor
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.settings import load_assets
from prizewire_chassis.testing import make_key, make_trust, records
from prizewire_contracts import ids
from prizewire_contracts.decode import decode
from prizewire_contracts.encode import EncodedEvent, encode
from prizewire_contracts.events.signing import (
    Closed,
    ClosedEvent,
    CloseRefused,
    CloseRefusedEvent,
    CloseRequestedEvent,
    DecoratedSignature,
    ItemRefusal,
    SigningCompleted,
    SigningCompletedEvent,
    SigningRefused,
    SigningRefusedEvent,
    SigningRequested,
    SigningRequestedEvent,
    SlotClosed,
    SlotClosedEvent,
)
from prizewire_contracts.intents import AllowedWay, Intent
from prizewire_contracts.rails import PayoutInstruction, PayoutReference, ProviderResult
from prizewire_contracts.topics import SIGNING_REQUESTS
from prizewire_devstack.components.processes import ProcessSpec, Supervisor, base_environment
from prizewire_devstack.components.stellar import PASSPHRASE, StellarChain
from prizewire_devstack.home import repository_root
from prizewire_devstack.ports import LOOPBACK, choose
from prizewire_devstack.testing import DatabaseFactory
from prizewire_devstack.waiting import eventually
from prizewire_money import Amount
from prizewire_payouts.stellar.adapters.rpc import StellarRpc
from prizewire_payouts.stellar.adapters.transactions import StellarTransactions
from prizewire_payouts.stellar.build import StellarParts, Tuning, build_stellar
from prizewire_payouts.stellar.handlers.building import Options, build_leased
from prizewire_payouts.stellar.handlers.delivering import (
    confirm_sent,
    expire_unsigned,
    resolve_checking,
    send_signed,
)
from prizewire_payouts.stellar.ports import ChainRpc
from prizewire_payouts.stellar.storage.execution import Execution
from prizewire_payouts.stellar.storage.leases import LeaseStorage
from prizewire_payouts.stellar.storage.outcomes import OutcomeStorage
from prizewire_payouts.stellar.storage.provider import StellarProvider

LEDGER_INTERVAL_MS = 250
PLAYERS = 18
CHANNELS = 4
POLL = timedelta(milliseconds=100)


def _keypair(label: str) -> Keypair:
    return Keypair.from_raw_ed25519_seed(hashlib.sha256(f"payouts test {label}".encode()).digest())


ISSUER = _keypair("issuer")
TREASURY = _keypair("treasury")
CHANNEL_KEYS = [_keypair(f"channel {index}") for index in range(CHANNELS)]
PLAYER_KEYS = [_keypair(f"player {index}") for index in range(PLAYERS)]
WANTS_MEMO = _keypair("player whose account asks for memos")
NO_LINE = _keypair("player without a trustline")
NOWHERE = _keypair("an account that does not exist")
USDC = Asset("USDC", ISSUER.public_key)


class Sandbox:
    """The sandbox and its routes for tests."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.chain = StellarChain(url=url)

    def arm(self, **counts: int) -> None:
        httpx.post(f"{self.url}/sandbox/faults", json=counts, trust_env=False, timeout=600).raise_for_status()

    def faults(self) -> dict[str, int]:
        answer: dict[str, int] = httpx.get(f"{self.url}/sandbox/faults", trust_env=False, timeout=600).json()
        return answer

    def payments(self) -> list[dict[str, Any]]:
        """Every payment that the treasury made, as the ledger has it."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            answer = httpx.get(
                f"{self.url}/sandbox/payments",
                params={"account": TREASURY.public_key, "after": after, "limit": 1000},
                trust_env=False,
                timeout=600,
            ).json()
            if not answer["payments"]:
                return [one for one in found if one["from"] == TREASURY.public_key]
            found += answer["payments"]
            after = answer["next"]


@pytest.fixture(scope="session")
def sandbox(devstack_directory: Path, devstack_supervisor: Supervisor) -> Iterator[Sandbox]:
    """One sandbox for the session: issuer, treasury, channels, players with trustlines."""
    directory = devstack_directory / "stellar-payouts"
    directory.mkdir(parents=True, exist_ok=True)
    port = choose(taken=set())
    devstack_supervisor.start(
        ProcessSpec(
            name="stellar-payouts",
            argv=(
                *(sys.executable, "-m", "prizewire_stellar_sandbox", "serve", "--host", LOOPBACK),
                *("--port", str(port), "--state", str(directory / "ledger.db"), "--passphrase", PASSPHRASE),
                *("--ledger-interval-ms", str(LEDGER_INTERVAL_MS)),
            ),
            environment=base_environment(),
            log_file=directory / "log",
            directory=directory,
        )
    )
    sandbox = Sandbox(f"http://{LOOPBACK}:{port}")
    devstack_supervisor.wait_until("stellar-payouts", sandbox.chain.is_ready, deadline_s=600)
    _found_accounts(sandbox.chain)
    yield sandbox
    devstack_supervisor.stop("stellar-payouts")


def _found_accounts(chain: StellarChain) -> None:
    for keypair in (ISSUER, TREASURY, NO_LINE):
        chain.fund(keypair.public_key)
    treasury = TREASURY.public_key
    builder = chain.builder(treasury)
    builder.append_change_trust_op(USDC, source=treasury)
    builder.append_payment_op(treasury, USDC, "1000000", source=ISSUER.public_key)
    for keypair in CHANNEL_KEYS:
        builder.append_create_account_op(keypair.public_key, "10", source=treasury)
    for keypair in (*PLAYER_KEYS, WANTS_MEMO):
        builder.append_create_account_op(keypair.public_key, "5", source=treasury)
    chain.wait(chain.send(builder, TREASURY, ISSUER))
    builder = chain.builder(treasury)
    for keypair in (*PLAYER_KEYS, WANTS_MEMO):
        builder.append_change_trust_op(USDC, source=keypair.public_key)
    chain.wait(chain.send(builder, TREASURY, *PLAYER_KEYS, WANTS_MEMO))


@dataclass
class Signer:
    """Signs what it is asked, binds payouts to slots and lets them go again as the real one does. ``deaf`` does not
    listen, ``refuse`` answers refusals by payout id, ``refuse_voids`` refuses the kind; ``digests_max`` is its cap of
    payments on a slot.
    """

    processed: int = 0
    versions: dict[str, int] = field(default_factory=dict)
    deaf: bool = False
    refuse: dict[UUID, str] = field(default_factory=dict)
    refuse_all: str | None = None
    refuse_voids: str | None = None
    digests_max: int = 32
    bound: dict[UUID, UUID] = field(default_factory=dict)
    free_at: dict[UUID, int] = field(default_factory=dict)
    digests: dict[UUID, dict[str, list[UUID]]] = field(default_factory=dict)
    paid: set[UUID] = field(default_factory=set)
    counter: int = 0
    requests: list[SigningRequested] = field(default_factory=list)
    closed: list[SlotClosedEvent] = field(default_factory=list)

    def answer(self, value: bytes) -> EncodedEvent | None:
        event = decode(topic=SIGNING_REQUESTS, value=value, trust=make_trust()).event
        if isinstance(event, SlotClosedEvent):
            self.closed.append(event)
            self._close(event.data)
            return None
        if isinstance(event, CloseRequestedEvent):
            return self._tombstone(event)
        assert isinstance(event, SigningRequestedEvent)
        request = event.data
        self.requests.append(request)
        make_trust().verify(
            keyid=request.approval.key_id,
            service="payouts",
            use="approval",
            message=request.approval.signing_bytes(),
            signature=request.approval_signature,
            at=event.time,
        )
        self.counter += 1
        version = self.versions[event.subject] = self.versions.get(event.subject, 0) + 1
        common = {
            "request_id": request.request_id,
            "slot": request.slot,
            "revision": request.revision,
            "tx_hash": request.tx_hash,
            "counter": self.counter,
        }
        named = [
            ItemRefusal(payout_id=item.payout_id, code=code, not_before=self.free_at.get(item.payout_id))
            for item in request.items
            if (code := self._item_fault(item.payout_id, request)) is not None
        ]
        code = self._fault(request)
        if named or code:
            data: Any = SigningRefused(code=code or named[0].code, items=named, **common)
            model: Any = SigningRefusedEvent
        else:
            model = SigningCompletedEvent
            payouts = [item.payout_id for item in request.items]
            self.bound.update(dict.fromkeys(payouts, request.slot.slot_id))
            self.digests.setdefault(request.slot.slot_id, {})[request.tx_hash] = payouts
            data = SigningCompleted(
                signatures=self._sign(request), payout_ids=payouts, max_time=request.max_time, **common
            )
        return encode(
            model,
            data,
            service="signer",
            subject=event.subject,
            version=version,
            correlation_id=event.correlationid,
            causation_id=event.id,
            now=datetime.now(UTC),
            key=make_key("signer"),
        )

    @property
    def held(self) -> set[UUID]:
        """Payouts whose slot is open, or that were paid on it."""
        return set(self.bound) - set(self.free_at)

    def _item_fault(self, payout_id: UUID, request: SigningRequested) -> str | None:
        self._free_due(payout_id)
        if self.bound.get(payout_id, request.slot.slot_id) != request.slot.slot_id:
            return "payout_waits" if payout_id in self.free_at else "payout_bound_elsewhere"
        return self.refuse.get(payout_id)

    def _free_due(self, payout_id: UUID) -> None:
        if self.free_at.get(payout_id, 2**62) <= datetime.now(UTC).timestamp():
            del self.bound[payout_id], self.free_at[payout_id]

    def _fault(self, request: SigningRequested) -> str | None:
        on_slot = self.digests.get(request.slot.slot_id, {})
        if request.kind == "void_slot":
            return self.refuse_voids or (None if on_slot else "slot_unknown")
        full = sum(1 for payouts in on_slot.values() if payouts) >= self.digests_max
        return "digests_over_cap" if full else self.refuse_all

    def _close(self, closed: SlotClosed) -> None:
        """Success keeps that digest's payouts bound for ever; all else is free once no digest can pay it."""
        on_slot = self.digests.get(closed.slot.slot_id, {})
        if closed.result != "expired":
            assert closed.consumed_by_hash in on_slot, "a digest that was never signed"
        paid = set(on_slot[closed.consumed_by_hash]) if closed.result == "succeeded" else set()  # type: ignore[index] # asserted above
        self.paid |= paid
        for payout_id in [one for one, slot in self.bound.items() if slot == closed.slot.slot_id]:
            if payout_id not in paid:
                over = [
                    one.max_time
                    for one in self.requests
                    if one.tx_hash in on_slot and payout_id in on_slot[one.tx_hash]
                ]
                self.free_at[payout_id] = max(over) + 1
                self._free_due(payout_id)

    def _tombstone(self, event: CloseRequestedEvent) -> EncodedEvent:
        payout_id = event.data.payout_id
        self.counter += 1
        version = self.versions[event.subject] = self.versions.get(event.subject, 0) + 1
        self._free_due(payout_id)
        model: Any = ClosedEvent
        data: Any = Closed(payout_id=payout_id, counter=self.counter)
        if payout_id in self.bound:
            slot = next(one.slot for one in self.requests if one.slot.slot_id == self.bound[payout_id])
            model, data = (
                CloseRefusedEvent,
                CloseRefused(payout_id=payout_id, slot=slot, not_before=self.free_at.get(payout_id)),
            )
        return encode(
            model,
            data,
            service="signer",
            subject=event.subject,
            version=version,
            correlation_id=event.correlationid,
            causation_id=event.id,
            now=datetime.now(UTC),
            key=make_key("signer"),
        )

    def _sign(self, request: SigningRequested) -> list[DecoratedSignature]:
        envelope = TransactionEnvelope.from_xdr(request.xdr, PASSPHRASE)
        assert envelope.hash_hex() == request.tx_hash
        keys = {keypair.public_key: keypair for keypair in [*CHANNEL_KEYS, TREASURY]}
        signers = {envelope.transaction.source.account_id}
        if request.kind == "payment":
            signers.add(TREASURY.public_key)
        return [
            DecoratedSignature(
                public_key=keys[name].raw_public_key().hex(),
                signature=keys[name].sign(bytes.fromhex(request.tx_hash)).hex(),
            )
            for name in sorted(signers)
        ]


class Storage(LeaseStorage, OutcomeStorage):
    """Both storages of attempts, so that a test can wrap them as one."""


class World:
    """One payouts database with an execution over it, which can be thrown away and built again at any moment."""

    def __init__(self, *, database_url: str, migration_url: str, sandbox: Sandbox, tuning: Tuning) -> None:
        self.migration_url = migration_url
        self.sandbox = sandbox
        self.signer = Signer()
        self.tuning = tuning
        self.clock = SystemClock()
        self.key = make_key("payouts")
        self.db = Database(database_url, application_name="test", pool_size=6)
        self.outbox = Outbox(service="payouts", key=self.key, clock=self.clock)
        self.processor = BatchProcessor(db=self.db, trust=make_trust(), clock=self.clock)
        self.assets = load_assets(repository_root() / "assets.yaml")
        self.already = len(sandbox.payments())
        self.news: list[UUID] = []
        self.words: list[str] = []
        self.wrap_store: Callable[[Any], Any] = lambda store: store
        self.wrap_rpc: Callable[[ChainRpc], ChainRpc] = lambda rpc: rpc
        self._opened: list[StellarParts] = []
        self._rpcs: list[StellarRpc] = []
        self.restart()

    @property
    def execution(self) -> Execution:
        """What the present process executes with."""
        return self.parts.execution

    def restart(self) -> None:
        """A new process over the same rows: nothing of the old objects is used again."""
        runtime: Any = SimpleNamespace(
            db=self.db, outbox=self.outbox, clock=self.clock, key=self.key, trust=make_trust()
        )
        settings: Any = SimpleNamespace(
            soroban_rpc_url=self.sandbox.url,
            stellar_network_passphrase=PASSPHRASE,
            payout_source_account=TREASURY.public_key,
            stellar_channel_accounts=",".join(keypair.public_key for keypair in CHANNEL_KEYS),
            stellar_assets=f"USDC:{ISSUER.public_key},XLM",
            payouts_max_gas_stroops=2_000_000,
            payouts_confirm_poll_ms=int(POLL.total_seconds() * 1000),
            assets_file=repository_root() / "assets.yaml",
        )
        self.parts = build_stellar(
            runtime,
            settings,
            rail_name="stellar",
            on_closed=self._on_word,
            on_close_refused=self._on_word,
            on_progress=self._on_progress,
            tuning=self.tuning,
        )
        self._opened.append(self.parts)
        real = StellarRpc(self.sandbox.url)
        self._rpcs.append(real)
        self.rpc: ChainRpc = self.wrap_rpc(real)
        provider = StellarProvider(self.execution, assets=load_assets(settings.assets_file), rpc=self.rpc)
        self.parts = replace(self.parts, provider=provider)
        self.store: Any = self.wrap_store(Storage(self.execution))
        self.maker = StellarTransactions(network_passphrase=PASSPHRASE, treasury=TREASURY.public_key)
        self.options = Options(valid=self.tuning.valid, poll=POLL, node_pause=POLL, rest=timedelta(seconds=1))

    async def close(self) -> None:
        for parts in self._opened:
            await parts.close()
        for rpc in self._rpcs:
            await rpc.close()
        await self.db.close()

    async def _on_progress(self, tx: AsyncConnection, payout_ids: Sequence[UUID], now: datetime) -> None:
        self.news += payout_ids

    async def _on_word(self, tx: AsyncConnection, incoming: Any) -> bool:
        self.words.append(incoming.event.type)
        return True

    # Payouts

    async def payout(
        self,
        destination: str,
        cents: int,
        *,
        memo: str | None = None,
        asset: str = "USDC",
        correlation_id: str | None = None,
    ) -> PayoutInstruction:
        """A payout as the lifecycle leaves it when it has committed an attempt."""
        payout_id, correlation = uuid4(), correlation_id or str(uuid4())
        amount = Amount(self.assets[asset], cents)
        now = self.clock.now()
        intent = Intent(
            v=2,
            network=PASSPHRASE,
            payout_id=str(payout_id),
            correlation_id=correlation,
            player="player",
            campaign="campaign",
            competition="spring-cup",
            source="/games/arena",
            quote=None,
            funding_account=None,
            debit_asset=asset,
            debit_amount=amount.to_wire(),
            pay_asset=asset,
            pay_amount=amount.to_wire(),
            allowed=(
                AllowedWay(rail="stellar", destination=destination, memo=memo, amount_max=amount.to_wire()),
            ),
            issued_at=int(now.timestamp()),
            expires_at=int(now.timestamp()) + 3600,
            key_id=make_key("rewards").keyid,
        )
        async with self.db.transaction() as tx:
            await tx.execute(
                _PAYOUT,
                {
                    "id": payout_id,
                    "correlation": correlation,
                    "asset": asset,
                    "minor": cents,
                    "address": destination,
                    "memo": memo,
                    "intent": orjson.dumps(asdict(intent)).decode(),
                    "signature": make_key("rewards").sign(intent.signing_bytes()),
                    "now": now,
                },
            )
        return PayoutInstruction(
            payout_id=payout_id,
            attempt_no=1,
            provider_key=ids.provider_key(payout_id=payout_id, attempt_no=1),
            correlation_id=str(uuid4()),
            amount=amount,
            method_type="stellar",
            details={"address": destination, "memo": memo},
            memo=memo,
        )

    async def submit(self, instructions: Sequence[PayoutInstruction]) -> list[ProviderResult]:
        return [await self.parts.provider.create_payout(one, now=self.clock.now()) for one in instructions]

    async def results(self, instructions: Sequence[PayoutInstruction]) -> list[ProviderResult]:
        return [
            await self.parts.provider.sync_status(reference_of(one), now=self.clock.now())
            for one in instructions
        ]

    # Steps

    async def pump(self) -> int:
        """Let the signer read what is new in the outbox and take its answers in."""
        if self.signer.deaf:
            return 0
        async with self.db.transaction() as tx:
            rows = (
                await tx.execute(
                    text("SELECT id, value FROM outbox WHERE id > :after AND topic = :topic ORDER BY id"),
                    {"after": self.signer.processed, "topic": SIGNING_REQUESTS.name},
                )
            ).all()
        for row in rows:
            answer = self.signer.answer(bytes(row.value))
            if answer is not None:
                await self.take(answer, offset=row.id)
            self.signer.processed = row.id
        return len(rows)

    async def take(self, event: EncodedEvent, *, offset: int) -> None:
        """Consume an answer of the signer, through the real batch processor."""
        (spec,) = self.parts.specs
        await self.processor.process(spec, records(event, topic=spec.topic.name, start=offset))

    async def tick(self) -> None:
        """Every job once, in an order of its own."""
        now = self.clock.now
        common: dict[str, Any] = {"store": self.store, "rpc": self.rpc, "options": self.options}
        await self.store.lease(now=now())
        await build_leased(maker=self.maker, now=now(), **common)
        await self.pump()
        await send_signed(now=now(), **common)
        await confirm_sent(now=now(), **common)
        await resolve_checking(store=self.store, rpcs=[self.rpc], options=self.options, now=now())
        await expire_unsigned(now=now(), **common)

    async def run_until(self, condition: Callable[[], Awaitable[object]], *, deadline_s: float = 30) -> None:
        async def ticked() -> bool:
            await self.tick()
            return bool(await condition())

        await eventually(ticked, deadline_s=deadline_s, poll_s=0.02)

    async def settled(self, instructions: Sequence[PayoutInstruction]) -> bool:
        """Whether every payment has ended."""
        found = await self.results(instructions)
        return all(one.outcome in ("paid", "no_effect") for one in found)

    def paid(self) -> list[tuple[str, int, str]]:
        """What the ledger says that the treasury paid since this world began: (recipient, stroops, memo)."""
        made = self.sandbox.payments()[self.already :]
        return sorted((one["to_muxed"] or one["to"], int(one["amount"]), one["memo"] or "") for one in made)

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        async with self.db.transaction() as tx:
            return list((await tx.execute(text(sql), values)).all())

    async def states(self) -> list[tuple[int, str]]:
        """(revision, state) of every attempt, oldest first."""
        found = await self.rows("SELECT revision, state FROM stellar_attempts ORDER BY attempt_id")
        return [(row.revision, row.state) for row in found]

    async def breaches(self) -> list[str]:
        async with self.db.transaction() as tx:
            return [breach for check in self.parts.checks for breach in await check.run(tx)]


_PAYOUT = text(
    "INSERT INTO payouts (payout_id, correlation_id, causation_id, player, campaign, asset, amount_minor, "
    "method_type, rail_type, address, memo, filed_by, reward_ids, intent, intent_signature, intent_expires_at, "
    "needs_closure, state, attempts, hold_no, approvers_needed, expiry_told, version, close_version, polls, "
    "requested_at, changed_at) VALUES (:id, :correlation, 'test', 'player', 'campaign', :asset, :minor, 'stellar', "
    "'stellar', :address, :memo, 'rewards', '[]', CAST(:intent AS jsonb), :signature, "
    "CAST(:now AS timestamptz) + interval '1 hour', true, 'requested', 1, 0, 0, false, 0, 0, 0, :now, :now)"
)


def again(instruction: PayoutInstruction) -> PayoutInstruction:
    """The next attempt of the same payout, as the lifecycle would commit it."""
    number = instruction.attempt_no + 1
    key = ids.provider_key(payout_id=instruction.payout_id, attempt_no=number)
    return replace(instruction, attempt_no=number, provider_key=key)


def reference_of(instruction: PayoutInstruction) -> PayoutReference:
    return PayoutReference(
        payout_id=instruction.payout_id,
        attempt_no=instruction.attempt_no,
        provider_key=instruction.provider_key,
        amount=instruction.amount,
    )


@pytest.fixture
def make_world(make_database: DatabaseFactory, sandbox: Sandbox) -> Callable[..., World]:
    """A function that makes a world over a fresh database."""
    return partial(_make_world, make_database, sandbox)


@pytest.fixture(scope="module")
def make_module_world(make_module_database: DatabaseFactory, sandbox: Sandbox) -> Callable[..., World]:
    """As `make_world`, for a world that all tests of a module share."""
    return partial(_make_world, make_module_database, sandbox)


def _make_world(
    make_database: DatabaseFactory,
    sandbox: Sandbox,
    *,
    valid_s: float = 60,
    linger_ms: int = 0,
    digests_max: int = 32,
    kind: type[World] = World,
) -> World:
    urls = make_database("payouts", migrated=True)
    tuning = Tuning(
        linger=timedelta(milliseconds=linger_ms),
        valid=timedelta(seconds=valid_s),
        idle=timedelta(milliseconds=200),
        digests_max=digests_max,
    )
    return kind(database_url=urls.runtime, migration_url=urls.migration, sandbox=sandbox, tuning=tuning)


@pytest.fixture
async def world(make_world: Callable[..., World], sandbox: Sandbox) -> AsyncIterator[World]:
    """A world with generous time bounds."""
    made = make_world()
    yield made
    await made.close()
    sandbox.arm(lose_answer=0, try_again_later=0, not_found=0)


@pytest.fixture
async def narrow_world(make_world: Callable[..., World], sandbox: Sandbox) -> AsyncIterator[World]:
    """A hasty world that voids a slot after two revisions."""
    made = make_world(valid_s=2, digests_max=2)
    yield made
    await made.close()
    sandbox.arm(lose_answer=0, try_again_later=0, not_found=0)


@pytest.fixture
async def hasty_world(make_world: Callable[..., World], sandbox: Sandbox) -> AsyncIterator[World]:
    """A world whose transactions are valid for two seconds."""
    made = make_world(valid_s=2)
    yield made
    await made.close()
    sandbox.arm(lose_answer=0, try_again_later=0, not_found=0)
