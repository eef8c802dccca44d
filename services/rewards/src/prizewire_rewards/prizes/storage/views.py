"""Listings of prizes, newest rounds first. A page bounds how much each listing reads."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.prizes.domain.model import PrizePosition, RewardView
from prizewire_rewards.prizes.domain.states import BOOKED_REWARDS, ENDED_REWARDS, RewardState

_BOOKED: Final = ", ".join(f"'{state}'" for state in sorted(BOOKED_REWARDS))
_GONE: Final = ", ".join(f"'{state}'" for state in sorted(ENDED_REWARDS))
PARTS: Final = (
    f"CASE WHEN x.state IN ({_BOOKED}) THEN x.amount - x.short ELSE 0 END AS booked, "
    f"CASE WHEN x.line < 0 OR x.state IN ({_GONE}) THEN 0 WHEN x.state IN ({_BOOKED}) THEN x.short "
    "ELSE x.amount END AS missing"
)
"""SQL of ``Reward.booked`` and ``Reward.missing`` for a prize ``x``."""
LINES_DIGEST: Final = """(
    SELECT encode(sha256(convert_to('[' || coalesce(string_agg(format('[%s,%s,%s,"%s"]', x.line, to_json(x.player), x.place,
           CAST(x.amount AS numeric) * CAST('1e-' || k.decimals AS numeric)), ',' ORDER BY x.line), '') || ']', 'UTF8')), 'hex')
    FROM rewards x JOIN assets k ON k.code = x.asset WHERE x.round_id = r.id AND x.line > 0
)"""
"""SQL of the digest of the lines that the prizes of a round ``r`` have: the one of ``rounds.consumers.CanonicalDigest``. It
is of no settlement while work on the round's lines is left.
"""


async def list_prizes(
    tx: AsyncConnection,
    *,
    player: str | None,
    round_id: UUID | None,
    correlation_id: str | None,
    limit: int,
    after: PrizePosition | None,
    held: bool = False,
) -> list[RewardView]:
    """List prizes by the time of their round's settlement, newest first, then by round and line. Prizes of one player are
    found by the index of players, ``held`` ones by their own index, all others by the index of rounds. A page of held prizes
    reads all of them: each waits for a person, so they are few.
    """
    values: dict[str, Any] = {"limit": limit}
    of_round: list[str] = []
    of_prize: list[str] = []
    if round_id is not None:
        of_round.append("r.id = :round_id")
        values["round_id"] = round_id
    if correlation_id is not None:
        of_round.append("r.correlation_id = :correlation_id")
        values["correlation_id"] = correlation_id
    if after is not None:
        values |= {"at": after.settled_at, "after": after.round_id, "line": after.line}
    if player is not None or held:
        if player is not None:
            values["player"] = player
            of_prize.append("x.player = :player")
        if held:
            of_prize.append(f"x.state = '{RewardState.HELD}'")
        if after is not None:
            of_prize += ["(x.settled_at, x.round_id) <= (:at, :after)", _LATER]
        if round_id is not None:
            of_prize += [
                "x.settled_at = (SELECT r.settled_at FROM rounds r WHERE r.id = :round_id)",
                "x.round_id = :round_id",
            ]
        if correlation_id is not None:
            of_prize.append(
                "(x.settled_at, x.round_id) IN (SELECT r.settled_at, r.id FROM rounds r "
                "WHERE r.correlation_id = :correlation_id)"
            )
        found = f"SELECT x.* FROM rewards x WHERE {' AND '.join(of_prize)} {_ORDER} LIMIT :limit"  # noqa: S608 - fixed words
    else:
        if after is not None:
            of_round.append("(r.settled_at, r.id) <= (:at, :after)")
            of_prize.append(_LATER)
        wheres = ["EXISTS (SELECT 1 FROM rewards e WHERE e.round_id = r.id)", *of_round]
        of_prize.append("x.round_id = r.id")
        # One round more than the page has rows: all prizes of the first round may be on earlier pages.
        found = (
            "SELECT x.* FROM (SELECT r.id, r.settled_at FROM rounds r "  # noqa: S608 - fixed words
            f"WHERE {' AND '.join(wheres)} ORDER BY r.settled_at DESC, r.id DESC LIMIT :limit + 1) r "
            f"CROSS JOIN LATERAL (SELECT x.* FROM rewards x WHERE {' AND '.join(of_prize)} "
            f"ORDER BY x.line LIMIT :limit) x {_ORDER} LIMIT :limit"
        )
    statement = f"{_SHOWN} FROM ({found}) x JOIN rounds r ON r.id = x.round_id {_ORDER}"
    return [_reward_of(row) for row in await tx.execute(text(statement), values)]


def _reward_of(row: Any) -> RewardView:
    return RewardView(
        id=row.id,
        round_id=row.round_id,
        line=row.line,
        player=row.player,
        place=row.place,
        asset=row.asset,
        amount=row.amount,
        credited=row.booked if row.state == RewardState.CREDITED else 0,
        waiting=row.booked if row.state != RewardState.CREDITED else 0,
        short=row.missing,
        owed=int(row.owed),
        state=RewardState(row.state),
        note=row.note,
        payout_id=row.payout_id,
        transfer_id=row.transfer_id,
        correlation_id=row.correlation_id,
        settled_at=row.settled_at,
    )


_ORDER: Final = "ORDER BY x.settled_at DESC, x.round_id DESC, x.line"
_LATER: Final = "((x.settled_at, x.round_id) < (:at, :after) OR x.line > :line)"
"""The condition for prizes after a position, among rounds that are not before it."""
_SHOWN: Final = (
    f"SELECT x.*, {PARTS}, r.correlation_id, coalesce((SELECT sum(d.open) FROM receivables d "  # noqa: S608 - our own words
    "WHERE d.reference = CAST(x.round_id AS text) AND d.player = x.player AND d.campaign = r.campaign "
    "AND d.amount - d.recovered - d.lifted - d.restored > 0), 0) AS owed"
)
