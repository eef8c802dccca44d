"""The checks and the watches of the invariants. Each query returns breaches as sentences.

Tables grow without limit, so a query reads a slice of its subjects by an index. A check reads slice after slice until the
end. A watch reads one slice in each run, and the next run continues after it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.assets import amount_sql
from prizewire_chassis.checks import Check
from prizewire_rewards.checks.invariants import Invariant, WatchResult
from prizewire_rewards.checks.questions import ACCOUNTS, PAYOUTS_SIGNED, QUESTIONS, Question
from prizewire_rewards.payouts.ports import IntentVerifier
from prizewire_rewards.payouts.storage.payouts import open_payouts
from prizewire_rewards.rounds.domain.commands import StagedParts

BREACHES_MAX = 50
SLICE_WEIGHT = 20_000
"""The most subjects of one slice. A round counts its lines."""
TAIL_MAX = 500_000
"""The most transfers after the checkpoint that one run of a watch adds up."""
STRIDE = 500_000
"""The transfers that one statement of the check of the whole ledger adds up."""
FIRST = UUID(int=0)
PARTS_WAIT_S = 900
"""The default of the setting ``parts_wait_s``, in seconds."""


# A sum over the balances of all accounts. Transfers are not read.
_ASSETS = f"""
    SELECT NULL AS id, format('all accounts in %s sum to %s', b.asset, {amount_sql("b.total", "b.asset")})
    FROM (SELECT asset, sum(balance) AS total FROM ledger_balances GROUP BY asset HAVING sum(balance) <> 0) b
"""

# One statement, so that sums, checkpoint, later transfers and balances are of one snapshot. Accounts with transfers after
# the checkpoint are always checked.
_SINCE_CHECKPOINT = f"""
    WITH tail AS MATERIALIZED (
        SELECT leg.account, sum(leg.delta) AS total FROM (
            SELECT debit_account AS account, -amount AS delta FROM ledger_transfers
            WHERE seq > (SELECT seq FROM ledger_checkpoint)
            UNION ALL SELECT credit_account, amount FROM ledger_transfers
            WHERE seq > (SELECT seq FROM ledger_checkpoint)
        ) leg GROUP BY leg.account
    ), these AS MATERIALIZED (SELECT unnest(CAST(:ids AS uuid[])) AS id UNION SELECT account FROM tail)
    SELECT b.id, format('%s of %s holds %s, its transfers make %s', b.kind, b.owner, {amount_sql("b.balance", "b.asset")},
                        {amount_sql("(coalesce(s.total, 0) + coalesce(t.total, 0))", "b.asset")})
    FROM these JOIN ledger_balances b ON b.id = these.id
    LEFT JOIN ledger_sums s ON s.account = b.id LEFT JOIN tail t ON t.account = b.id
    WHERE b.balance <> coalesce(s.total, 0) + coalesce(t.total, 0)
