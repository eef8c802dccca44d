"""Closed sets of label values are the enumerations that the service uses."""

from collections.abc import Iterable

import pytest

from prizewire_chassis.metrics.definitions import OTHER, defined
from prizewire_rewards import metrics
from prizewire_rewards.campaigns.domain.caps import OWN_SETTINGS, CapCode
from prizewire_rewards.campaigns.domain.model import CampaignState
from prizewire_rewards.claims.domain import (
    CLAIM_LIVE,
    HOLD_CLASSES,
    RULES,
    ClaimState,
    HoldClass,
    RuleName,
    Verdict,
)
from prizewire_rewards.entries.domain import EntryState
from prizewire_rewards.payouts.domain.model import PAYOUT_FINAL
from prizewire_rewards.topups.domain import ReversalKind

FORBIDDEN = {"player", "payee", "reward", "reward_id", "round", "round_id", "account", "address", "threshold"}
SETS = [
    ("prizewire_rewards_campaigns", "state", CampaignState),
    ("prizewire_rewards_claims_total", "state", set(ClaimState) - {ClaimState.OPEN}),
    ("prizewire_rewards_claims_waiting", "state", CLAIM_LIVE),
    ("prizewire_rewards_claims_past_deadline", "state", CLAIM_LIVE),
    ("prizewire_rewards_claims_held", "class", HoldClass),
    ("prizewire_rewards_abuse_holds_total", "class", HoldClass),
    ("prizewire_rewards_risk_findings_total", "rule", RuleName),
    ("prizewire_rewards_risk_findings_total", "verdict", Verdict),
    ("prizewire_rewards_lines_held_total", "cap", {*CapCode, OWN_SETTINGS}),
    ("prizewire_rewards_prizes_held", "cap", {*CapCode, OWN_SETTINGS}),
    ("prizewire_rewards_entries_total", "state", EntryState),
    ("prizewire_rewards_payouts_ended_total", "state", PAYOUT_FINAL),
    ("prizewire_rewards_topups_total", "what", {"credited", *ReversalKind, "dispute_won"}),
]


@pytest.mark.parametrize(("name", "label", "values"), SETS, ids=[f"{one[0]}-{one[1]}" for one in SETS])
def test_a_closed_set_is_the_enumeration(name: str, label: str, values: Iterable[str]) -> None:
    """A state, rule or cap that is added to the domain is added to its metric too."""
    [found] = [one for one in defined() if one.name == name]
    assert found.labels[label].closed == {str(value) for value in values}


def test_each_rule_that_holds_has_a_class() -> None:
    """A new rule of risk, or a new cap, needs a class for the metrics of holds."""
    assert {*(rule.name for rule in RULES), *CapCode, OWN_SETTINGS} <= HOLD_CLASSES.keys()
    assert {*RuleName, *CapCode} == HOLD_CLASSES.keys()


def test_the_classes_of_holds_are_those_of_the_metrics() -> None:
    """Each class has a series from the first run of the job on."""
    assert tuple(HoldClass) == metrics.HOLD_CLASSES
    assert tuple(CampaignState) == metrics.CAMPAIGN_STATES


def test_no_label_names_a_player_or_a_threshold() -> None:
    """Campaigns are the only label that data decide without an end, and they are bounded."""
    ours = [one for one in defined() if one.name.startswith("prizewire_rewards_")]
    assert not FORBIDDEN & {label for one in ours for label in one.labels}
    campaigns = {one.labels["campaign"].most for one in ours if "campaign" in one.labels}
    assert campaigns == {metrics.CAMPAIGNS_SHOWN + 1}
    assert OTHER in metrics.CAMPAIGN.meaning
