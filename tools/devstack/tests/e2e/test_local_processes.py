"""The command against the stack of local processes: the demonstration, memory, what only a process of this machine shows."""

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
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import Stack
from prizewire_devstack.stack.control import Requests
from prizewire_devstack.stack.keeping import Keeper
from prizewire_devstack.stack.monitoring import TARGETS_NAME
from prizewire_devstack.waiting import eventually_sync
from tests.command import answered, prizewire

pytestmark = pytest.mark.local_processes


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
                lambda: answers_ok(f"{full_stack.service_url('webhooks')}/health/ready"), deadline_s=600
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
    """Below 165 MB, proportional set size, after the demonstration; payouts, the largest, has the libraries of its rails."""
    memory = demonstration.memory[service]
    assert memory is not None
    assert memory < 165 * 2**20


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
    eventually_sync(lambda: says("webhooks is ready again."), deadline_s=600)
    assert said[0].startswith("webhooks ended unexpectedly (killed by SIGKILL).")
    assert full_stack.home.running().processes["webhooks"].pid == full_stack.supervisor.pid("webhooks")
    said.clear()
    with requests.opened(), ThreadPoolExecutor(1) as terminal:
        asked = terminal.submit(prizewire, full_stack, "restart", "webhooks")
        eventually_sync(lambda: says("webhooks is ready again.") or asked.done(), deadline_s=600)
        assert asked.result() == "webhooks was restarted and is ready.\n"
    assert answers_ok(f"{full_stack.service_url('webhooks')}/health/ready")


def test_a_process_that_was_removed_is_asked_no_more(full_stack: Stack) -> None:
    """`prizewire status --watch` and Prometheus ask the processes that belong to the stack, and no other. `prizewire restart` names no
    other either.
    """
    part = full_stack.add_replica("webhooks")
    full_stack.wait_ready(part)
    targets = full_stack.home.root / TARGETS_NAME
    assert part in full_stack.home.running().urls
    assert part in targets.read_text()
    full_stack.remove_replica(part)
    assert part not in full_stack.home.running().urls
    assert part not in full_stack.supervisor.parts()
    assert part not in targets.read_text()
    assert answered(full_stack, "status", "--once")["silent"] == []
