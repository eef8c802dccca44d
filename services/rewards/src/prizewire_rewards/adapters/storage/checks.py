"""The invariants as questions to the database: each answers its breaches as sentences.

Tables grow for ever, so every question is asked about a slice of its subjects, each found by an index. A check asks
slice after slice until it has seen all; a watch asks one slice at each look and goes on from there at the next.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import Check
from prizewire_rewards.adapters.storage.money_checks import MONEY_QUESTIONS
from prizewire_rewards.domain.invariants import Invariant, Seen, StagedSeen

__all__ = [
    "QUESTIONS",
    "AssetsWatch",
    "BalanceWatch",
    "PartsWatch",
    "SliceWatch",
    "build_checks",
    "build_watches",
    "staged_seen",
    "sum_up",
]

BREACHES_MAX = 50
SLICE_WEIGHT = 20_000
"""Subjects of one slice; a round counts as many as it has lines."""
TAIL_MAX = 500_000
"""Transfers after the checkpoint that one look sums up by itself."""
STRIDE = 500_000
"""Transfers that a check of the whole ledger sums up with one statement."""
FIRST = UUID(int=0)
PARTS_WAIT_S = 900
"""How long a part may wait for the others, unless a setting says otherwise."""


class Question(NamedTuple):
    """An invariant. ``subjects`` selects (id, weight) of what it is about, ``of`` says what those are;
    ``breaches`` selects (id, sentence) among the ``:ids``.
    """

    of: str
    subjects: str
    breaches: str


_ACCOUNTS: Final = "SELECT id, 1 AS weight FROM ledger_accounts"
_MACHINES: Final = (
    "SELECT id, 1 AS weight FROM campaigns UNION ALL SELECT id, 1 FROM rounds UNION ALL SELECT id, 1 FROM payouts "
    "UNION ALL SELECT reward_id, 1 FROM claims UNION ALL SELECT id, 1 FROM entries"
)

QUESTIONS: Final[dict[Invariant, Question]] = {
    Invariant.BOUNDS_HOLD: Question(
        "accounts",
        _ACCOUNTS,
        """
        SELECT id, format('%s of %s in %s holds %s', kind, owner, asset, balance) FROM ledger_accounts
        WHERE id = ANY (CAST(:ids AS uuid[]))
          AND ((bound = 'floor' AND balance < 0) OR (bound = 'ceiling' AND balance > 0))
        """,
    ),
    # What funds a campaign has the campaign's id as correlation id.
    Invariant.GRANTED_WITHIN_FUNDED: Question(
        "campaigns",
        "SELECT id, 1 AS weight FROM campaigns",
        """
        SELECT c.id, format('campaign %s: funded %s, granted %s, withdrawn %s, the pool holds %s, %s came in, '
                            '%s went out, %s rounds wait of %s', c.id, c.funded, c.granted, c.withdrawn,
                            coalesce(a.balance, 0), f.total, f.out, q.waiting, c.queued)
        FROM campaigns c LEFT JOIN ledger_accounts a ON a.id = c.pool
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(t.amount) FILTER (WHERE t.type = 'campaign_funded'), 0) AS total,
                   coalesce(sum(t.amount) FILTER (WHERE t.type = 'campaign_withdrawn'), 0) AS out
            FROM ledger_transfers t WHERE t.correlation_id = CAST(c.id AS text) AND (
                (t.type = 'campaign_funded' AND t.credit_account = c.pool)
                OR (t.type = 'campaign_withdrawn' AND t.debit_account = c.pool))
        ) f
        CROSS JOIN LATERAL (
            SELECT count(*) AS waiting FROM rounds r WHERE r.campaign = c.id AND r.queue_position IS NOT NULL
        ) q
        WHERE c.id = ANY (CAST(:ids AS uuid[]))
          AND (c.granted > c.funded OR c.granted < 0 OR c.funded <> f.total
               OR c.withdrawn <> f.out OR c.funded - c.granted - c.withdrawn <> coalesce(a.balance, 0)
               OR q.waiting <> c.queued)
        """,
    ),
    Invariant.ROUNDS_ADD_UP: Question(
        "rounds",
        "SELECT id, lines_total + 1 AS weight FROM rounds",
        """
        SELECT r.id, format('round %s (%s): reserve %s of %s, lines %s of %s, short %s of %s', r.id, r.state,
                            coalesce(a.balance, 0), x.kept + r.fees, x.total, r.net - r.unclaimed, x.short, r.short)
        FROM (
            SELECT *, CASE state WHEN 'reserved' THEN platform_fee + organizer_fee ELSE 0 END AS fees FROM rounds
        ) r LEFT JOIN ledger_accounts a
            ON a.kind = 'reserved' AND a.owner = CAST(r.id AS text) AND a.asset = r.asset
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(w.amount) FILTER (WHERE w.line > 0), 0) AS total,
                   count(DISTINCT w.line) FILTER (WHERE w.line > 0) AS lines,
                   count(*) FILTER (WHERE w.line > 0) AS standing,
                   coalesce(sum(w.amount - w.short) FILTER (WHERE w.state = 'held'), 0) AS kept,
                   coalesce(sum(w.short) FILTER (WHERE w.line > 0), 0) AS short,
                   count(*) FILTER (WHERE w.line < 0 AND w.state NOT IN ('reversed', 'expired', 'rejected')) AS strays,
                   count(*) FILTER (WHERE w.line > 0 AND NOT w.state = ANY (CASE r.state
                       WHEN 'final' THEN '{credited,claimable,held,expired,rejected}'::text[]
                       WHEN 'reserved' THEN '{pending,held,rejected}'::text[]
                       WHEN 'voided' THEN '{reversed,rejected}'::text[]
                       ELSE '{unfunded}'::text[] END)
                       AND NOT (w.state = 'unfunded' AND w.short = w.amount AND r.state IN ('reserved', 'final'))
                   ) AS astray
            FROM rewards w WHERE w.round_id = r.id
        ) x
        WHERE r.id = ANY (CAST(:ids AS uuid[])) AND CASE
            WHEN r.state = 'booking' THEN coalesce(a.balance, 0) < x.kept
            ELSE coalesce(a.balance, 0) <> x.kept + r.fees OR (
                NOT EXISTS (SELECT 1 FROM round_work k WHERE k.round_id = r.id)
                AND (x.total <> r.net - r.unclaimed OR x.lines <> r.lines_total OR x.standing <> x.lines
                     OR x.astray > 0 OR x.strays > 0 OR x.short <> r.short)
            ) END
        """,
    ),
    Invariant.CLAIMABLE_IS_OWED: Question(
        "campaigns",
        "SELECT id, 1 AS weight FROM campaigns",
        """
        SELECT c.id, format('campaign %s: %s can be claimed, its claimable prizes make %s', c.id,
                            coalesce(a.balance, 0), x.total)
        FROM campaigns c LEFT JOIN ledger_accounts a
            ON a.kind = 'claimable' AND a.owner = CAST(c.id AS text) AND a.asset = c.asset
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(w.amount - w.short), 0) AS total FROM rounds r JOIN rewards w ON w.round_id = r.id
            WHERE r.campaign = c.id AND w.state = 'claimable'
        ) x
        WHERE c.id = ANY (CAST(:ids AS uuid[])) AND c.delivery = 'claim' AND coalesce(a.balance, 0) <> x.total
        """,
    ),
    # An account of what players owe is looked at with its player; that of clearing with all that was ever opened.
    Invariant.RECEIVABLES_ADD_UP: Question(
        "accounts of debts",
        "SELECT id, 1 AS weight FROM ledger_accounts WHERE kind IN ('receivable', 'clearing')",
        """
        SELECT b.id, format('%s of %s in %s holds %s, its receivables make %s', b.kind, b.owner, b.asset, b.balance,
                            x.total)
        FROM ledger_balances b CROSS JOIN LATERAL (
            SELECT coalesce(sum(CASE b.kind WHEN 'receivable' THEN -r.open ELSE r.open + r.written_off END), 0) AS total
            FROM receivables r WHERE r.asset = b.asset AND (b.kind = 'clearing' OR r.player = b.owner)
        ) x
        WHERE b.id = ANY (CAST(:ids AS uuid[])) AND b.kind IN ('receivable', 'clearing') AND b.balance <> x.total
        """,
    ),
    Invariant.CLAIMS_CONSISTENT: Question(
        "claims",
        "SELECT reward_id AS id, 1 AS weight FROM claims",
        """
        SELECT c.reward_id, format('the claim of %s by %s is %s, the prize %s', c.reward_id, c.player, c.state, w.state)
        FROM claims c LEFT JOIN rewards w ON w.id = c.reward_id
        WHERE c.reward_id = ANY (CAST(:ids AS uuid[]))
          AND (w.id IS NULL OR w.player <> c.player OR w.round_id <> c.round_id
               OR (c.state IN ('open', 'held')) <> (w.state = 'claimable')
               OR (c.state = 'expired') <> (w.state = 'expired'))
        """,
    ),
    Invariant.CAPS_ADD_UP: Question(
        "campaigns",
        "SELECT id, 1 AS weight FROM campaigns",
        """
        SELECT c.id, format('campaign %s: %s of %s %s counts %s, its prizes make %s', c.id, b.cap, b.player, b.day,
                            b.used, b.total)
        FROM campaigns c CROSS JOIN LATERAL (
            SELECT coalesce(u.cap, s.cap) AS cap, coalesce(u.player, s.player) AS player,
                   coalesce(u.day, s.day) AS day, coalesce(u.used, 0) AS used, coalesce(s.total, 0) AS total
            FROM (SELECT * FROM cap_usage WHERE campaign = c.id) u FULL JOIN (
                SELECT k.cap, k.player, k.day, sum(l.amount) AS total FROM cap_lines l CROSS JOIN LATERAL (VALUES
                    ('cap_player', l.player, ''), ('cap_player_day', l.player, CAST(l.day AS text)),
                    ('cap_campaign_day', '', CAST(l.day AS text)), ('cap_campaign', '', '')) AS k(cap, player, day)
                WHERE l.campaign = c.id GROUP BY k.cap, k.player, k.day
            ) s ON s.cap = u.cap AND s.player = u.player AND s.day = u.day
            WHERE coalesce(u.used, 0) <> coalesce(s.total, 0) LIMIT 1
        ) b
        WHERE c.id = ANY (CAST(:ids AS uuid[])) AND c.capped
        """,
    ),
    Invariant.ONE_PAYOUT_PER_REWARD: Question(
        "prizes",
        "SELECT id, 1 AS weight FROM rewards",
        """
        SELECT w.id, format('reward %s of %s and payout %s do not fit, it has %s of %s', w.id, w.player, w.payout_id,
                            n.payouts, w.payout_ordinal)
        FROM rewards w LEFT JOIN payouts p ON p.id = w.payout_id
        CROSS JOIN LATERAL (
            SELECT count(*) AS payouts FROM payouts o WHERE o.round_id = w.round_id AND o.player = w.player
        ) n
        WHERE w.id = ANY (CAST(:ids AS uuid[])) AND w.payout_id IS NOT NULL
          AND (p.id IS NULL OR p.player <> w.player OR p.asset <> w.asset
               OR (p.amount > w.amount AND w.settlement_version = 1) OR p.round_id IS DISTINCT FROM w.round_id
               OR n.payouts <> w.payout_ordinal)
        """,
    ),
    # A directly delivered prize shares its correlation id with a whole round, bears no fee, and is not followed further.
    Invariant.PAYOUTS_CONSISTENT: Question(
        "payouts",
        "SELECT id, 1 AS weight FROM payouts",
        """
        SELECT p.id, format('payout %s is %s over %s with a fee of %s, and holds %s; %s went to its rail, %s to the fees',
                            p.id, p.state, p.amount, p.fee, coalesce(a.balance, 0), t.paid, t.fee)
        FROM payouts p LEFT JOIN ledger_accounts a
            ON a.kind = 'payout_pending' AND a.owner = CAST(p.id AS text) AND a.asset = p.asset
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount) FILTER (WHERE type = 'payout_paid'), 0) AS paid,
                   coalesce(sum(amount) FILTER (WHERE type = 'payout_fee'), 0) AS fee
            FROM ledger_transfers WHERE p.round_id IS NULL AND correlation_id = p.correlation_id AND debit_account = a.id
        ) t
        WHERE p.id = ANY (CAST(:ids AS uuid[]))
          AND (coalesce(a.balance, 0) <>
               CASE WHEN p.state IN ('requested', 'cancel_requested') THEN p.amount ELSE 0 END
               OR (p.round_id IS NOT NULL AND p.fee <> 0)
               OR (p.round_id IS NULL AND p.state IN ('paid', 'returned') AND (t.paid <> p.amount - p.fee OR t.fee <> p.fee))
               OR (p.round_id IS NULL AND p.state NOT IN ('paid', 'returned') AND t.paid + t.fee <> 0)
               OR (p.player IS NULL) <> (p.funding_account IS NOT NULL)
               OR (p.state IN ('paid', 'returned')) <> (p.rail IS NOT NULL)
               OR (p.state = 'returned') <> (p.returned > 0))
        """,
    ),
    **{name: Question(*asked) for name, asked in MONEY_QUESTIONS.items()},
    Invariant.TRANSITIONS_UNBROKEN: Question(
        "campaigns, rounds, payouts, claims and entries",
        _MACHINES,
        """
        SELECT s.id, format('%s %s is %s, its history ends in %s', s.machine, s.id, s.state, t.to_state)
        FROM (
            SELECT 'campaign' AS machine, id, state FROM campaigns
            UNION ALL SELECT 'round', id, state FROM rounds
            UNION ALL SELECT 'payout', id, state FROM payouts
            UNION ALL SELECT 'claim', reward_id, state FROM claims
            UNION ALL SELECT 'entry', id, state FROM entries
        ) s LEFT JOIN LATERAL (
            SELECT to_state FROM transitions WHERE subject = s.id ORDER BY id DESC LIMIT 1
        ) t ON true
        WHERE s.id = ANY (CAST(:ids AS uuid[])) AND t.to_state IS DISTINCT FROM s.state
        """,
    ),
}
"""The invariants that are asked about slices; the two others are about the ledger as a whole."""

# A sum over all accounts; what moved is not read.
_ASSETS = """
    SELECT NULL AS id, format('all accounts in %s sum to %s', asset, sum(balance))
    FROM ledger_balances GROUP BY asset HAVING sum(balance) <> 0
