"""The commands of docs/first-payout.md, in their order, against the running stack."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from prizewire_devstack.cli.chosen import chosen_settings
from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.home import HOME_VARIABLE
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync

DOCUMENT: Final = "docs/first-payout.md"
EXAMPLE: Final = "examples/small-round"
PEOPLE: Final = re.compile(r"\b(ada|boris|chiyo|dara|emeka|farah|kim)\b")
DEADLINE_S: Final = 600
UP: Final = ".venv/bin/prizewire up"


def renamed(text: str) -> str:
    """The text with other persons: those of the examples have payout methods, by other tests of the same stack."""
    return PEOPLE.sub(r"\1-by-hand", text)


def commands(root: Path) -> list[str]:
    """The commands of the document's shell blocks, each as one text, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (root / DOCUMENT).read_text(), re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [renamed(re.sub(r"\s+# .*", "", line)) for line in lines]


@dataclass
class Terminal:
    """A shell in a copy of the example, with the command `prizewire`. Variables that a command sets stay. `last` is the last
    command with its output.
    """

    directory: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    last: str = ""

    def run(self, command: str) -> str | None:
        """The output of a command; None if it fails, as `curl` does where a request is refused."""
        stored = self.directory / "variables"
        script = (
            f'prizewire() {{ {sys.executable} -m prizewire_devstack "$@"; }}\n'
            'curl() { command curl --fail-with-body "$@"; }\n'
            f"set -a -e -u -o pipefail\n{command.replace('.venv/bin/prizewire', 'prizewire')}\n"
            f"env -0 > {stored}\n"
        )
        done = subprocess.run(
            ("bash", "-c", script),
            env={**base_environment(), HOME_VARIABLE: str(self.home), **self.variables},
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        self.last = f"{command}\n{done.stdout}{done.stderr}"
        if done.returncode:
            return None
        found = (one.partition("=") for one in stored.read_text().split("\0") if one)
        self.variables |= {name: value for name, _, value in found if name.isupper() and name != "_"}
        return done.stdout

    def wait_for(self, command: str, *words: str) -> str:
        """The output of a command, once it succeeds and has all words: services learn from each other by events."""

        def done() -> tuple[str]:
            output = self.run(command)
            assert output is not None, self.last
            assert all(word in output for word in words), self.last
            return (output,)

        return eventually_sync(done, deadline_s=DEADLINE_S)[0]


@pytest.fixture
def steps(full_stack: RunningStack) -> Iterator[list[str]]:
    """The commands behind `prizewire up`, on a stack with the settings that the document gives it."""
    first, *others = commands(full_stack.root)
    assert first.startswith(UP)
    settings = chosen_settings(first.removeprefix(f"{UP} --fresh --set ").split(" --set "), None)
    set_payouts(full_stack, settings.pop("payouts"))
    assert settings == {}
    yield others
    set_payouts(full_stack, {})


def set_payouts(stack: RunningStack, settings: Mapping[str, str]) -> None:
    stack.stop("payouts")
    stack.start_with("payouts", settings)


@pytest.fixture
def terminal(full_stack: RunningStack, tmp_path: Path) -> Terminal:
    """A copy of the example in which the match, the campaign and the persons have names of their own."""
    copy = tmp_path / EXAMPLE
    shutil.copytree(full_stack.root / EXAMPLE, copy)
    for file in copy.iterdir():
        file.write_text(renamed(file.read_text()).replace("small-round", "round-by-hand"))
    return Terminal(directory=tmp_path, home=full_stack.home.root)


def test_the_first_payout_by_hand_is_paid(
    full_stack: RunningStack, steps: list[str], terminal: Terminal
) -> None:
    """Every command succeeds, with what the document says about its output; in the end the payout is paid."""
    steps.reverse()

    def step(*words: str, **places: str) -> str:
        command = steps.pop()
        for place, value in places.items():
            assert place in command
            command = command.replace(place, value)
        return terminal.wait_for(command, *words)

    step(**{"http://127.0.0.1:PORT": full_stack.url})
    step("campaign round-by-hand: created", "400.00 USDC booked now")
    published = step("prizewire trace ")
    [match] = re.findall(r"prizewire trace ([0-9a-f-]{36})", published)
    step(*(f"winnings {player}-by-hand" for player in ("ada", "boris", "chiyo")), ID=match)
    step()
    step('"USDC"')
    step('"fake"', "true")
    payout = json.loads(step("payout_id"))["payout_id"]
    step(**{"id-of-the-answer": payout})
    step(f"payout {payout[:8]}… of ada-by-hand", "→ held, above_automatic_limit")
    step()
    assert payout in step(payout)
    step('"approved"')
    step("held → approved by kim-by-hand", "paid over fake: ")
    step("invariants hold")
    assert steps == []