"""
_LAG = text(
    "SELECT seq, coalesce((SELECT max(seq) FROM ledger_transfers), 0) - seq AS behind FROM ledger_checkpoint"
)
_STRIDE = text(
    "SELECT leg.account, sum(leg.delta) AS total FROM ("
    "SELECT debit_account AS account, -amount AS delta FROM ledger_transfers WHERE seq > :after AND seq <= :upto "
    "UNION ALL SELECT credit_account, amount FROM ledger_transfers WHERE seq > :after AND seq <= :upto"
    ") leg GROUP BY leg.account"
)
_TOP = text("SELECT coalesce(max(seq), 0) FROM ledger_transfers")
_BALANCES = text(
    "SELECT id, kind, owner, asset, balance FROM ledger_balances WHERE id = ANY (CAST(:ids AS uuid[]))"
)
_DESCRIBE = text(f"SELECT {amount_sql('CAST(:amount AS numeric)', 'CAST(:asset AS text)')}")
_SUM_UP = text("SELECT summed, behind FROM ledger_sum_up(:rows_max)")
# A plan that was made while the tables were small must not scan whole tables later.
_BY_INDEX = text("SET LOCAL enable_seqscan = off")


Breaches = Sequence[tuple[UUID | None, str]]
"""Breaches as (subject, sentence)."""
Ask = Callable[[AsyncConnection, Sequence[UUID]], Awaitable[Breaches]]
"""Finds the breaches of subjects."""


class Slice(NamedTuple):
    """Subjects in the order of their ids. ``last``: there are no more."""

    ids: list[UUID]
    last: bool


async def _slice(tx: AsyncConnection, subjects: str, *, after: UUID, weight: int) -> Slice:
    rows = await tx.execute(
        text(
            f"SELECT id, weight FROM ({subjects}) s WHERE id > CAST(:after AS uuid) ORDER BY id LIMIT :limit"
        ),
        {"after": after, "limit": weight + 1},
    )
    ids: list[UUID] = []
    left = weight
    for row in rows:
        if ids and row.weight > left:
            return Slice(ids, last=False)
        ids.append(row.id)
        left -= row.weight
    return Slice(ids, last=True)


async def _ask(tx: AsyncConnection, sql: str, **values: Any) -> Breaches:
    rows = await tx.execute(text(f"{sql} LIMIT {BREACHES_MAX}"), values)
    return [(row[0], str(row[1])) for row in rows]


def _by_sql(question: Question) -> Ask:
    async def ask(tx: AsyncConnection, ids: Sequence[UUID]) -> Breaches:
        return await _ask(tx, question.breaches, ids=ids)

    return ask


def _by_signature(intents: IntentVerifier) -> Ask:
    async def ask(tx: AsyncConnection, ids: Sequence[UUID]) -> Breaches:
        found = [(payout.id, intents.problem_of(payout)) for payout in await open_payouts(tx, ids)]
        wrong = [(key, f"payout {key}: its stored intent: {problem}") for key, problem in found if problem]
        return list(wrong[:BREACHES_MAX])

    return ask


async def _check_slices(tx: AsyncConnection, *, question: Question, ask: Ask | None = None) -> list[str]:
    """The breaches of all subjects, read slice after slice."""
    ask = ask or _by_sql(question)
    await tx.execute(_BY_INDEX)
    found: list[str] = []
    after, last = FIRST, False
    while not last and len(found) < BREACHES_MAX:
        ids, last = await _slice(tx, question.subjects, after=after, weight=SLICE_WEIGHT)
        after = ids[-1] if ids else after
        found += [breach for _, breach in await ask(tx, ids)]
    return found[:BREACHES_MAX]


async def _check_assets(tx: AsyncConnection) -> list[str]:
    return [breach for _, breach in await _ask(tx, _ASSETS)]


async def _check_balances(tx: AsyncConnection, *, stride: int = STRIDE) -> list[str]:
    """Add up all transfers, and compare every balance with its sum, in one snapshot of the whole ledger.

    The memory holds the sums that are not zero: about one for each player with money.
    """
    await tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    await tx.execute(_BY_INDEX)
    top = (await tx.execute(_TOP)).scalar_one()
    sums: dict[UUID, int] = {}
    for after in range(0, top, stride):
        for row in await tx.execute(_STRIDE, {"after": after, "upto": after + stride}):
            total = sums.pop(row.account, 0) + int(row.total)
            if total:
                sums[row.account] = total
    found: list[str] = []
    cursor, last = FIRST, False
    while not last:
        ids, last = await _slice(tx, ACCOUNTS, after=cursor, weight=SLICE_WEIGHT)
        cursor = ids[-1] if ids else cursor
        for row in await tx.execute(_BALANCES, {"ids": ids}):
            total = sums.pop(row.id, 0)
            if row.balance != total:
                holds, makes = [await _describe(tx, amount, row.asset) for amount in (row.balance, total)]
                found.append(f"{row.kind} of {row.owner} holds {holds}, its transfers make {makes}")
                if len(found) == BREACHES_MAX:
                    return found
    found += [
        f"account {account} is not open, its transfers make {total} minor units"
        for account, total in sums.items()
    ]
    return found[:BREACHES_MAX]


async def _describe(tx: AsyncConnection, amount: int, asset: str) -> str:
    """An amount as text, with its asset."""
    return str((await tx.execute(_DESCRIBE, {"amount": amount, "asset": asset})).scalar_one())


_LATE = """
    SELECT NULL AS id, format('round %s, settlement %s: %s of %s parts since %s', round_id, settlement_version,
                              count(*), max(parts), min(staged_at))
    FROM staged_parts GROUP BY round_id, settlement_version
    HAVING count(*) < max(parts) AND min(staged_at) < clock_timestamp() - make_interval(secs => :wait_s)
