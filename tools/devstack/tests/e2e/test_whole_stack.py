"""The command against the whole stack: the demonstration, and what an operator does with it."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prizewire_devstack.cli.status import memory_bytes
from prizewire_devstack.cli.watching import Watcher
from prizewire_devstack.components.processes import answers_ok, base_environment
from prizewire_devstack.home import HOME_VARIABLE
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import Stack
from prizewire_devstack.stack.control import Requests
from prizewire_devstack.stack.keeping import Keeper
from prizewire_devstack.waiting import eventually_sync

COMMAND_TIMEOUT_S = 280


def prizewire(stack: Stack, *arguments: str, code: int = 0) -> str:
    """Run the command against the stack and return its output."""
    done = subprocess.run(
        (sys.executable, "-m", "prizewire_devstack", *arguments),
        env={**base_environment(), HOME_VARIABLE: str(stack.home.root)},
        cwd=stack.root,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def answered(stack: Stack, *arguments: str, code: int = 0) -> Any:
    return json.loads(prizewire(stack, *arguments, "--json", code=code))


@dataclass(frozen=True)
class Demonstration:
    """The outcome of the demonstration, and the proportional set size of each service right after it, in bytes."""

    outcome: dict[str, Any]
    memory: dict[str, int | None]


@pytest.fixture(scope="module")
def demonstration(full_stack: Stack) -> Demonstration:
    """The demonstration on freshly started services: requests of other tests would add memory."""
    for service in SERVICES:
        full_stack.stop(service)
    for service in SERVICES:
        full_stack.start_again(service)
    for service in SERVICES:
        full_stack.wait_ready(service)
    outcome = answered(full_stack, "demo")
    memory = {service: memory_bytes(full_stack.supervisor.pid(service)) for service in SERVICES}
    return Demonstration(outcome=outcome, memory=memory)


@pytest.fixture(scope="module")
def outcome(demonstration: Demonstration) -> dict[str, Any]:
    return demonstration.outcome


@pytest.mark.usefixtures("outcome")
def test_the_state_is_its_owners_alone(full_stack: Stack) -> None:
    """Other users can read, write and enter nothing in the state directory: logs, data and sockets included."""
    root = full_stack.home.root
    found = [root, *root.rglob("*")]
    assert len(found) > 100
    open_to_others = {
        str(path.relative_to(root)): oct(mode)
        for path in found
        if not path.is_symlink() and path.exists() and (mode := path.stat().st_mode) & 0o077
    }
    assert open_to_others == {}


def environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


def test_no_service_has_a_secret_in_its_environment(full_stack: Stack) -> None:
    """Passwords and keys come by files of mode 0600; no service has the path of the key of access tokens."""
    keyring = full_stack.keyring
    chain = keyring.stellar()
    for service in SERVICES:
        environment = environment_of(full_stack.supervisor.pid(service))
        passwords = keyring.role_passwords(service)
        secrets = [
            passwords.runtime,
            passwords.owner,
            *keyring.kafka_passwords().values(),
            chain.treasury.secret,
        ]
        assert [secret for secret in secrets if secret in environment] == []
        assert keyring.token_key_file.name not in environment
        assert ("JWT_" in environment) is (service != "signer")


def test_every_prize_of_the_demonstration_is_paid(outcome: dict[str, Any]) -> None:
    """Eight candidates, 71 of a made hundred, three of a small round; every sum matches."""
    assert (outcome["prizes"], outcome["paid"], outcome["failed"]) == (82, 82, 0)
    assert outcome["sums_match"] is True
    assert outcome["webhooks_delivered"] == 82


def test_the_published_prizes_come_out(outcome: dict[str, Any]) -> None:
    """Three tied for second shared 36,000 and 24,000; each half-point earned 3,500."""
    candidates = outcome["tournaments"][0]["prizes"]
    assert {prize["player"]: prize["amount"] for prize in candidates} == {
        "Gukesh D": "111000.00",
        "Hikaru Nakamura": "79500.00",
        "Ian Nepomniachtchi": "79500.00",
        "Fabiano Caruana": "79500.00",
        "R Praggnanandhaa": "49000.00",
        "Vidit Gujrathi": "42000.00",
        "Alireza Firouzja": "35000.00",
        "Nijat Abasov": "24500.00",
    }


def test_every_match_leaves_a_trace_in_all_five_services(full_stack: Stack, outcome: dict[str, Any]) -> None:
    """From match result to transaction hash, over HTTP."""
    for tournament in outcome["tournaments"]:
        found = answered(full_stack, "trace", tournament["correlation_id"])
        assert set(found["services"]) == set(SERVICES)
        text = json.dumps(found)
        assert all(prize["tx_hash"] in text for prize in tournament["prizes"] if prize["rail"] == "stellar")


def test_everything_holds_after_the_demonstration(full_stack: Stack, outcome: dict[str, Any]) -> None:
    """Each service has checked its invariants; settlement, rewards and payouts agree on every round and payout."""
    found = answered(full_stack, "verify")
    assert found["ok"], found
    pairs = {"settlement and rewards", "rewards and payouts"}
    assert {one["service"] for one in found["checks"]} == {*SERVICES, *pairs}
    compared = {one["invariant"]: one["looked_at"] for one in found["checks"] if one["service"] in pairs}
    assert min(compared["prizes_are_those_settled"], compared["rounds_were_settled"]) >= len(
        outcome["tournaments"]
    )
    assert min(compared["payouts_are_known"], compared["payouts_were_asked_for"]) > 0
    assert f"{len(found['checks'])} invariants hold; " in prizewire(full_stack, "verify")


def test_opening_balances_are_imported_once(full_stack: Stack, tmp_path: Path) -> None:
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


def test_an_unknown_correlation_id_is_reported(full_stack: Stack) -> None:
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
    full_stack: Stack, tmp_path: Path, *, other_words: bool
) -> None:
    """The state in the services is compared with the file."""
    example = (full_stack.root / "examples" / "candidates-2024" / "prizewire.yaml").read_text()
    file = tmp_path / "prizewire.yaml"
    # This test uses a name of its own: other tests apply the example in other assets.
    file.write_text(IN_OTHER_WORDS if other_words else example.replace("candidates-2024", "applied-twice"))
    first, second = (answered(full_stack, "apply", str(file))["changes"] for _ in range(2))
    assert [change["action"] for change in first] == ["created", "created"]
    assert [change["action"] for change in second] == ["unchanged", "unchanged"]


def test_a_refused_result_is_listed_shown_and_replayed(full_stack: Stack, tmp_path: Path) -> None:
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
        lambda: "rewards" in answered(full_stack, "trace", correlation_id)["services"], deadline_s=120
    )


def test_a_service_runs_by_hand_with_the_environment_that_is_printed(
    full_stack: Stack, tmp_path: Path
) -> None:
    """Without it the other services are shown and it is named; started by hand, it answers through the gateway."""
    full_stack.stop("webhooks")
    try:
        assert answered(full_stack, "stuck", "list", code=1)["silent"] == ["webhooks"]
        assert answered(full_stack, "trace", "nobody-knows", code=1)["silent"] == ["webhooks"]
        assert answered(full_stack, "verify", code=1)["silent"] == ["webhooks"]
        with (tmp_path / "webhooks.log").open("wb") as log:
            by_hand = subprocess.Popen(
                (sys.executable, "-m", "prizewire_webhooks", "serve"),
                env={**base_environment(), **answered(full_stack, "env", "webhooks")},
                cwd=tmp_path,
                stdout=log,
                stderr=log,
            )
        try:
            eventually_sync(
                lambda: answers_ok(f"{full_stack.service_url('webhooks')}/health/ready"), deadline_s=120
            )
            assert answered(full_stack, "stuck", "list", "--service", "webhooks")["silent"] == []
        finally:
            by_hand.terminate()
            by_hand.wait(30)
    finally:
        full_stack.restart("webhooks")


def test_status_of_a_healthy_stack_is_good(full_stack: Stack) -> None:
    """Each part with its memory; nothing has ended."""
    found = answered(full_stack, "status")
    assert found["healthy"] is True
    assert {part["part"] for part in found["parts"]} >= {*SERVICES, "kafka", "postgres", "stellar", "gateway"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_stays_small(service: str, demonstration: Demonstration) -> None:
    """Below 140 MB, proportional set size, after the demonstration; payouts, the largest, had 131."""
    memory = demonstration.memory[service]
    assert memory is not None
    assert memory < 140 * 2**20


def test_an_ended_service_is_restarted_also_from_another_terminal(full_stack: Stack) -> None:
    """`prizewire up` checks every second: it reports the end, and the service is ready again on its port."""
    said: list[str] = []
    requests = Requests(full_stack.home)
    keeper = Keeper(stack=full_stack, requests=requests, say=said.append)
    watcher = Watcher(
        supervisor=full_stack.supervisor, directory=full_stack.home.root, say=said.append, ended=keeper.ended
    )

    def says(sentence: str) -> bool:
        watcher.look()
        keeper.look()
        return sentence in said

    before = full_stack.supervisor.pid("webhooks")
    os.kill(before, signal.SIGKILL)
    eventually_sync(lambda: says("webhooks is ready again."), deadline_s=120)
    assert said[0].startswith("webhooks ended unexpectedly (killed by SIGKILL).")
    assert full_stack.home.running().processes["webhooks"].pid == full_stack.supervisor.pid("webhooks")
    said.clear()
    with requests.opened(), ThreadPoolExecutor(1) as terminal:
        asked = terminal.submit(prizewire, full_stack, "restart", "webhooks")
        eventually_sync(lambda: says("webhooks is ready again.") or asked.done(), deadline_s=120)
        assert asked.result() == "webhooks was restarted and is ready.\n"
    assert answers_ok(f"{full_stack.service_url('webhooks')}/health/ready")
