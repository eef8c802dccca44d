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

UNITS_MAX: Final = 10_000_000
"""Whole units of an asset above which a limit stops no payment that anybody would ask for."""

Amounts = dict[str, Decimal]


def _amount(value: object) -> Decimal | None:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


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


def _automatic_amounts(one: ServiceConfiguration) -> tuple[Amounts, Amounts, list[str]]:
    """The automatic limits by asset, those of single rails by ``RAIL:CODE``, and the parts that cannot be read."""
    found, wrong = _amounts(one, UP_TO)
    on_rail = {name: amount for name, amount in found.items() if ":" in name}
    return {code: amount for code, amount in found.items() if code not in on_rail}, on_rail, wrong


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
    of_assets, of_rails, wrong = _automatic_amounts(payouts)
    limits = {**of_assets, **of_rails}
    up_to = {name.rpartition(":")[2] for name in limits}
    per_day, wrong_too = _amounts(payouts, PER_DAY)
    two_above, wrong_three = _amounts(payouts, TWO_ABOVE)
    for part in (*wrong, *wrong_too, *wrong_three):
        yield _automatic_finding(f"The limit {part!r} is no CODE=AMOUNT above zero, or is given again.")
    for code in sorted(up_to ^ per_day.keys()):
        lacking = PER_DAY if code in up_to else UP_TO
        yield _automatic_finding(
            f"{lacking} has no limit for {code}: an asset needs one in both settings, or in neither."
        )
    for name, most in limits.items():
        rail, colon, code = name.rpartition(":")
        over = f" over {rail}" if colon else ""
        if code in per_day and per_day[code] < most:
            yield _automatic_finding(
                f"{PER_DAY} is {per_day[code]} {code} and {UP_TO} is {most} {code}{over}: a single payout would pass the day's limit."
            )
        if code in two_above and two_above[code] < most:
            yield _automatic_finding(
                f"{UP_TO} is {most} {code}{over} and {TWO_ABOVE} is {two_above[code]} {code}: payouts that need two persons would "
                "go without one."
            )


def _automatic_finding(sentence: str) -> Finding:
    return Finding(code="automatic_limits", place="payouts", sentence=sentence)


def _second_approver(subject: Subject) -> Iterator[Finding]:
    payouts = subject.get("payouts")
    if payouts is None:
        return
    two_above, _ = _amounts(payouts, TWO_ABOVE)
    for code, own in _signed(subject).items():
        most = _amount(own.get("payout_max"))
        if code in two_above and most is not None and two_above[code] >= most:
            yield Finding(
                code="second_approver",
                place="payouts",
                sentence=f"{TWO_ABOVE} is {two_above[code]} {code}, and the signer signs at most {most} at once, so no payout would "
                "ever need two persons: name less.",
            )
    for code in _redeemable(payouts):
        if code not in two_above:
            yield Finding(
                code="second_approver",
                place="payouts",
                sentence=f"{TWO_ABOVE} has no limit for {code}, so one person may approve any amount of it: set one.",
            )


def _signed(subject: Subject) -> dict[str, dict[str, Any]]:
    """The limits of the signer's policy by asset; none where it is missing or malformed."""
    signer = subject.get("signer")
    document = None if signer is None else signer.document("SIGNER_POLICY_FILE")
    assets = document.get("assets") if isinstance(document, dict) else None
    if not isinstance(assets, dict):
        return {}
    return {str(code): own for code, own in assets.items() if isinstance(own, dict)}


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
    again_max = _amount(own.get("again_max", payout_max))
    if again_max is None or again_max > day_max:
        yield _policy(
            f"The signer's policy has an again_max for {code} that is no amount, or more than its day_max: name less."
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
    limits, signed = _daily(subject), _signed(subject)
    for code in _redeemable(rewards):
        if code not in limits:
            yield Finding(
                code="payout_rules",
                place="rewards",
                sentence=f"PAYOUT_RULES_FILE has no daily limit for {code}: a stolen account could withdraw everything at once.",
            )
            continue
        day_max = _amount(signed.get(code, {}).get("day_max"))
        if day_max is not None and limits[code] >= day_max:
            yield Finding(
                code="payout_rules",
                place="rewards",
                sentence=f"PAYOUT_RULES_FILE lets a player withdraw {limits[code]} {code} in a day, and the signer signs {day_max} "
                "for all players together: name less.",
            )


def _daily(subject: Subject) -> Amounts:
    """What a player may withdraw in a day, by asset."""
    rewards = subject.get("rewards")
    document = None if rewards is None else rewards.document("PAYOUT_RULES_FILE")
    players = document.get("players") if isinstance(document, dict) else None
    rules = players.items() if isinstance(players, dict) else ()
    found = {str(code): _amount(rule.get("daily_limit")) for code, rule in rules if isinstance(rule, dict)}
    return {code: amount for code, amount in found.items() if amount is not None}


def _unbounded(subject: Subject) -> Iterator[Finding]:
    limits = [("rewards", "daily_limit", _daily(subject))]
    payouts = subject.get("payouts")
    if payouts is not None:
        limits += [("payouts", name, _amounts(payouts, name)[0]) for name in (UP_TO, PER_DAY, TWO_ABOVE)]
    for name in ("payout_max", "day_max", "again_max"):
        found = {code: _amount(own.get(name)) for code, own in _signed(subject).items()}
        limits.append(("signer", name, {code: one for code, one in found.items() if one is not None}))
    for service, name, amounts in limits:
        for code, amount in amounts.items():
            if amount > UNITS_MAX:
                yield Finding(
                    code="limit_unbounded",
                    place=service,
                    sentence=f"{name} is {amount:f} {code}, which bounds nothing: name an amount that you could lose.",
                )


RULES: Final = (_automatic, _second_approver, _signer_policy, _payout_rules, _unbounded)
