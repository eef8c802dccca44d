"""The records as a worker uses them: claim a request, read records under locks, bind and record, store signatures.

Locks are taken in the order work, slot, payouts (sorted), limits (sorted). An absent row cannot be locked: the guarded statements
of ``record`` detect a row that appears between reading and writing, and raise ``BindingRace``, so that the whole decision
is taken again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import batch_of
from prizewire_money import Amount
from prizewire_signer.domain.commands import SigningRequest
from prizewire_signer.domain.judge import DigestFacts, Facts, PayoutFacts, SlotFacts, uncounted, unseen
from prizewire_signer.domain.model import VOID_SLOT, AssetLimits, Signature, Transaction
from prizewire_signer.domain.states import PayoutState, SlotState, WorkState
from prizewire_signer.errors import BindingRace
from prizewire_signer.ports import RecordedDigest, Work
from prizewire_signer.storage.history import add_transitions, free_due
from prizewire_signer.storage.limits import SCOPE_AGAIN, SCOPE_DAY, day_of, reserve, use_of


class SqlSigningStore:
    """``ports.SigningStore`` over one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def claim(self, *, now: datetime, lease_s: int) -> int | None:
        """Lease the oldest request that is due, skipping those that other workers lease or that this one has postponed;
        returns its id and reads nothing else of it.
        """
        batch = batch_of(self._tx)
        batch.limit(1)
        for work_id in await batch.claim(self._tx, _CLAIM, {"now": now, "without": batch.without}):
            await self._tx.execute(_LEASE, {"id": work_id, "until": now + timedelta(seconds=lease_s)})
        return None if batch.key is None else int(batch.key)

    async def digest(self, tx_hash: bytes) -> DigestFacts | None:
        """A digest recorded before."""
        rows = (await self._tx.execute(_DIGEST, {"hash": tx_hash})).all()
        if not rows:
            return None
        return DigestFacts(
            slot_id=rows[0].slot_id,
            kind=rows[0].kind,
            max_time=rows[0].max_time,
            payout_ids=tuple(row.payout_id for row in rows if row.payout_id is not None),
        )

    async def facts(
        self, *, work: Work, request: SigningRequest, assets: Sequence[str], now: datetime
    ) -> Facts:
        """The records about a request's slot, payouts and limits, locked until the transaction ends. Payouts of closed
        slots that are due are freed first, with the work as the cause.
        """
        slot_id = request.slot.slot_id
        slot = (await self._tx.execute(_SLOT, {"slot": slot_id})).one_or_none()
        count = (await self._tx.execute(_DIGEST_COUNT, {"slot": slot_id, "voiding": VOID_SLOT})).one()
        ids = sorted(request.payout_ids)
        freed = await free_due(self._tx, ids, now=now)
        await add_transitions(
            self._tx,
            machine="payout",
            edges=[(str(payout_id), PayoutState.BOUND, PayoutState.FREE) for payout_id in freed],
            cause=work.event_id,
            correlation_id=str(slot_id),
            now=now,
        )
        wanted = {"ids": ids, "slot": slot_id, "day": day_of(now)}
        payouts = (await self._tx.execute(_PAYOUTS, wanted)).all()
        used = await use_of(self._tx, [SCOPE_AGAIN, SCOPE_DAY], assets, day=day_of(now))
        return Facts(
            slot=None
            if slot is None
            else SlotFacts(state=SlotState(slot.state), digests=count.digests, voids=count.voids),
            payouts={
                row.payout_id: PayoutFacts(
                    state=PayoutState(row.state),
                    slot_id=row.slot_id,
                    slots_used=row.slots_used,
                    terms=None if row.terms is None else bytes(row.terms),
                    free_at=row.free_at,
                    counted=row.counted,
                    slots_elsewhere=row.elsewhere,
                    asset=row.asset,
                    minor=row.amount_minor,
                )
                for row in payouts
            },
            day_used={asset: minor for (scope, asset), minor in used.items() if scope == SCOPE_DAY},
            again_used={asset: minor for (scope, asset), minor in used.items() if scope == SCOPE_AGAIN},
        )

    async def record(
        self,
        *,
        work: Work,
        request: SigningRequest,
        transaction: Transaction,
        facts: Facts,
        amounts: Mapping[UUID, Amount],
        limits: Mapping[str, AssetLimits],
        now: datetime,
    ) -> None:
        """Bind the payouts to the slot, reserve the limits and record the digest.

        Raises:
            BindingRace: a row that ``facts`` did not find exists now.
        """
        if facts.slot is None:
            await self._expect(1, _SLOT_INSERT, asdict(request.slot))
        fresh = sorted(unseen(request, facts))
        await self._bind(request, facts, amounts, fresh, now)
        await self.count(request=request, facts=facts, amounts=amounts, limits=limits, now=now)
        await self._expect(1, _DIGEST_INSERT, _digest_row(work, request, transaction, now))
        await self._tx.execute(
            _DIGEST_PAYOUTS_INSERT, {"hash": transaction.tx_hash, "ids": list(request.payout_ids)}
        )
        await self._remember(work, request, facts, now)

    async def count(
        self,
        *,
        request: SigningRequest,
        facts: Facts,
        amounts: Mapping[UUID, Amount],
        limits: Mapping[str, AssetLimits],
        now: datetime,
    ) -> None:
        """Count the payouts into the day's limits that are not counted for this slot today.

        Raises:
            BindingRace: a limit was used up since ``facts``.
        """
        counted = sorted(uncounted(request, facts))
        if not counted:
            return
        await self._raise_use(
            SCOPE_AGAIN,
            [amounts[payout_id] for payout_id, again in counted if again],
            {code: limit.again_minor_max for code, limit in limits.items()},
            now,
        )
        await self._raise_use(
            SCOPE_DAY,
            [amounts[payout_id] for payout_id, _ in counted],
            {code: limit.day_minor_max for code, limit in limits.items()},
            now,
        )
        await self._tx.execute(
            _COUNTS_INSERT,
            {
                "slot": request.slot.slot_id,
                "day": day_of(now),
                "ids": [payout_id for payout_id, _ in counted],
                "agains": [again for _, again in counted],
                "assets": [amounts[payout_id].asset.code for payout_id, _ in counted],
                "amounts": [amounts[payout_id].minor for payout_id, _ in counted],
            },
        )

    async def advance(
        self, *, work: Work, state: WorkState, tx_hash: bytes | None, ready_at: datetime, now: datetime
    ) -> None:
        """Move a claimed request on; it is due again at ``ready_at`` unless it is finished."""
        finished = now if state in (WorkState.COMPLETED, WorkState.REFUSED) else None
        await self._tx.execute(
            _ADVANCE,
            {"id": work.work_id, "state": state, "hash": tx_hash, "ready": ready_at, "finished": finished},
        )

    async def lock(self, work_id: int) -> Work | None:
        """Lock a leased request; None once it has been answered."""
        row = (await self._tx.execute(_LOCK, {"id": work_id})).one_or_none()
        return None if row is None else _work(row)

    async def recorded(self, tx_hash: bytes) -> RecordedDigest:
        """A recorded digest with the signatures made so far."""
        rows = (await self._tx.execute(_RECORDED, {"hash": tx_hash})).all()
        return RecordedDigest(
            tx_hash=tx_hash,
            signatures=tuple(
                Signature(public_key=bytes(row.public_key), signature=bytes(row.signature)) for row in rows
            ),
        )

    async def store_signatures(
        self, *, tx_hash: bytes, signatures: Sequence[Signature], now: datetime
    ) -> None:
        """Store signatures; existing ones are not changed."""
        await self._tx.execute(
            _SIGNATURES_INSERT,
            {
                "hash": tx_hash,
                "keys": [one.public_key for one in signatures],
                "signatures": [one.signature for one in signatures],
                "now": now,
            },
        )

    async def _bind(
        self,
        request: SigningRequest,
        facts: Facts,
        amounts: Mapping[UUID, Amount],
        fresh: Sequence[UUID],
        now: datetime,
    ) -> None:
        slot_id = request.slot.slot_id
        terms = {item.payout_id: item.intent.terms for item in request.items}
        if fresh:
            rows = {
                "slot": slot_id,
                "ids": list(fresh),
                "terms": [terms[payout_id] for payout_id in fresh],
                "assets": [amounts[payout_id].asset.code for payout_id in fresh],
                "amounts": [amounts[payout_id].minor for payout_id in fresh],
                "day": day_of(now),
            }
            await self._expect(len(fresh), _PAYOUTS_INSERT, rows)
        free = _in_state(facts, PayoutState.FREE)
        if free:
            await self._expect(len(free), _PAYOUTS_REBIND, {"slot": slot_id, "ids": sorted(free)})

    async def _raise_use(
        self, scope: str, amounts: Sequence[Amount], ceilings: Mapping[str, int], now: datetime
    ) -> None:
        used: dict[str, int] = {}
        for amount in amounts:
            used[amount.asset.code] = used.get(amount.asset.code, 0) + amount.minor
        if await reserve(self._tx, scope, used, ceilings, day=day_of(now)) != len(used):
            raise BindingRace("a limit was used up between the decision and its record")

    async def _remember(self, work: Work, request: SigningRequest, facts: Facts, now: datetime) -> None:
        correlation_id = str(request.slot.slot_id)
        if facts.slot is None:
            await add_transitions(
                self._tx,
                machine="slot",
                edges=[(str(request.slot.slot_id), "", SlotState.OPEN)],
                cause=work.event_id,
                correlation_id=correlation_id,
                now=now,
            )
        edges = [(str(payout_id), "", PayoutState.BOUND) for payout_id in unseen(request, facts)]
        edges += [
            (str(payout_id), PayoutState.FREE, PayoutState.BOUND)
            for payout_id in _in_state(facts, PayoutState.FREE)
        ]
        await add_transitions(
            self._tx,
            machine="payout",
            edges=edges,
            cause=work.event_id,
            correlation_id=correlation_id,
            now=now,
        )

    async def _expect(self, rows: int, statement: Any, parameters: Mapping[str, Any]) -> None:
        """Run a guarded statement that must touch exactly this many rows."""
        result = await self._tx.execute(statement, parameters)
        if len(result.all()) != rows:
            raise BindingRace("a row changed between the decision and its record")


