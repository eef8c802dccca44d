"""Competitions and their rules, as people manage them. A rule version never changes once it is stored."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from prizewire_settlement.competitions.domain.model import Campaign, Competition, Rule
from prizewire_settlement.competitions.domain.rules import check_campaign, check_rule
from prizewire_settlement.competitions.ports import Campaigns, CompetitionQueries, UnitOfWork
from prizewire_settlement.errors import CompetitionExists, CompetitionMissing


async def create_competition(
    *,
    unit_of_work: UnitOfWork,
    name: str,
    rule: Rule,
    actor: str,
    now: datetime,
) -> Competition:
    """Store a competition with version 1 of its rule.

    Raises:
        RuleInvalid: the rule is invalid, or rewards could never book its prizes.
        CompetitionExists: the id is taken.
    """
    check_rule(rule)
    check_campaign(rule, await unit_of_work.campaigns.campaign(rule.campaign))
    made = Competition(
        id=rule.competition,
        name=name,
        rule=replace(rule, version=1, writers=(actor,)),
        created_by=actor,
        created_at=now,
        updated_at=now,
    )
    if not await unit_of_work.competitions.create(made):
        raise CompetitionExists(rule.competition)
    return made


async def replace_rule(
    *,
    unit_of_work: UnitOfWork,
    name: str,
    rule: Rule,
    actor: str,
    now: datetime,
) -> tuple[Competition, bool]:
    """Put a new rule version into force. Rounds that have begun keep their rule version.

    Where name and rule are in force already nothing is written, in whatever form they were given: a repeated request
    adds no version. Returns the competition, and whether anything was written.

    Raises:
        RuleInvalid: the rule is invalid, or rewards could never book its prizes.
        CompetitionMissing: there is no such competition.
    """
    check_rule(rule)
    check_campaign(rule, await unit_of_work.campaigns.campaign(rule.campaign))
    known = await unit_of_work.competitions.lock(rule.competition)
    if known is None:
        raise CompetitionMissing(rule.competition)
    same = replace(rule, version=known.rule.version, writers=known.rule.writers)
    if (name, same) == (known.name, known.rule):
        return known, False
    writers = tuple(sorted({*known.rule.writers, actor}))
    written = replace(rule, version=known.rule.version + 1, writers=writers)
    changed = replace(known, name=name, rule=written, updated_at=now)
    await unit_of_work.competitions.replace(changed, by=actor)
    return changed, True


async def known_rule(*, queries: CompetitionQueries, competition_id: str, version: int | None) -> Rule:
    """A stored rule version, or the one in force.

    Raises:
        CompetitionMissing: there is no such competition, or no such version.
    """
    if version is None:
        found = await queries.competition(competition_id)
        rule = None if found is None else found.rule
    else:
        rule = await queries.rule(competition_id, version)
    if rule is None:
        raise CompetitionMissing(competition_id)
    return rule


async def keep_campaigns(campaigns: Sequence[Campaign], *, store: Campaigns) -> None:
    """Store the newest known state of each campaign."""
    newest: dict[object, Campaign] = {}
    for campaign in campaigns:
        known = newest.get(campaign.id)
        if known is None or known.version < campaign.version:
            newest[campaign.id] = campaign
    if newest:
        await store.keep(list(newest.values()))
