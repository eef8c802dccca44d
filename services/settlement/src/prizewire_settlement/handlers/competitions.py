"""Competitions and their rules, as people manage them. A rule version never changes once it is stored."""

from dataclasses import replace
from datetime import datetime

from prizewire_settlement.domain.model import Competition, Rule
from prizewire_settlement.domain.rules import check_campaign, check_rule
from prizewire_settlement.ports import Campaigns, CompetitionStore


class CompetitionExists(Exception):
    """The id is taken."""


class CompetitionMissing(Exception):
    """There is no competition of this id."""


async def create_competition(
    *,
    store: CompetitionStore,
    campaigns: Campaigns,
    name: str,
    rule: Rule,
    actor: str,
    now: datetime,
) -> Competition:
    """Store a competition with version 1 of its rule.

    Raises:
        RuleInvalid: the rule makes no sense, or rewards could never book its prizes.
        CompetitionExists: the id is taken.
    """
    check_rule(rule)
    check_campaign(rule, await campaigns.campaign(rule.campaign))
    made = Competition(
        id=rule.competition,
        name=name,
        rule=replace(rule, version=1, writers=(actor,)),
        created_by=actor,
        created_at=now,
        updated_at=now,
    )
    if not await store.create(made):
        raise CompetitionExists(rule.competition)
    return made


async def replace_rule(
    *,
    store: CompetitionStore,
    campaigns: Campaigns,
    name: str,
    rule: Rule,
    actor: str,
    now: datetime,
) -> tuple[Competition, bool]:
    """Put a new rule version into force. Rounds that have begun keep theirs.

    The name and rule that are in force already write nothing, in whatever form they were given: a repeated request adds
    no version. Answers the competition, and whether anything was written.

    Raises:
        RuleInvalid: the rule makes no sense, or rewards could never book its prizes.
        CompetitionMissing: there is no such competition.
    """
    check_rule(rule)
    check_campaign(rule, await campaigns.campaign(rule.campaign))
    known = await store.lock(rule.competition)
    if known is None:
        raise CompetitionMissing(rule.competition)
    same = replace(rule, version=known.rule.version, writers=known.rule.writers)
    if (name, same) == (known.name, known.rule):
        return known, False
    writers = tuple(sorted({*known.rule.writers, actor}))
    written = replace(rule, version=known.rule.version + 1, writers=writers)
    changed = replace(known, name=name, rule=written, updated_at=now)
    await store.replace(changed, by=actor)
    return changed, True