"""
_STAGED = text(
    "SELECT round_id, settlement_version, count(*) AS there, max(parts) AS parts, min(staged_at) AS since "
    "FROM staged_parts GROUP BY round_id, settlement_version HAVING count(*) < max(parts) ORDER BY since"
)
_WORK = text("SELECT count(*) FROM round_work")


async def _check_parts(tx: AsyncConnection, *, wait_s: int) -> list[str]:
    return [breach for _, breach in await _ask(tx, _LATE, wait_s=wait_s)]


async def staged_parts(tx: AsyncConnection, *, now: datetime, wait_s: int) -> StagedParts:
    """The settlements that have waited for parts longer than ``wait_s`` seconds, and the number of steps of round work."""
    rows = (await tx.execute(_STAGED)).all()
    late = [
        {
            "round_id": str(row.round_id),
            "settlement_version": str(row.settlement_version),
            "parts": f"{row.there} of {row.parts}",
            "since": row.since.isoformat(),
        }
        for row in rows
        if (now - row.since).total_seconds() > wait_s
    ]
    oldest_s = max(((now - row.since).total_seconds() for row in rows), default=0.0)
    work = int((await tx.execute(_WORK)).scalar_one())
    return StagedParts(late=late[:BREACHES_MAX], oldest_s=oldest_s, work=work)


def build_checks(*, intents: IntentVerifier, parts_wait_s: int = PARTS_WAIT_S) -> list[Check]:
    """One check for each invariant. A check reads all items, however long it takes."""
    runs = {name: partial(_check_slices, question=question) for name, question in QUESTIONS.items()}
    whole: dict[Invariant, Callable[[AsyncConnection], Awaitable[list[str]]]] = {
        Invariant.BALANCES_ARE_SUMS: _check_balances,
        Invariant.ASSETS_SUM_TO_ZERO: _check_assets,
        Invariant.PARTS_COME: partial(_check_parts, wait_s=parts_wait_s),
        Invariant.INTENTS_SIGNED: partial(_check_slices, question=PAYOUTS_SIGNED, ask=_by_signature(intents)),
    }
    counts = {name: partial(_count, subjects=question.subjects) for name, question in QUESTIONS.items()}
    counts |= {
        Invariant.INTENTS_SIGNED: partial(_count, subjects=PAYOUTS_SIGNED.subjects),
        Invariant.BALANCES_ARE_SUMS: partial(_count, subjects=ACCOUNTS),
        Invariant.ASSETS_SUM_TO_ZERO: partial(_count, subjects=ACCOUNTS),
        Invariant.PARTS_COME: partial(
            _count, subjects="SELECT DISTINCT round_id, settlement_version FROM staged_parts"
        ),
    }
    return [Check(name=name, run=whole.get(name) or runs[name], count=counts[name]) for name in Invariant]


async def _count(tx: AsyncConnection, *, subjects: str) -> int:
    """The number of subjects."""
    return int((await tx.execute(text(f"SELECT count(*) FROM ({subjects}) s"))).scalar_one())


async def sum_up(tx: AsyncConnection, *, rows_max: int) -> tuple[int, int]:
    """Move the checkpoint by at most ``rows_max`` transfers. Returns their number, and the number of transfers after the
    checkpoint.

    The transaction must not have written before.
    """
    row = (await tx.execute(_SUM_UP, {"rows_max": rows_max})).one()
    return int(row.summed), int(row.behind)


@dataclass(slots=True)
class _Progress:
    """The next slice of a watch, and the subjects with known breaches, which every run checks again.

    After a run that found the most breaches that it may name, the next run checks the same slice again, so that no breach
    is missed.
    """

    of: str
    subjects: str
    weight: int
    after: UUID = FIRST
    began: UUID = FIRST
    broken: tuple[UUID, ...] = ()

    async def next_slice(self, tx: AsyncConnection) -> tuple[list[UUID], bool, str]:
        """The ids to check, whether this completes a check of all, and a text for the log."""
        began = self.began = self.after
        ids, last = await _slice(tx, self.subjects, after=began, weight=self.weight)
        self.after = FIRST if last else ids[-1]
        if began == FIRST and last:
            covered = f"all {len(ids)} {self.of}"
        else:
            covered = (
                f"{len(ids)} {self.of} by id, {'from the first' if began == FIRST else f'after {began}'}"
            )
            covered += " to the last" if last else f" to {ids[-1]}"
        if self.broken:
            covered += f", and again {len(self.broken)} that were broken"
        return [*ids, *self.broken], last, covered

    def keep(self, found: Sequence[tuple[UUID | None, str]]) -> tuple[list[str], bool]:
        """Store the subjects of breaches. Returns the sentences, and whether they are complete."""
        self.broken = tuple(dict.fromkeys(subject for subject, _ in found if subject is not None))
        complete = len(found) < BREACHES_MAX
        if not complete:
            self.after = self.began
        return [breach for _, breach in found], complete


class SliceWatch:
    """Checks one slice of an invariant's subjects in each run."""

    def __init__(self, name: Invariant, question: Question, *, weight: int, ask: Ask | None = None) -> None:
        self.name = name
        self._asked = ask or _by_sql(question)
        self._progress = _Progress(question.of, question.subjects, weight)

    async def run(self, tx: AsyncConnection) -> WatchResult:
        """Check the next slice."""
        await tx.execute(_BY_INDEX)
        ids, whole, covered = await self._progress.next_slice(tx)
        breaches, complete = self._progress.keep(await self._asked(tx, ids))
        return WatchResult(
            breaches=breaches, covered=covered, checked=len(set(ids)), whole=whole and complete
        )