def _in_state(facts: Facts, state: PayoutState) -> list[UUID]:
    return [payout_id for payout_id, known in facts.payouts.items() if known.state is state]


def _work(row: Row[Any]) -> Work:
    return Work(
        work_id=row.id,
        event_id=row.event_id,
        subject=row.subject,
        payload=bytes(row.payload),
        event_time=row.event_time,
        received_at=row.received_at,
        state=WorkState(row.state),
        tx_hash=None if row.tx_hash is None else bytes(row.tx_hash),
    )


def _digest_row(
    work: Work, request: SigningRequest, transaction: Transaction, now: datetime
) -> dict[str, Any]:
    approval = {name: value for name, value in asdict(request.approval).items() if name != "fault"}
    return {
        "hash": transaction.tx_hash,
        "slot": request.slot.slot_id,
        "revision": request.revision,
        "work": work.work_id,
        "kind": request.kind,
        "max_time": request.max_time,
        "fee": transaction.fee,
        "fee_cap": request.fee_cap,
        "approval": orjson.dumps(approval).decode(),
        "now": now,
    }


_WORK_COLUMNS = "id, event_id, subject, payload, event_time, received_at, state, tx_hash"
_CLAIM = text(
    "SELECT id FROM signing_work WHERE state IN ('queued', 'recorded') AND ready_at <= :now "
    "AND NOT (id = ANY(CAST(:without AS bigint[]))) ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
)
_LOCK = text(
    f"SELECT {_WORK_COLUMNS} FROM signing_work WHERE id = :id AND state IN ('queued', 'recorded') FOR UPDATE"  # noqa: S608 - a constant
)
_LEASE = text("UPDATE signing_work SET ready_at = :until WHERE id = :id")
_ADVANCE = text(
    "UPDATE signing_work SET state = :state, tx_hash = :hash, ready_at = :ready, finished_at = :finished "
    "WHERE id = :id"
)
_DIGEST = text(
    "SELECT d.slot_id, d.kind, d.max_time, p.payout_id FROM digests d LEFT JOIN digest_payouts p USING (tx_hash) "
    "WHERE d.tx_hash = :hash ORDER BY p.op"
)
_SLOT = text("SELECT state FROM slots WHERE slot_id = :slot FOR UPDATE")
_DIGEST_COUNT = text(
    "SELECT count(*) FILTER (WHERE kind <> :voiding) AS digests, count(*) FILTER (WHERE kind = :voiding) AS voids "
    "FROM digests WHERE slot_id = :slot"
)
# A count of a payout that was signed on another slot counts only as such.
_PAYOUTS = text(
    "SELECT p.payout_id, p.state, p.slot_id, p.slots_used, p.terms, p.asset, p.amount_minor, p.free_at, e.elsewhere, "
    "EXISTS (SELECT 1 FROM limit_counts c WHERE c.payout_id = p.payout_id AND c.slot_id = :slot AND c.slot_id = p.slot_id "
    "AND c.day = :day AND (c.again OR e.elsewhere = 0)) AS counted "
    "FROM payouts p CROSS JOIN LATERAL (SELECT count(DISTINCT d.slot_id) AS elsewhere FROM digest_payouts i "
    "JOIN digests d USING (tx_hash) WHERE i.payout_id = p.payout_id AND d.slot_id <> :slot) e "
    "WHERE p.payout_id = ANY(CAST(:ids AS uuid[])) ORDER BY p.payout_id FOR UPDATE OF p"
)
_SLOT_INSERT = text(
    "INSERT INTO slots (slot_id, chain, account, sequence, state) "
    "VALUES (:slot_id, :chain, :account, :sequence, 'open') ON CONFLICT DO NOTHING RETURNING slot_id"
)
_PAYOUTS_INSERT = text(
    "INSERT INTO payouts (payout_id, state, slot_id, slots_used, terms, asset, amount_minor, counted_on) "
    "SELECT u.payout_id, 'bound', CAST(:slot AS uuid), 1, u.terms, u.asset, u.amount, CAST(:day AS date) "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:terms AS bytea[]), CAST(:assets AS text[]), CAST(:amounts AS bigint[])) "
    "AS u(payout_id, terms, asset, amount) ORDER BY u.payout_id ON CONFLICT DO NOTHING RETURNING payout_id"
)
_PAYOUTS_REBIND = text(
    "UPDATE payouts SET state = 'bound', slot_id = CAST(:slot AS uuid), slots_used = slots_used + 1 "
    "WHERE payout_id = ANY(CAST(:ids AS uuid[])) AND state = 'free' RETURNING payout_id"
)
_COUNTS_INSERT = text(
    "INSERT INTO limit_counts (payout_id, slot_id, day, asset, amount_minor, again) "
    "SELECT u.payout_id, CAST(:slot AS uuid), CAST(:day AS date), u.asset, u.amount, u.again "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:assets AS text[]), CAST(:amounts AS bigint[]), "
    "CAST(:agains AS boolean[])) AS u(payout_id, asset, amount, again)"
)
_DIGEST_INSERT = text(
    "INSERT INTO digests (tx_hash, slot_id, revision, work_id, kind, max_time, fee, fee_cap, approval, recorded_at) "
    "VALUES (:hash, :slot, :revision, :work, :kind, :max_time, :fee, :fee_cap, CAST(:approval AS jsonb), :now) "
    "ON CONFLICT DO NOTHING RETURNING tx_hash"
)
_DIGEST_PAYOUTS_INSERT = text(
    "INSERT INTO digest_payouts (tx_hash, op, payout_id) SELECT :hash, u.n - 1, u.payout_id "
    "FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS u(payout_id, n)"
)
_RECORDED = text("SELECT public_key, signature FROM signatures WHERE tx_hash = :hash ORDER BY position")
_SIGNATURES_INSERT = text(
    "INSERT INTO signatures (tx_hash, position, public_key, signature, signed_at) "
    "SELECT :hash, u.n, u.public_key, u.signature, CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:keys AS bytea[]), CAST(:signatures AS bytea[])) WITH ORDINALITY "
    "AS u(public_key, signature, n) ON CONFLICT DO NOTHING"
)
