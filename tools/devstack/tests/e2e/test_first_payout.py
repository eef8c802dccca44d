"""The commands of docs/first-payout.md, in their order, against the running stack."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from prizewire_devstack.cli.chosen import chosen_settings
from prizewire_devstack.stack import RunningStack
from tools.devstack.tests.e2e.terminal import Terminal

DOCUMENT: Final = "docs/first-payout.md"
EXAMPLE: Final = "examples/small-round"
PEOPLE: Final = re.compile(r"\b(ada|boris|chiyo|dara|emeka|farah|kim)\b")
UP: Final = ".venv/bin/prizewire up"


def renamed(text: str) -> str:
    """The text with other persons: those of the examples have payout methods, by other tests of the same stack."""
    return PEOPLE.sub(r"\1-by-hand", text)


def commands(root: Path) -> list[str]:
    """The commands of the document's shell blocks, each as one text, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (root / DOCUMENT).read_text(), re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [renamed(re.sub(r"\s+# .*", "", line)) for line in lines]


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
