"""The configuration of rails is read strictly, and only what it names is loaded."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from prizewire_chassis.clock import ManualClock
from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import RailType
from prizewire_money import Amount
from prizewire_payouts.execution import ExecutionContext, ExecutionParts, ExecutionType
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.rails.adapters import RailEntry, read_rails
from prizewire_payouts.rails.build import Executions, RailParts, build_rails, check_packages
from prizewire_payouts.rails.domain import RailCost
from prizewire_payouts.rails.handlers import choose, in_order, next_after, served_types
from prizewire_payouts.rails.ports import Rail
from prizewire_railkit import RailMisconfigured
from prizewire_railkit.testing import MemoryDatabase
from services.payouts.tests.fakes import ScriptedProvider
from services.payouts.tests.rig import ASSETS, EURC, OWN

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def written(folder: Path, text: str) -> Path:
    path = folder / "rails.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold `rails:`"),
        ("rails: {}", "must hold `rails:`"),
        ("rails: []\nrail: []", "must hold `rails:`"),
        ("rails: [", "is no YAML"),
        ("rails: [fake]", "number 1 .* no mapping"),
        ("rails: [{provider: fake}]", "number 1 .* has no name"),
        ("rails: [{name: a}]", "the rail a names no provider"),
        ("rails: [{name: a, type: pigeon}]", "the rail a names no provider"),
        ("rails: [{name: a, provider: fake}, {name: a, provider: fake}]", "one name to two rails"),
    ],
)
def test_a_wrong_file_is_reported(tmp_path: Path, text: str, said: str) -> None:
    """Whatever is wrong in the file gets a sentence that names it."""
    with pytest.raises(RailMisconfigured, match=said):
        read_rails(written(tmp_path, text))


def test_how_webhooks_are_verified_is_passed_over(tmp_path: Path) -> None:
    """The webhook section of an entry is for the service that takes webhooks: it is no option of the rail."""
    text = "rails: [{name: a, provider: fake, latency_ms: 1, webhook: {secret_files: [s], tolerance_s: 9}}]"
    (entry,) = read_rails(written(tmp_path, text))
    assert entry.options == {"latency_ms": 1}


def build(tmp_path: Path, text: str) -> list[Rail]:
    parts = RailParts(
        clock=ManualClock(NOW),
        assets=ASSETS,
        environment="development",
        method_types={},
        store=MemoryDatabase().store,
    )
    return build_rails(read_rails(written(tmp_path, text)), parts=parts, executions=Executions(_context))


def _context(_: RailEntry) -> ExecutionContext:
    raise AssertionError("no execution is configured")


def test_rails_keep_the_order_of_the_file(tmp_path: Path) -> None:
    """Several rails of one type may stand beside each other, in their order of preference."""
    text = "rails: [{name: b, provider: fake}, {name: a, provider: fake, latency_ms: 5}]"
    assert [rail.name for rail in build(tmp_path, text)] == ["b", "a"]


def test_unknown_options_and_types_without_a_package_are_reported(tmp_path: Path) -> None:
    """A misspelt option and a type that nobody serves stop the start."""
    with pytest.raises(RailMisconfigured, match="unknown option 'latency'"):
        build(tmp_path, "rails: [{name: a, provider: fake, latency: 5}]")
    with pytest.raises(RailMisconfigured, match="no installed package brings"):
        build(tmp_path, "rails: [{name: a, provider: gift_card}]")


def test_only_configured_rails_are_imported(tmp_path: Path) -> None:
    """A package that serves a rail is not even imported where the configuration does not name it."""
    code = (
        "import sys; from pathlib import Path; from prizewire_payouts.rails.adapters import *;"
        "from prizewire_payouts.rails.build import *;"
        "from prizewire_chassis.clock import SystemClock; from prizewire_money import AssetRegistry;"
        "entries = read_rails(Path(sys.argv[1]));"
        "parts = RailParts(clock=SystemClock(), assets=AssetRegistry({}), environment='development', method_types={}, store=None);"
        "build_rails(entries, parts=parts, executions=Executions(print));"
        "print('prizewire_rail_fake' in sys.modules)"
    )
    for text, imported in (("rails: []", "False"), ("rails: [{name: a, provider: fake}]", "True")):
        done = subprocess.run(
            [sys.executable, "-c", code, str(written(tmp_path, text))],
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
        assert done.stdout.strip() == imported


def test_accounts_of_an_execution_have_one_execution() -> None:
    """A second rail of the same execution is refused, and the accounts of the first one are reported."""

    async def close() -> None:
        """Nothing is open."""

    async def none_signed(*_: object) -> list[UUID]:
        return []

    kind = ExecutionType(
        build=lambda _: ExecutionParts(
            provider=ScriptedProvider(),
            specs=[],
            jobs=[],
            lineage=lambda *_: None,  # type: ignore[arg-type,return-value] # not called
            checks=[],
            controllers=lambda _: [],
            signed_unasked=none_signed,
            own_accounts=frozenset({OWN}),
            close=close,
        ),
        check=lambda **_: None,
    )
    executions = Executions(lambda _: None)  # type: ignore[arg-type,return-value] # not read
    executions.build(RailEntry(name="a", provider="chain", options={}), kind)
    assert executions.own_accounts == {OWN}
    with pytest.raises(RailMisconfigured, match="the rail b is a second one of the provider chain"):
        executions.build(RailEntry(name="b", provider="chain", options={}), kind)


def payout(minor: int, *rail_types: str, method_type: str = "stellar") -> Payout:
    rail_types = rail_types or ("stellar",)
    return Payout(
        payout_id=UUID(int=1),
        correlation_id="c",
        causation_id="e",
        player="ana",
        campaign=None,
        competition=None,
        source=None,
        amount=Amount(EURC, minor),
        method_id=None,
        method_version=None,
        method_type=method_type,
        rail_type=rail_types[0],
        address=None,
        memo=None,
        filed_by="ana",
        reward_ids=(),
        intent={
            "allowed": [
                {"rail": one, "destination": None, "memo": None, "amount_max": "100.00"} for one in rail_types
            ]
        },
        intent_signature="",
        intent_expires_at=NOW,
        needs_closure=True,
        requested_at=NOW,
        changed_at=NOW,
    )


def rail(
    name: str, rail_type: str = RailType.STELLAR, *, minimum: int | None = None, maximum: int | None = None
) -> Rail:
    provider = ScriptedProvider(rail=name, rail_type=rail_type, method_types={"stellar"})
    capabilities = replace(
        provider.capabilities(),
        minimum={} if minimum is None else {"EURC": Amount(EURC, minimum)},
        maximum={} if maximum is None else {"EURC": Amount(EURC, maximum)},
    )
    return Rail(name=name, capabilities=capabilities, provider=provider)


def test_the_first_rail_that_fits_is_chosen() -> None:
    """Type, asset, method and limits decide; what fits none gets the code that says why."""
    rails = [rail("small", maximum=1000), rail("large", minimum=500)]
    assert choose(payout=payout(400), rails=rails) is rails[0]
    assert choose(payout=payout(1000), rails=rails) is rails[0]
    assert choose(payout=payout(1001), rails=rails) is rails[1]
    assert choose(payout=payout(1001), rails=rails[:1]) == PayoutCode.LIMIT_EXCEEDED
    assert choose(payout=payout(400), rails=rails[1:]) == PayoutCode.LIMIT_EXCEEDED
    assert choose(payout=payout(400, "fake"), rails=rails) == PayoutCode.RAIL_UNSUPPORTED
    assert choose(payout=payout(400, method_type="bank"), rails=rails) == PayoutCode.RAIL_UNSUPPORTED
    assert choose(payout=payout(400), rails=[]) == PayoutCode.RAIL_UNSUPPORTED


def test_the_intent_bounds_the_choice() -> None:
    """Of several types of rails that pay to a method, only one that the intent allows for the amount is chosen."""
    rails = [rail("exchange", "exchange"), rail("chain")]
    assert choose(payout=payout(400, "stellar", "exchange"), rails=rails) is rails[0]
    assert choose(payout=payout(400, "stellar"), rails=rails) is rails[1]
    assert choose(payout=payout(10_001), rails=rails) == PayoutCode.RAIL_UNSUPPORTED
    spoilt = replace(payout(400), intent={"allowed": [{"rail": "stellar"}]})
    assert choose(payout=spoilt, rails=rails) == PayoutCode.RAIL_UNSUPPORTED


def test_a_method_type_has_the_types_of_its_rails() -> None:
    """Each type of rail that pays to a method type is named once, in the order of the configuration."""
    rails = [rail("b", "exchange"), rail("a"), rail("c", "exchange")]
    assert served_types(rails) == {"stellar": ("exchange", "stellar")}


def at(name: str, *, preference: int = 0, fixed: int | None = None, share: str = "0", **limits: int) -> Rail:
    """A rail with a preference, and with a cost in EURC where ``fixed`` is given."""
    costs = {} if fixed is None else {"EURC": RailCost(fixed=Amount(EURC, fixed), share=Decimal(share))}
    return replace(rail(name, **limits), preference=preference, costs=costs)


@pytest.mark.parametrize(
    ("rails", "wanted"),
    [
        ([at("a"), at("b")], "ab"),
        ([at("a", fixed=10), at("b", fixed=9)], "ba"),
        ([at("a"), at("b", fixed=999)], "ba"),
        ([at("a", fixed=10), at("b", fixed=0, share="0.0999")], "ba"),
        ([at("a", fixed=10), at("b", fixed=0, share="0.1")], "ab"),
        ([at("a", fixed=10), at("b", fixed=0, share="0.100000000001")], "ab"),
        ([at("a", fixed=0, share="0.100000000001"), at("b", fixed=10)], "ba"),
        ([at("a", fixed=1), at("b", preference=-1, fixed=99)], "ba"),
        ([at("a", preference=1), at("b", fixed=99)], "ba"),
        ([at("a", preference=2), at("b", preference=1), at("c", preference=1, fixed=5)], "cba"),
    ],
)
def test_rails_are_ordered_by_preference_then_by_cost(rails: list[Rail], wanted: str) -> None:
    """Exactly, for 1.00 EURC; rails of unknown cost come last, and equal ones as they are given. The choice is the first of them, and
    each later one has its turn once.
    """
    paid = payout(100)
    assert "".join(one.name for one in in_order(amount=paid.amount, rails=rails)) == wanted
    found, chosen = "", choose(payout=paid, rails=rails)
    while isinstance(chosen, Rail):
        found += chosen.name
        chosen = next_after(payout=paid, rail=chosen.name, rails=rails) or PayoutCode.RAIL_UNSUPPORTED
    assert found == wanted


def test_a_cheaper_rail_that_does_not_fit_is_passed_over() -> None:
    """Limits come before cost, and the cost depends on the amount."""
    rails = [at("flat", fixed=50), at("share", fixed=0, share="0.01", maximum=9_000)]
    assert choose(payout=payout(4_999), rails=rails) is rails[1]
    assert choose(payout=payout(5_001), rails=rails) is rails[0]
    assert choose(payout=payout(9_001), rails=rails[1:]) == PayoutCode.LIMIT_EXCEEDED
    assert next_after(payout=payout(100), rail="gone", rails=rails) is None


def test_preference_and_cost_are_read_from_the_file(tmp_path: Path) -> None:
    """They are no options of the package, and the rails are in the order of their preference."""
    text = (
        "rails: [{name: b, provider: fake, preference: 2}, "
        '{name: a, provider: fake, preference: -1, cost: {EURC: {fixed: "0.10", share: "0.005"}}}]'
    )
    found = build(tmp_path, text)
    assert [one.name for one in found] == ["a", "b"]
    assert found[0].costs == {"EURC": RailCost(fixed=Amount(EURC, 10), share=Decimal("0.005"))}
    assert served_types(found) == {"fake": ("fake",)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("preference: first", "preference must be a whole number"),
        ("preference: true", "preference must be a whole number"),
        ("preference: 1001", "preference must be a whole number"),
        ("cost: 1", "cost must be a mapping by asset"),
        ("cost: {EURC: 0.1}", "cost of EURC holds `fixed:` or `share:`"),
        ("cost: {EURC: {}}", "cost of EURC holds `fixed:` or `share:`"),
        ("cost: {EURC: {fixed: 0.1}}", "numbers stand in quotes"),
        ('cost: {EURC: {fixed: "0.101"}}', "cost of EURC"),
        ('cost: {EURC: {fixed: "-1"}}', "cost of EURC"),
        ('cost: {EURC: {share: "1.5"}}', "from 0 to 1"),
        ('cost: {EURC: {share: "NaN"}}', "from 0 to 1"),
        ('cost: {MOON: {fixed: "1"}}', "cost of MOON"),
    ],
)
def test_a_wrong_preference_or_cost_is_reported(tmp_path: Path, text: str, said: str) -> None:
    """With the name of the rail, before the service starts."""
    with pytest.raises(RailMisconfigured, match=f"the rail a: .*{said}"):
        build(tmp_path, f"rails: [{{name: a, provider: fake, {text}}}]")


def test_the_options_of_packages_are_checked_before_the_start(tmp_path: Path) -> None:
    """An unknown option is found, and the check opens no file of the package."""
    parts = RailParts(
        clock=ManualClock(NOW), assets=ASSETS, environment="development", method_types={}, store=None
    )
    journal = tmp_path / "journal.sqlite"
    good = f"rails: [{{name: a, provider: fake, journal: {journal}}}]"
    check_packages(read_rails(written(tmp_path, good)), parts=parts)
    assert not journal.exists()
    with pytest.raises(RailMisconfigured, match="unknown option 'latency'"):
        check_packages(
            read_rails(written(tmp_path, good.replace("journal:", "latency: 5, journal:"))), parts=parts
        )
