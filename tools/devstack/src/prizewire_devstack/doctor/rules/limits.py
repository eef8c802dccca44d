"""Rules about how much is paid without a person, and what the signer refuses whatever payouts asks for."""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from prizewire_devstack.doctor.configuration import ServiceConfiguration, Subject
from prizewire_devstack.doctor.findings import Finding
from prizewire_devstack.doctor.rules.chain import has_stellar

UP_TO: Final = "PAYOUTS_AUTO_APPROVE_UP_TO"
PER_DAY: Final = "PAYOUTS_AUTO_APPROVE_PER_DAY"
TWO_ABOVE: Final = "PAYOUTS_TWO_APPROVERS_ABOVE"

Amounts = dict[str, Decimal]


def _amount(value: object) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _amounts(one: ServiceConfiguration, name: str) -> tuple[Amounts, list[str]]:
    """The limits of a setting by asset, and the parts that cannot be read."""
    found: Amounts = {}
    wrong: list[str] = []
    for part in one.values(name):
        code, equals, text = part.partition("=")
        amount = _amount(text)
        if not equals or amount is None or amount <= 0 or code in found:
            wrong.append(part)
        else:
            found[code] = amount
    return found, wrong


def _redeemable(one: ServiceConfiguration) -> list[str]:
    document = one.document("ASSETS_FILE")
    assets = document.get("assets") if isinstance(document, dict) else None
    if not isinstance(assets, dict):
        return []
    return [str(code) for code, own in assets.items() if isinstance(own, dict) and own.get("redeemable")]


def _automatic(subject: Subject) -> Iterator[Finding]:
    payouts = subject.get("payouts")
    if payouts is None:
        return
    up_to, wrong = _amounts(payouts, UP_TO)
    per_day, wrong_too = _amounts(payouts, PER_DAY)
    two_above, wrong_three = _amounts(payouts, TWO_ABOVE)
    for part in (*wrong, *wrong_too, *wrong_three):
        yield _automatic_finding(
            f"The limit {part!r} is no CODE=AMOUNT above zero, or names its asset again."
        )
    for code in sorted(up_to.keys() ^ per_day.keys()):
        lacking = PER_DAY if code in up_to else UP_TO
        yield _automatic_finding(
            f"{lacking} has no limit for {code}: an asset needs one in both settings, or in neither."
        )
    for code, most in up_to.items():
        if code in per_day and per_day[code] < most:
            yield _automatic_finding(
                f"{PER_DAY} is {per_day[code]} {code} and {UP_TO} is {most} {code}: a single payout would pass the day's limit."
            )
        if code in two_above and two_above[code] < most:
            yield _automatic_finding(
                f"{UP_TO} is {most} {code} and {TWO_ABOVE} is {two_above[code]} {code}: payouts that need two persons would "
                "go without one."
            )


def _automatic_finding(sentence: str) -> Finding:
    return Finding(code="automatic_limits", place="payouts", sentence=sentence)


def _second_approver(subject: Subject) -> Iterator[Finding]:
    payouts = subject.get("payouts")
    if payouts is None:
        return
    two_above, _ = _amounts(payouts, TWO_ABOVE)
    for code in _redeemable(payouts):
        if code not in two_above:
            yield Finding(
                code="second_approver",
                place="payouts",
                sentence=f"{TWO_ABOVE} has no limit for {code}, so one person may approve any amount of it: set one.",
            )


def _signer_policy(subject: Subject) -> Iterator[Finding]:
    payouts, signer = subject.get("payouts"), subject.get("signer")
    if signer is None or (payouts is not None and not has_stellar(payouts)):
        return
    if not signer.value("SIGNER_POLICY_FILE"):
        yield _policy(
            "SIGNER_POLICY_FILE is not set, so the signer signs ten million of each asset at once: write a policy."
        )
        return
    document = signer.document("SIGNER_POLICY_FILE")
    if document is None:
        return
    assets = document.get("assets") if isinstance(document, dict) else None
    if not isinstance(assets, dict):
        yield _policy(
            "The signer's policy has no limits under `assets`: name payout_max and day_max of each asset."
        )
        return
    paid = [entry.partition(":")[0] for entry in signer.values("STELLAR_ASSETS")]
    for code in paid:
        if code not in assets:
            yield _policy(
                f"The signer's policy has no limits for {code}, which STELLAR_ASSETS names: the signer refuses it."
            )
    per_day, _ = ({}, []) if payouts is None else _amounts(payouts, PER_DAY)
    for code, own in assets.items():
        yield from _policy_of(str(code), own if isinstance(own, dict) else {}, automatic=per_day)


def _policy_of(code: str, own: Mapping[str, Any], *, automatic: Mapping[str, Decimal]) -> Iterator[Finding]:
    payout_max, day_max = _amount(own.get("payout_max")), _amount(own.get("day_max"))
    if payout_max is None or day_max is None:
        yield _policy(
            f"The signer's policy has no payout_max or no day_max for {code}: name both, as amounts."
        )
        return
    if day_max < payout_max:
        yield _policy(
            f"The signer's policy signs {payout_max} {code} at once and {day_max} in a day: correct one of them."
        )
    if code in automatic and day_max < automatic[code]:
        yield _policy(
            f"The signer signs at most {day_max} {code} in a day, and {PER_DAY} lets {automatic[code]} go: the rest would wait "
            "for a day."
        )


def _policy(sentence: str) -> Finding:
    return Finding(code="signer_policy", place="signer", sentence=sentence)


def _payout_rules(subject: Subject) -> Iterator[Finding]:
    rewards = subject.get("rewards")
    if rewards is None:
        return
    document = rewards.document("PAYOUT_RULES_FILE")
    players = document.get("players") if isinstance(document, dict) else None
    limited = players if isinstance(players, dict) else {}
    for code in _redeemable(rewards):
        rule = limited.get(code)
        if not isinstance(rule, dict) or "daily_limit" not in rule:
            yield Finding(
                code="payout_rules",
                place="rewards",
                sentence=f"PAYOUT_RULES_FILE has no daily limit for {code}: a stolen account could withdraw everything at once.",
            )


RULES: Final = (_automatic, _second_approver, _signer_policy, _payout_rules)
