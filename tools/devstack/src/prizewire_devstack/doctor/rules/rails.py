"""Rules about rails: no invented money, the same rails for payouts and webhooks, no deliveries to the own machine."""

from collections.abc import Iterator
from typing import Final

from prizewire_devstack.doctor.configuration import Subject
from prizewire_devstack.doctor.findings import Finding
from prizewire_devstack.doctor.rules.chain import kinds_of, rails_of

FAKE: Final = frozenset({"fake", "mock"})
"""Rails that move nothing."""
TEST_KEYS: Final = ("pk_test_", "sk_test_", "rk_test_")
"""The beginnings of Stripe's keys for tests (Stripe documentation, "API keys")."""


def _fake(subject: Subject) -> Iterator[Finding]:
    for one in subject.having("RAILS_FILE"):
        for entry in rails_of(one):
            if kinds_of(entry) & FAKE:
                yield Finding(
                    code="fake_rail",
                    place=one.service,
                    sentence=f"The rail {entry.get('name')} is a stand-in, which says paid and pays nobody: take it out.",
                )


def _mock(subject: Subject) -> Iterator[Finding]:
    payouts = subject.get("payouts")
    if payouts is not None and payouts.value("PAYMENT_PROVIDER") in FAKE:
        yield Finding(
            code="mock_payments",
            place="payouts",
            sentence="PAYMENT_PROVIDER is mock, which credits top-ups that nobody paid: leave it out.",
        )


def _test_mode(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        for name, value in one.given().items():
            if value.startswith(TEST_KEYS) and subject.live:
                yield Finding(
                    code="test_mode",
                    place=one.service,
                    sentence=f"{name} is a key of Stripe's test mode, where no money moves: use the key of the live mode.",
                )


def _same_rails(subject: Subject) -> Iterator[Finding]:
    payouts, webhooks = subject.get("payouts"), subject.get("webhooks")
    if payouts is None or webhooks is None or not webhooks.value("RAILS_FILE"):
        return
    known = {entry.get("name") for entry in rails_of(payouts)}
    for entry in rails_of(webhooks):
        if entry.get("name") not in known:
            yield Finding(
                code="rails_differ",
                place="webhooks",
                sentence=f"RAILS_FILE of webhooks has the rail {entry.get('name')}, which payouts does not have: give both "
                "services the same file.",
            )


def _targets(subject: Subject) -> Iterator[Finding]:
    webhooks = subject.get("webhooks")
    if webhooks is None:
        return
    if webhooks.is_true("WEBHOOKS_ALLOW_LOOPBACK"):
        yield Finding(
            code="webhook_targets",
            place="webhooks",
            sentence="WEBHOOKS_ALLOW_LOOPBACK is true: a subscriber could have requests sent to the service's own machine.",
        )
    if subject.live and webhooks.is_true("WEBHOOKS_ALLOW_PORT_80"):
        yield Finding(
            code="webhook_targets",
            place="webhooks",
            sentence="WEBHOOKS_ALLOW_PORT_80 is true: use port 443 only.",
        )


RULES: Final = (_fake, _mock, _test_mode, _same_rails, _targets)
