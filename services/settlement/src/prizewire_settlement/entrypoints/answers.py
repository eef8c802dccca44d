"""What settlement's routes answer. Amounts are decimal strings in the competition's asset."""

from typing import Any

from prizewire_money import Amount as Money
from prizewire_settlement.domain.model import (
    Competition,
    Line,
    Refusal,
    Round,
    Rule,
    Settlement,
    Transition,
)
from prizewire_settlement.domain.prizes import plan_of
from prizewire_settlement.domain.results import score_to_text
from prizewire_settlement.domain.rules import percent_to_text, places_to_text
from prizewire_settlement.ports import EndedRound

__all__ = [
    "competition_json",
    "ended_json",
    "fees_json",
    "line_json",
    "money",
    "refusal_json",
    "round_json",
    "rule_json",
    "settlement_json",
    "transition_json",
]


def money(rule: Rule, minor: int) -> str:
    """An amount in the rule's asset as it travels."""
    return Money(rule.asset, minor).to_wire()


def rule_json(rule: Rule) -> dict[str, Any]:
    """A rule in the words of ``CompetitionBody``, with its version."""
    template: dict[str, Any]
    if rule.template is not None:
        template = {"name": rule.template}
    else:
        template = {
            "table": [
                {
                    "places": places_to_text(entry),
                    **(
                        {"percent_total": percent_to_text(entry.percent_total)}
                        if entry.percent_total is not None
                        else {"amount_each": money(rule, entry.amount_each or 0)}
                    ),
                }
                for entry in rule.places
            ]
        }
        points = rule.per_point
        if points is not None:
            template["per_point"] = {
                "score": points.score,
                "per": score_to_text(points.per),
                "amount": money(rule, points.amount),
                "overflow": points.overflow,
            }
    by = rule.rank_by
    return {
        "rule_version": rule.version,
        "campaign": rule.campaign,
        "asset": rule.asset.code,
        "gross_prize": money(rule, rule.gross),
        "platform_fee_bps": rule.platform_bps,
        "organizer_fee_bps": rule.organizer_bps,
        "organizer_player": rule.organizer_player,
        "fees": fees_json(rule),
        "template": template,
        "ties": {"policy": rule.ties}
        if rule.tie_break is None
        else {
            "policy": rule.ties,
            "score": rule.tie_break.score,
            "order": "desc" if rule.tie_break.descending else "asc",
        },
        "unclaimed": rule.unclaimed,
        "rank_by": {"by": "place"}
        if by.score is None
        else {"by": "score", "score": by.score, "order": "desc" if by.descending else "asc"},
        "sources": [
            {
                "source": source.source,
                "keys": [
                    {
                        "keyid": key.keyid,
                        "public_key": key.public_key,
                        "not_before": key.not_before,
                        "not_after": key.not_after,
                    }
                    for key in source.keys
                ],
            }
            for source in rule.sources
        ],
        "dispute_window_s": int(rule.dispute_window.total_seconds()),
        "entry_fee": None
        if rule.entry_fee is None
        else {
            "amount": Money(rule.entry_fee.asset, rule.entry_fee.amount).to_wire(),
            "asset": rule.entry_fee.asset.code,
        },
    }


def fees_json(rule: Rule) -> dict[str, Any]:
    """What the rule's fees come to, whatever the result, and what they leave."""
    fees = plan_of(rule).fees
    return {
        "platform": money(rule, fees.platform),
        "organizer": money(rule, fees.organizer),
        "net": money(rule, fees.net),
    }


def competition_json(competition: Competition) -> dict[str, Any]:
    """A competition with its rule in force."""
    return {
        "id": competition.id,
        "name": competition.name,
        **rule_json(competition.rule),
        "created_by": competition.created_by,
        "created_at": competition.created_at,
        "updated_at": competition.updated_at,
    }


def round_json(found: Round) -> dict[str, Any]:
    """A round without its history."""
    return {
        "id": str(found.id),
        "competition": found.competition,
        "source": found.source,
        "match_id": found.match_id,
        "correlation_id": found.correlation_id,
        "rule_version": found.rule_version,
        "state": found.state,
        "settlement_version": found.settlement_version,
        "result_version": found.result_version,
        "final_at": found.final_at,
        "waiting_since": found.waiting_since,
        "refused_at": found.refused_at,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
    }


def ended_json(ended: EndedRound) -> dict[str, Any]:
    """A round that ended, with the sums of its newest settlement."""
    asset = ended.asset
    return {
        "round_id": str(ended.round.id),
        "state": ended.round.state,
        "ended_at": ended.ended_at,
        "settlement_version": ended.round.settlement_version,
        "refused": ended.round.refused_at is not None,
        "campaign": str(ended.campaign),
        "asset": asset.code,
        "gross": Money(asset, ended.gross).to_wire(),
        "prizes": ended.lines_total,
        "prizes_total": Money(asset, ended.prizes).to_wire(),
    }


def refusal_json(refusal: Refusal) -> dict[str, Any]:
    """Why rewards can never book a settlement."""
    return {
        "settlement_version": refusal.version,
        "part": refusal.part,
        "code": refusal.code,
        "detail": refusal.detail,
        "at": refusal.at,
    }


def transition_json(step: Transition) -> dict[str, Any]:
    """One step of a round."""
    return {
        "seq": step.seq,
        "from": step.before,
        "to": step.after,
        "cause": step.cause.kind,
        "cause_id": step.cause.id,
        "actor": step.cause.actor,
        "reason": step.cause.reason,
        "correlation_id": step.correlation_id,
        "at": step.at,
    }


def settlement_json(settlement: Settlement, *, lines_total: int) -> dict[str, Any]:
    """A settlement without its lines."""
    rule, fees = settlement.rule, settlement.fees
    return {
        "settlement_version": settlement.version,
        "rule_version": rule.version,
        "campaign": str(rule.campaign),
        "asset": rule.asset.code,
        "gross": money(rule, fees.gross),
        "fees": {
            "platform": money(rule, fees.platform),
            "organizer": money(rule, fees.organizer),
            "organizer_player": rule.organizer_player,
        },
        "net": money(rule, fees.net),
        "unclaimed": money(rule, settlement.unclaimed),
        "lines_total": lines_total,
        "final": settlement.final,
        "final_at": settlement.final_at,
        "settled_at": settlement.settled_at,
        "reason": settlement.cause.reason,
    }


def line_json(line: Line, *, rule: Rule) -> dict[str, Any]:
    """One prize."""
    return {
        "line": line.line,
        "player": line.player,
        "place": line.place,
        "amount": money(rule, line.amount),
    }