"""

# One statement, so that sums, checkpoint, transfers after it and balances are of one moment. Accounts that moved after
# the checkpoint are always among those that are looked at.
_SINCE_CHECKPOINT = """
    WITH tail AS MATERIALIZED (
        SELECT leg.account, sum(leg.delta) AS total FROM (
            SELECT debit_account AS account, -amount AS delta FROM ledger_transfers
            WHERE seq > (SELECT seq FROM ledger_checkpoint)
            UNION ALL SELECT credit_account, amount FROM ledger_transfers
            WHERE seq > (SELECT seq FROM ledger_checkpoint)
        ) leg GROUP BY leg.account
    ), these AS MATERIALIZED (SELECT unnest(CAST(:ids AS uuid[])) AS id UNION SELECT account FROM tail)
    SELECT b.id, format('%s of %s in %s holds %s, its transfers make %s', b.kind, b.owner, b.asset, b.balance,
                        coalesce(s.total, 0) + coalesce(t.total, 0))
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
_SUM_UP = text("SELECT summed, behind FROM ledger_sum_up(:rows_max)")
# A plan that was made while the tables were small must not turn into scans.
_BY_INDEX = text("SET LOCAL enable_seqscan = off")


class Slice(NamedTuple):
    """Subjects in the order of their ids; ``last`` when none follows."""

    ids: list[UUID]
    last: bool


