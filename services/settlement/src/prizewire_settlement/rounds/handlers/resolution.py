"""The end of a round: decisions of admins (settle, correct, void, resettle), and finality after the dispute window."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_settlement.competitions.domain.model import Rule
from prizewire_settlement.competitions.domain.rules import check_campaign
from prizewire_settlement.errors import DecisionRefused, RoundMissing
from prizewire_settlement.prizes.domain import PlayerResult
from prizewire_settlement.rounds.domain.acceptance import accept_resolved
from prizewire_settlement.rounds.domain.changes import RESOLVE, RoundChange, finalize, void
from prizewire_settlement.rounds.domain.model import Cause, Round, RoundState
from prizewire_settlement.rounds.domain.settling import correct, resettle, settle
from prizewire_settlement.rounds.ports import UnitOfWork


@dataclass(frozen=True, slots=True)
class Resolved:
    """The round as it was and as it is. ``changed`` is False where nobody is owed anything else than before."""

    before: Round
    after: Round
    changed: bool


async def resolve_round(
    *,
    round_id: UUID,
    results: Sequence[PlayerResult] | None,
    reason: str,
    actor: str,
    request_id: UUID,
    unit_of_work: UnitOfWork,
    now: datetime,
    lines_per_part: int,
) -> Resolved:
    """Settle or correct the round by ``results``, also after finality. Without results, void the round before finality.

    A round without a result is settled, one with a result is corrected, each under the rule that it keeps.

    Raises:
        RoundMissing: there is no such round.
        DecisionRefused: ``round_disowned`` for results of a round that rewards disowned.
        ReportRefused: ``illegal_transition`` for a voided round, or to void a final one that rewards does not refuse;
            or what the rule cannot rank or pay.
    """
    current = (await unit_of_work.rounds([round_id])).get(round_id)
    if current is None:
        raise RoundMissing(round_id)
    now = current.time_of_change(now)
    cause = Cause(kind=RESOLVE, id=str(request_id), actor=actor, reason=reason)
    if results is None:
        change = void(current=current, cause=cause, now=now)
    else:
        _check_not_disowned(current)
        change = await _let_stand(
            tuple(results), current, cause, unit_of_work=unit_of_work, now=now, lines_per_part=lines_per_part
        )
    if change.round is None:
        return Resolved(current, current, changed=False)
    await unit_of_work.save([change])
    return Resolved(current, change.round, changed=bool(change.transitions))


async def resettle_round(
    *,
    round_id: UUID,
    reason: str,
    actor: str,
    request_id: UUID,
    unit_of_work: UnitOfWork,
    now: datetime,
    lines_per_part: int,
) -> Resolved:
    """Resettle a refused round: the result that stands, under the rule that its competition has in force.

    Raises:
        RoundMissing: there is no such round.
        DecisionRefused: ``round_not_refused``; ``round_disowned``; ``rule_unchanged`` where the rule in force is the one
            that was refused; ``entry_fee_changed`` where its entry fee is not the one that the players owe.
        RuleInvalid: rewards could never book the prizes of the rule in force either.
        ReportRefused: what the rule in force cannot rank or pay; ``part_unproved`` where the stored result is not proved to be
            the one that came: decide with results.
    """
    current = (await unit_of_work.rounds([round_id])).get(round_id)
    if current is None:
        raise RoundMissing(round_id)
    _check_not_disowned(current)
    if current.refused_at is None or current.result_version is None:
        raise DecisionRefused(
            "round_not_refused",
            f"rewards has not refused round {round_id}: only a refused round is resettled",
        )
    rule = (await unit_of_work.competitions([current.competition]))[current.competition].rule
    key = (current.competition, current.rule_version)
    _check_mended(rule, was=(await unit_of_work.rules([key]))[key])
    check_campaign(rule, await unit_of_work.campaign(rule.campaign))
    known = (await unit_of_work.parts([round_id])).get(round_id, {})
    heads = [head for (version, _), head in known.items() if version == current.result_version]
    parts = await unit_of_work.results(heads)
    change = resettle(
        results=[result for number in sorted(parts) for result in parts[number]],
        reporters={head.reporter for head in heads if head.reporter is not None},
        current=current,
        rule=rule,
        cause=Cause(kind=RESOLVE, id=str(request_id), actor=actor, reason=reason),
        now=current.time_of_change(now),
        lines_per_part=lines_per_part,
    )
    assert change.round is not None, "a resettled round changes its state"
    await unit_of_work.save([change])
    return Resolved(current, change.round, changed=True)


def _check_not_disowned(current: Round) -> None:
    if current.disowned_at is None or current.state is RoundState.VOIDED:
        return
    detail = (
        f"two admins disowned round {current.id} in rewards, which books nothing of it any more: void it, and have match "
        f"{current.match_id} reported under another id"
    )
    raise DecisionRefused("round_disowned", detail)


def _check_mended(rule: Rule, *, was: Rule) -> None:
    if rule.version == was.version:
        detail = (
            f"rule {rule.version} of {rule.competition} is the one that rewards refused: "
            f"put a mended rule into force with PUT /api/competitions/{rule.competition}, then try again"
        )
        raise DecisionRefused("rule_unchanged", detail)
    if rule.entry_fee != was.entry_fee:
        detail = (
            f"rule {rule.version} of {rule.competition} asks another entry fee than rule {was.version}, under which the "
            "players entered: put a rule with that fee into force, then try again"
        )
        raise DecisionRefused("entry_fee_changed", detail)


async def _let_stand(
    results: tuple[PlayerResult, ...],
    current: Round,
    cause: Cause,
    *,
    unit_of_work: UnitOfWork,
    now: datetime,
    lines_per_part: int,
) -> RoundChange:
    key = (current.competition, current.rule_version)
    rule = (await unit_of_work.rules([key]))[key]
    accepted = accept_resolved(results=results, current=current, cause=cause, now=now)
    if current.settlement_version == 0:
        return settle(
            accepted=accepted,
            results=results,
            current=current,
            rule=rule,
            cause=cause,
            now=now,
            lines_per_part=lines_per_part,
        )
    return correct(
        accepted=accepted,
        results=results,
        before=await unit_of_work.lines(current.id, current.settlement_version),
        current=current,
        rule=rule,
        cause=cause,
        now=now,
        lines_per_part=lines_per_part,
    )


async def finalize_due(*, unit_of_work: UnitOfWork, now: datetime, actor: str, limit: int = 500) -> int:
    """Make at most ``limit`` due rounds final. Returns how many there were."""
    due = await unit_of_work.due(now=now, limit=limit)
    cause = Cause(kind="dispute_window_passed", id=None, actor=actor)
    await unit_of_work.save(
        [finalize(current=current, cause=cause, now=current.time_of_change(now)) for current in due]
    )
    return len(due)