class BalanceWatch:
    """Compares the balances of one slice of accounts, and of all accounts with transfers after the checkpoint, with the sums up
    to the checkpoint and the later transfers.
    """

    name = Invariant.BALANCES_ARE_SUMS

    def __init__(self, *, weight: int, tail_max: int) -> None:
        self._progress = _Progress("accounts", ACCOUNTS, weight)
        self._tail_max = tail_max
        self._breaches: list[str] = []

    async def run(self, tx: AsyncConnection) -> WatchResult:
        """Check the next slice, unless too many transfers are after the checkpoint."""
        await tx.execute(_BY_INDEX)
        lag = (await tx.execute(_LAG)).one()
        if lag.behind > self._tail_max:
            covered = f"nothing: {lag.behind} transfers are still to be summed up"
            return WatchResult(breaches=self._breaches, covered=covered, checked=0, whole=False)
        ids, whole, covered = await self._progress.next_slice(tx)
        self._breaches, complete = self._progress.keep(await _ask(tx, _SINCE_CHECKPOINT, ids=ids))
        covered += f", and all that moved by the {lag.behind} transfers after number {lag.seq}"
        return WatchResult(
            breaches=self._breaches, covered=covered, checked=len(set(ids)), whole=whole and complete
        )


class AssetsWatch:
    """Checks the sums of all balances."""

    name = Invariant.ASSETS_SUM_TO_ZERO

    async def run(self, tx: AsyncConnection) -> WatchResult:
        """Check all of them."""
        return WatchResult(breaches=await _check_assets(tx), covered="all assets", checked=1, whole=True)


class PartsWatch:
    """Checks the parts that wait for others."""

    name = Invariant.PARTS_COME

    def __init__(self, *, wait_s: int) -> None:
        self._wait_s = wait_s

    async def run(self, tx: AsyncConnection) -> WatchResult:
        """Check all of them."""
        breaches = await _check_parts(tx, wait_s=self._wait_s)
        return WatchResult(breaches=breaches, covered="all staged parts", checked=1, whole=True)


def build_watches(
    *,
    intents: IntentVerifier,
    weight: int = SLICE_WEIGHT,
    tail_max: int = TAIL_MAX,
    parts_wait_s: int = PARTS_WAIT_S,
) -> "list[BalanceWatch | AssetsWatch | PartsWatch | SliceWatch]":
    """One watch for each invariant. Each run of a watch costs about the same, whatever the size of the tables, and reports
    what it covered.
    """
    sliced = [SliceWatch(name, question, weight=weight) for name, question in QUESTIONS.items()]
    sliced.append(
        SliceWatch(Invariant.INTENTS_SIGNED, PAYOUTS_SIGNED, weight=weight, ask=_by_signature(intents))
    )
    parts = PartsWatch(wait_s=parts_wait_s)
    return [BalanceWatch(weight=weight, tail_max=tail_max), AssetsWatch(), parts, *sliced]
