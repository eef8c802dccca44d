"""What an operator does with the command, against the whole stack."""

import json
from pathlib import Path
from typing import Any

import pytest

from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync
from tests.command import answered, prizewire


def test_opening_balances_are_imported_once(full_stack: RunningStack, tmp_path: Path) -> None:
    """A dry run, the import, and a second run that changes nothing; then the wallet shows them."""
    file = tmp_path / "old.csv"
    file.write_text(
        "player,asset,bucket,amount,reference\n"
        "veteran,USDC,winnings,125.50,arena\nveteran,USDC,topup,10.00,arena\nveteran,SEASON,winnings,900,arena\n"
    )
    dry = answered(full_stack, "import", "balances", str(file))
    assert (dry["dry_run"], dry["imported"]) == (True, 3)
    done, again = (answered(full_stack, "import", "balances", str(file), "--apply") for _ in range(2))
    assert (done["imported"], done["already"]) == (3, 0)
    assert (again["imported"], again["already"]) == (0, 3)
    assert [one["after"] for one in again["sums"]] == [one["after"] for one in done["sums"]]
    file.write_text(file.read_text().replace("125.50", "125.51"))
    refused = answered(full_stack, "import", "balances", str(file), "--apply", code=1)
    assert [(one["line"], one["code"]) for one in refused["refusals"]] == [(2, "amount_changed")]


def test_an_unknown_correlation_id_is_reported(full_stack: RunningStack) -> None:
    """The command exits with code 1."""
    assert answered(full_stack, "trace", "nobody-knows", code=1)["steps"] == []


IN_OTHER_WORDS = """
campaigns:
  - {name: in-other-words, asset: USDC, delivery: wallet, low_water: "5", caps: {per_player: "7.5"}}
competitions:
  - id: in-other-words
    name: In other words
    campaign: in-other-words
    asset: USDC
    gross_prize: "100"
    template: {table: [{places: "1", percent_each: "40"}, {places: "2-3", percent_each: "30.0"}]}
    sources: [{source: /game-servers/local, keys: [local]}]
"""
"""Percentages of single places and amounts without their decimals, which the services answer in another form."""


@pytest.mark.parametrize("other_words", [False, True])
def test_applying_a_file_twice_changes_nothing(
    full_stack: RunningStack, tmp_path: Path, *, other_words: bool
) -> None:
    """The state in the services is compared with the file."""
    example = (full_stack.root / "examples" / "candidates-2024" / "prizewire.yaml").read_text()
    file = tmp_path / "prizewire.yaml"
    # This test uses a name of its own: other tests apply the example in other assets.
    file.write_text(IN_OTHER_WORDS if other_words else example.replace("candidates-2024", "applied-twice"))
    first, second = (answered(full_stack, "apply", str(file))["changes"] for _ in range(2))
    assert [change["action"] for change in first] == ["created", "created"]
    assert [change["action"] for change in second] == ["unchanged", "unchanged"]


def test_a_refused_result_is_listed_shown_and_replayed(full_stack: RunningStack, tmp_path: Path) -> None:
    """A result for a missing competition is replayed after the competition is created."""
    name = "late-cup"
    event = {"match_id": "late-1", "competition": name, "results": [{"player": "ada", "place": 1}]}
    (tmp_path / "match.json").write_text(json.dumps(event))
    sent = answered(full_stack, "publish", str(tmp_path / "match.json"))

    def stuck() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = answered(full_stack, "stuck", "list", "--service", "settlement")[
            "items"
        ]
        return [item for item in items if item["subject"] == "late-1"]

    item = eventually_sync(stuck)[0]
    assert (item["state"], item["reason"]) == ("dead", "competition_unknown")
    assert name in prizewire(full_stack, "stuck", "show", item["ref"])
    assert answered(full_stack, "stuck", "replay", item["ref"], code=1)["reason"] == "competition_unknown"

    declaration = (full_stack.root / "examples" / "small-round" / "prizewire.yaml").read_text()
    (tmp_path / "late.yaml").write_text(declaration.replace("small-round", name))
    prizewire(full_stack, "apply", str(tmp_path / "late.yaml"))
    assert answered(full_stack, "stuck", "replay", item["ref"])["state"] == "replayed"
    correlation_id = sent["correlation_ids"][0]
    eventually_sync(
        lambda: "rewards" in answered(full_stack, "trace", correlation_id)["services"], deadline_s=600
    )
