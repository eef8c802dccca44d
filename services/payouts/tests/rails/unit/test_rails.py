"""The configuration of rails is read strictly, and only what it names is loaded."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from prizewire_chassis.clock import ManualClock
from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import RailType
from prizewire_money import Amount
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.rails.adapters import build_rails, read_rails
from prizewire_payouts.rails.handlers import choose
from prizewire_payouts.rails.ports import Rail
from prizewire_railkit import RailMisconfigured
from services.payouts.tests.fakes import ScriptedProvider
from services.payouts.tests.rig import ASSETS, EURC

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
        ("rails: [{type: fake}]", "number 1 .* has no name"),
        ("rails: [{name: a}]", "the rail a has no type"),
        ("rails: [{name: a, type: pigeon}]", "the rail a has no type"),
        ("rails: [{name: a, type: fake}, {name: a, type: fake}]", "one name to two rails"),
    ],
)
def test_a_wrong_file_is_reported(tmp_path: Path, text: str, said: str) -> None:
    """Whatever is wrong in the file gets a sentence that names it."""
    with pytest.raises(RailMisconfigured, match=said):
        read_rails(written(tmp_path, text))


def test_how_webhooks_are_verified_is_passed_over(tmp_path: Path) -> None:
    """The webhook section of an entry is for the service that takes webhooks: it is no option of the rail."""
    text = "rails: [{name: a, type: fake, latency_ms: 1, webhook: {secret_files: [s], tolerance_s: 9}}]"
    (entry,) = read_rails(written(tmp_path, text))
    assert entry.options == {"latency_ms": 1}


def build(tmp_path: Path, text: str) -> list[Rail]:
    return build_rails(
        read_rails(written(tmp_path, text)),
        built_in={RailType.STELLAR: lambda _: ScriptedProvider()},
        clock=ManualClock(NOW),
        assets=ASSETS,
        environment="development",
    )


def test_rails_keep_the_order_of_the_file(tmp_path: Path) -> None:
    """Several rails of one type may stand beside each other, in their order of preference."""
    text = (
        "rails: [{name: b, type: fake}, {name: stellar, type: stellar}, {name: a, type: fake, latency_ms: 5}]"
    )
    assert [rail.name for rail in build(tmp_path, text)] == ["b", "stellar", "a"]


def test_unknown_options_and_types_without_a_package_are_reported(tmp_path: Path) -> None:
    """A misspelt option and a type that nobody serves stop the start."""
    with pytest.raises(RailMisconfigured, match="unknown option 'latency'"):
        build(tmp_path, "rails: [{name: a, type: fake, latency: 5}]")
    with pytest.raises(RailMisconfigured, match="no installed package serves"):
        build(tmp_path, "rails: [{name: a, type: gift_card}]")


def test_only_configured_rails_are_imported(tmp_path: Path) -> None:
    """A package that serves a rail is not even imported where the configuration does not name it."""
    code = (
        "import sys; from pathlib import Path; from prizewire_payouts.rails.adapters import *;"
        "from prizewire_chassis.clock import SystemClock; from prizewire_money import AssetRegistry;"
        "entries = read_rails(Path(sys.argv[1]));"
        "build_rails(entries, built_in={}, clock=SystemClock(), assets=AssetRegistry({}), environment='development');"
        "print('prizewire_rail_fake' in sys.modules)"
    )
    for text, imported in (("rails: []", "False"), ("rails: [{name: a, type: fake}]", "True")):
        done = subprocess.run(
            [sys.executable, "-c", code, str(written(tmp_path, text))],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout.strip() == imported


def payout(minor: int, *, rail_type: str = "stellar", method_type: str = "stellar") -> Payout:
    return Payout(
        payout_id=UUID(int=1),
        correlation_id="c",
        causation_id="e",
        player="ana",
        campaign=None,
        amount=Amount(EURC, minor),
        method_id=None,
        method_version=None,
        method_type=method_type,
        rail_type=rail_type,
        address=None,
        memo=None,
        filed_by="ana",
        reward_ids=(),
        intent={},
        intent_signature="",
        intent_expires_at=NOW,
        needs_closure=True,
        requested_at=NOW,
        changed_at=NOW,
    )


def rail(name: str, *, minimum: int | None = None, maximum: int | None = None) -> Rail:
    provider = ScriptedProvider(rail=name)
    capabilities = replace(
        provider.capabilities(),
        minimum={} if minimum is None else {"EURC": Amount(EURC, minimum)},
        maximum={} if maximum is None else {"EURC": Amount(EURC, maximum)},
    )
    return Rail(name=name, capabilities=capabilities, provider=provider)


def test_the_first_rail_that_fits_is_chosen() -> None:
    """Type, asset, method and limits decide; what fits none gets the code that says why."""
    rails = [rail("small", maximum=1000), rail("large", minimum=500)]
    assert choose(payout=payout(400), rails=rails) == "small"
    assert choose(payout=payout(1000), rails=rails) == "small"
    assert choose(payout=payout(1001), rails=rails) == "large"
    assert choose(payout=payout(1001), rails=rails[:1]) == PayoutCode.LIMIT_EXCEEDED
    assert choose(payout=payout(400), rails=rails[1:]) == PayoutCode.LIMIT_EXCEEDED
    assert choose(payout=payout(400, rail_type="fake"), rails=rails) == PayoutCode.RAIL_UNSUPPORTED
    assert choose(payout=payout(400, method_type="bank"), rails=rails) == PayoutCode.RAIL_UNSUPPORTED
    assert choose(payout=payout(400), rails=[]) == PayoutCode.RAIL_UNSUPPORTED
