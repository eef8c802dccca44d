"""Risk rules: each at its threshold and just below it."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from prizewire_money import Asset
from prizewire_rewards.campaigns.domain.settings import RiskThresholds, Velocity
from prizewire_rewards.claims.domain import (
    RULES,
    Facts,
    RuleName,
    Verdict,
    assess,
    merge_findings,
    verdict_of,
)
from prizewire_rewards.players.domain import KycState

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WEEK_S = 7 * 86_400
CLEAN = Facts(
    asset=Asset(code="USDC", decimals=2, redeemable=True),
    amount=10_000,
    recent=0,
    registered_at=NOW - timedelta(days=400),
    kyc_state=KycState.VERIFIED,
    sharing=(),
)
STRICT = RiskThresholds(
    velocity=Velocity(count=3, window_s=3600),
    amount=20_000,
    new_account_s=WEEK_S,
    collusion_winners=2,
    kyc_above=5_000,
)


def found(facts: Facts, thresholds: RiskThresholds = STRICT) -> list[tuple[RuleName, Verdict]]:
    return [(one.rule, one.verdict) for one in assess(facts=facts, thresholds=thresholds, now=NOW)]


def test_a_clean_claim_is_not_held() -> None:
    """With all rules set, a known player with a usual prize passes."""
    assert found(CLEAN) == []
    assert verdict_of(()) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"recent": 2}, []),
        ({"recent": 3}, [(RuleName.VELOCITY, Verdict.HOLD)]),
        ({"amount": 19_999}, []),
        ({"amount": 20_000}, [(RuleName.AMOUNT, Verdict.HOLD)]),
        ({"registered_at": NOW - timedelta(seconds=WEEK_S)}, []),
        ({"registered_at": NOW - timedelta(seconds=WEEK_S - 1)}, [(RuleName.NEW_ACCOUNT, Verdict.HOLD)]),
        ({"registered_at": None}, [(RuleName.NEW_ACCOUNT, Verdict.HOLD)]),
        ({"sharing": ("bob",)}, [(RuleName.COLLUSION, Verdict.HOLD)]),
        ({"kyc_state": None, "amount": 5_000}, []),
        ({"kyc_state": None, "amount": 5_001}, [(RuleName.KYC, Verdict.HOLD)]),
        ({"kyc_state": KycState.PENDING}, [(RuleName.KYC, Verdict.HOLD)]),
        ({"kyc_state": KycState.REJECTED, "amount": 1}, [(RuleName.KYC, Verdict.REJECT)]),
        ({"wrote_settings": True}, [(RuleName.OWN_SETTINGS, Verdict.HOLD)]),
    ],
)
def test_each_rule_holds_from_its_threshold_on(
    changes: dict[str, object], expected: list[tuple[RuleName, Verdict]]
) -> None:
    """Just below the threshold there is no finding; at the threshold the rule holds or rejects."""
    assert found(replace(CLEAN, **changes)) == expected  # type: ignore[arg-type]  # one field of many types


@pytest.mark.parametrize("field", [field.name for field in fields(RiskThresholds)])
def test_a_rule_without_a_threshold_does_not_apply(field: str) -> None:
    """All facts are suspicious: a rule without a threshold finds nothing, all others do."""
    suspect = replace(
        CLEAN,
        amount=50_000,
        recent=9,
        registered_at=NOW,
        kyc_state=KycState.REJECTED,
        sharing=("bob", "cid"),
        wrote_settings=True,
    )
    assert {rule for rule, _ in found(suspect)} == set(RuleName)
    off = {"new_account_s": "new_account", "collusion_winners": "collusion", "kyc_above": "kyc"}.get(
        field, field
    )
    assert {rule for rule, _ in found(suspect, replace(STRICT, **{field: None}))} == set(RuleName) - {off}


def test_the_rule_of_own_settings_needs_no_threshold() -> None:
    """The rule of own settings needs no threshold: a writer of settings may have set none."""
    own = replace(CLEAN, wrote_settings=True)
    assert found(own, RiskThresholds()) == [(RuleName.OWN_SETTINGS, Verdict.HOLD)]


def test_findings_of_two_sets_of_thresholds_are_merged() -> None:
    """Findings are in the rules' order, and a finding under either set counts."""
    large = replace(CLEAN, amount=50_000, recent=3)
    strict = assess(facts=large, thresholds=RiskThresholds(amount=20_000), now=NOW)
    other = assess(facts=large, thresholds=replace(STRICT, amount=30_000), now=NOW)
    both = merge_findings([strict, other])
    assert [finding.rule for finding in both] == [RuleName.VELOCITY, RuleName.AMOUNT]
    assert both[1] == strict[0]
    assert merge_findings([strict, ()]) == strict
    assert merge_findings([(), ()]) == ()


def test_a_rejection_outweighs_a_hold() -> None:
    """The strictest verdict counts, and the first finding of the table is the label in metrics."""
    findings = assess(
        facts=replace(CLEAN, amount=50_000, kyc_state=KycState.REJECTED), thresholds=STRICT, now=NOW
    )
    assert verdict_of(findings) is Verdict.REJECT
    assert findings[0].rule is RuleName.KYC
    assert verdict_of(findings[1:]) is Verdict.HOLD


def test_findings_say_what_was_seen_and_where_the_threshold_lies() -> None:
    """An operator reads the value and the threshold in amounts of the asset."""
    [finding] = assess(facts=replace(CLEAN, amount=25_000), thresholds=STRICT, now=NOW)
    assert (finding.saw, finding.threshold) == ("250.00 USDC", "below 200.00 USDC")


def test_every_rule_is_in_the_table_once_with_an_explanation() -> None:
    """Each rule name has one rule, with an explanation for operators."""
    assert sorted(rule.name for rule in RULES) == sorted(RuleName)
    assert all(rule.explanation.endswith(".") for rule in RULES)
