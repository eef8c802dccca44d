"""What the fake rail does beyond the suite: its script, its book, its refusal to run in production."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.ids import provider_key
from prizewire_contracts.rails import Outcome, PayoutInstruction, PayoutReference
from prizewire_money import Amount, AssetRegistry
from prizewire_rail_fake import FakeProvider, Journal, build
from prizewire_railkit import Options, RailContext, RailMisconfigured

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ASSETS = AssetRegistry.from_mapping(
    {"EURC": {"decimals": 2, "redeemable": True}, "SEASON": {"decimals": 0, "redeemable": False}}
)


class StillClock:
    def now(self) -> datetime:
        return NOW


def context(environment: str = "development", **options: Any) -> RailContext:
    return RailContext(
        name="fake",
        options=Options(rail="fake", values=options),
        clock=StillClock(),
        assets=ASSETS,
        environment=environment,
    )


def instruction(account: str, payout_id: UUID | None = None, attempt_no: int = 1) -> PayoutInstruction:
    payout = payout_id or uuid4()
    return PayoutInstruction(
        payout_id=payout,
        attempt_no=attempt_no,
        provider_key=provider_key(payout_id=payout, attempt_no=attempt_no),
        correlation_id=str(payout),
        amount=Amount(ASSETS["EURC"], 500),
        method_type="fake",
        details={"account": account},
    )


def reference(wanted: PayoutInstruction) -> PayoutReference:
    return PayoutReference(
        payout_id=wanted.payout_id,
        attempt_no=wanted.attempt_no,
        provider_key=wanted.provider_key,
        amount=wanted.amount,
    )


def test_production_refuses_it() -> None:
    """A rail that pays nobody stops the service in production, with a sentence."""
    with pytest.raises(RailMisconfigured, match="may not run in production"):
        build(context("production"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scenaro": "success"}, "unknown option 'scenaro'"),
        ({"scenario": "sometimes"}, "must be one of"),
        ({"latency_ms": "5"}, "must be a whole number"),
        ({"assets": ["GOLD"]}, "GOLD"),
    ],
)
def test_wrong_options_are_said(options: dict[str, Any], said: str) -> None:
    """An option that is unknown or wrong is named."""
    with pytest.raises(RailMisconfigured, match=said):
        build(context(**options))


def test_only_what_may_be_paid_out_is_carried() -> None:
    """Season points cannot be redeemed, so the rail does not offer them unasked."""
    assert build(context()).capabilities().assets == {"EURC"}


async def test_an_account_chooses_its_own_scenario() -> None:
    """A prefix in the account's name overrides the rail's script, an unknown prefix does not."""
    provider = build(context())
    failed = await provider.create_payout(instruction("failure+ana"), now=NOW)
    assert (failed.outcome, failed.code) == (Outcome.NO_EFFECT, PayoutCode.PROVIDER_REJECTED)
    assert (await provider.create_payout(instruction("friend+ana"), now=NOW)).outcome is Outcome.PAID


async def test_another_amount_under_the_same_key_is_not_paid() -> None:
    """A key stands for one payment: a second amount under it changes nothing and proves nothing."""
    provider = build(context())
    first = instruction("ana")
    await provider.create_payout(first, now=NOW)
    result = await provider.create_payout(replace(first, amount=Amount(ASSETS["EURC"], 501)), now=NOW)
    assert (result.outcome, result.code) == (Outcome.UNKNOWN, PayoutCode.IDEMPOTENCY_CONFLICT)
    assert provider.journal.effects() == 1


async def test_a_lost_request_is_proved_without_effect() -> None:
    """When the request never arrived, the look-up closes the key; the next attempt pays."""
    provider = build(context())
    first = instruction("lost_request+ana")
    assert (await provider.create_payout(first, now=NOW)).outcome is Outcome.UNKNOWN
    assert (await provider.sync_status(reference(first), now=NOW)).outcome is Outcome.NO_EFFECT
    second = instruction("lost_request+ana", first.payout_id, 2)
    assert (await provider.create_payout(second, now=NOW)).outcome is Outcome.PAID
    assert provider.journal.effects(first.payout_id) == 1


async def test_a_payment_can_come_back() -> None:
    """A returned payment is paid first, and names its return later."""
    provider = build(context(pending_looks=2))
    wanted = instruction("returned+ana")
    assert (await provider.create_payout(wanted, now=NOW)).outcome is Outcome.PAID
    assert (await provider.sync_status(reference(wanted), now=NOW)).outcome is Outcome.PAID
    back = await provider.sync_status(reference(wanted), now=NOW)
    assert back.outcome is Outcome.RETURNED
    assert back.return_ref


async def test_the_journal_survives_the_rail(tmp_path: Path) -> None:
    """A book in a file keeps its payments and effects for the next process."""
    options = {"journal": str(tmp_path / "books" / "fake.sqlite")}
    wanted = instruction("lost_answer+ana")
    assert (await build(context(**options)).create_payout(wanted, now=NOW)).outcome is Outcome.UNKNOWN
    again = build(context(**options))
    assert (await again.sync_status(reference(wanted), now=NOW)).outcome is Outcome.PAID
    assert Journal(Path(options["journal"])).effects(wanted.payout_id) == 1


async def test_an_outage_file_takes_the_rail_away(tmp_path: Path) -> None:
    """While the named file exists nothing is paid and nothing is proved."""
    switch = tmp_path / "away"
    provider: FakeProvider = build(context(outage_file=str(switch)))
    wanted = instruction("ana")
    switch.touch()
    assert (await provider.create_payout(wanted, now=NOW)).code == PayoutCode.RAIL_UNAVAILABLE
    assert (await provider.sync_status(reference(wanted), now=NOW)).outcome is Outcome.UNKNOWN
    switch.unlink()
    assert (await provider.create_payout(wanted, now=NOW)).outcome is Outcome.PAID