async def _slice(tx: AsyncConnection, subjects: str, *, after: UUID, weight: int) -> Slice:
    rows = await tx.execute(
        text(
            f"SELECT id, weight FROM ({subjects}) s "  # noqa: S608 - our own tables
            "WHERE id > CAST(:after AS uuid) ORDER BY id LIMIT :limit"
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


async def _ask(tx: AsyncConnection, sql: str, **values: Any) -> list[tuple[UUID | None, str]]:
    rows = await tx.execute(text(f"{sql} LIMIT {BREACHES_MAX}"), values)
    return [(row[0], str(row[1])) for row in rows]


async def _check_slices(tx: AsyncConnection, *, question: Question) -> list[str]:
    """Ask about all subjects, slice after slice."""
    await tx.execute(_BY_INDEX)
    found: list[str] = []
    after, last = FIRST, False
    while not last and len(found) < BREACHES_MAX:
        ids, last = await _slice(tx, question.subjects, after=after, weight=SLICE_WEIGHT)
        after = ids[-1] if ids else after
        found += [breach for _, breach in await _ask(tx, question.breaches, ids=ids)]
    return found[:BREACHES_MAX]


async def _check_assets(tx: AsyncConnection) -> list[str]:
    return [breach for _, breach in await _ask(tx, _ASSETS)]


async def _check_balances(tx: AsyncConnection, *, stride: int = STRIDE) -> list[str]:
    """Add up every transfer there ever was, and hold every balance against its sum: the whole ledger, at one moment.

    What is kept in memory are the sums that are not zero, so about one for each player who has money.
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
        ids, last = await _slice(tx, _ACCOUNTS, after=cursor, weight=SLICE_WEIGHT)
        cursor = ids[-1] if ids else cursor
        for row in await tx.execute(_BALANCES, {"ids": ids}):
            total = sums.pop(row.id, 0)
            if row.balance != total:
                found.append(
                    f"{row.kind} of {row.owner} in {row.asset} holds {row.balance}, its transfers make {total}"
                )
    found += [f"account {account} is not open, its transfers make {total}" for account, total in sums.items()]
    return found[:BREACHES_MAX]


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


async def staged_seen(tx: AsyncConnection, *, now: datetime, wait_s: int) -> StagedSeen:
    """Which settlements have been waiting for parts longer than ``wait_s`` seconds, and what is to be worked on."""
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
    return StagedSeen(late=late[:BREACHES_MAX], oldest_s=oldest_s, work=work)


def build_checks(*, parts_wait_s: int = PARTS_WAIT_S) -> list[Check]:
    """One check for each invariant, of everything that there is: for people, and as long as it takes."""
    runs = {name: partial(_check_slices, question=question) for name, question in QUESTIONS.items()}
    whole: dict[Invariant, Callable[[AsyncConnection], Awaitable[list[str]]]] = {
        Invariant.BALANCES_ARE_SUMS: _check_balances,
        Invariant.ASSETS_SUM_TO_ZERO: _check_assets,
        Invariant.PARTS_COME: partial(_check_parts, wait_s=parts_wait_s),
    }
    counts = {name: partial(_count, subjects=question.subjects) for name, question in QUESTIONS.items()}
    counts |= {
        Invariant.BALANCES_ARE_SUMS: partial(_count, subjects=_ACCOUNTS),
        Invariant.ASSETS_SUM_TO_ZERO: partial(_count, subjects=_ACCOUNTS),
        Invariant.PARTS_COME: partial(
            _count, subjects="SELECT DISTINCT round_id, settlement_version FROM staged_parts"
        ),
    }
    return [Check(name=name, run=whole.get(name) or runs[name], count=counts[name]) for name in Invariant]


async def _count(tx: AsyncConnection, *, subjects: str) -> int:
    """How many there are; by then most were looked at."""
    return int((await tx.execute(text(f"SELECT count(*) FROM ({subjects}) s"))).scalar_one())  # noqa: S608 - our own tables


async def sum_up(tx: AsyncConnection, *, rows_max: int) -> tuple[int, int]:
    """Move the checkpoint on by at most ``rows_max`` transfers; answers how many, and how many are behind it still.

    The transaction must not have written before.
    """
    row = (await tx.execute(_SUM_UP, {"rows_max": rows_max})).one()
    return int(row.summed), int(row.behind)


@dataclass(slots=True)
class _Rota:
    """Whose turn it is, and who is looked at again at every turn because a breach was found there."""

    of: str
    subjects: str
    weight: int
    after: UUID = FIRST
    broken: tuple[UUID, ...] = ()

    async def turn(self, tx: AsyncConnection) -> tuple[list[UUID], bool, str]:
        """The ids of this turn, whether all have had theirs with it, and what to say of it."""
        began = self.after
        ids, last = await _slice(tx, self.subjects, after=began, weight=self.weight)
        self.after = FIRST if last else ids[-1]
        if began == FIRST and last:
            said = f"all {len(ids)} {self.of}"
        else:
            said = f"{len(ids)} {self.of} by id, {'from the first' if began == FIRST else f'after {began}'}"
            said += " to the last" if last else f" to {ids[-1]}"
        if self.broken:
            said += f", and again {len(self.broken)} that were broken"
        return [*ids, *self.broken], last, said

    def keep(self, found: Sequence[tuple[UUID | None, str]]) -> list[str]:
        """Remember where breaches were found; answers their sentences."""
        self.broken = tuple(dict.fromkeys(subject for subject, _ in found if subject is not None))
        return [breach for _, breach in found]


class SliceWatch:
    """One slice of an invariant's subjects at each look."""

    def __init__(self, name: Invariant, question: Question, *, weight: int) -> None:
        self.name = name
        self._sql = question.breaches
        self._rota = _Rota(question.of, question.subjects, weight)

    async def look(self, tx: AsyncConnection) -> Seen:
        """Look at the next slice."""
        await tx.execute(_BY_INDEX)
        ids, whole, said = await self._rota.turn(tx)
        breaches = self._rota.keep(await _ask(tx, self._sql, ids=ids))
        return Seen(breaches=breaches, covered=said, looked_at=len(set(ids)), whole=whole)


class BalanceWatch:
    """Balances of one slice of accounts, and of all that moved lately, against the sums up to the checkpoint and the
    transfers since.
    """

    name = Invariant.BALANCES_ARE_SUMS

    def __init__(self, *, weight: int, tail_max: int) -> None:
        self._rota = _Rota("accounts", _ACCOUNTS, weight)
        self._tail_max = tail_max
        self._breaches: list[str] = []

    async def look(self, tx: AsyncConnection) -> Seen:
        """Look at the next slice, unless the checkpoint lies too far behind to add up the rest."""
        await tx.execute(_BY_INDEX)
        lag = (await tx.execute(_LAG)).one()
        if lag.behind > self._tail_max:
            said = f"nothing: {lag.behind} transfers are still to be summed up"
            return Seen(breaches=self._breaches, covered=said, looked_at=0, whole=False)
        ids, whole, said = await self._rota.turn(tx)
        self._breaches = self._rota.keep(await _ask(tx, _SINCE_CHECKPOINT, ids=ids))
        said += f", and all that moved by the {lag.behind} transfers after number {lag.seq}"
        return Seen(breaches=self._breaches, covered=said, looked_at=len(set(ids)), whole=whole)


class AssetsWatch:
    """The sums of all balances."""

    name = Invariant.ASSETS_SUM_TO_ZERO

    async def look(self, tx: AsyncConnection) -> Seen:
        """Look at all."""
        return Seen(breaches=await _check_assets(tx), covered="all assets", looked_at=1, whole=True)


class PartsWatch:
    """Parts that wait for others."""

    name = Invariant.PARTS_COME

    def __init__(self, *, wait_s: int) -> None:
        self._wait_s = wait_s

    async def look(self, tx: AsyncConnection) -> Seen:
        """Look at all."""
        breaches = await _check_parts(tx, wait_s=self._wait_s)
        return Seen(breaches=breaches, covered="all staged parts", looked_at=1, whole=True)


def build_watches(
    *, weight: int = SLICE_WEIGHT, tail_max: int = TAIL_MAX, parts_wait_s: int = PARTS_WAIT_S
) -> "list[BalanceWatch | AssetsWatch | PartsWatch | SliceWatch]":
    """One watch for each invariant, to be asked again and again: each look costs about the same, however much there
    is, and says what it saw.
    """
    sliced = [SliceWatch(name, question, weight=weight) for name, question in QUESTIONS.items()]
    parts = PartsWatch(wait_s=parts_wait_s)
    return [BalanceWatch(weight=weight, tail_max=tail_max), AssetsWatch(), parts, *sliced]
