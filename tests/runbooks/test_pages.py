"""The pages of docs/runbooks have the form of runbooks, and their index names each."""

import re
from pathlib import Path

import pytest

from prizewire_devstack.cli.main import COMMANDS
from prizewire_devstack.monitoring.runbooks import FOLDER, INDEX, Runbook, RunbookError, load, read

ROOT = Path(__file__).resolve().parents[2]
PAGES = load(ROOT)
PLACES = {
    "AMOUNT", "ASSET", "CAMPAIGN", "CLAIM", "EVIDENCE", "ID", "PAUSE", "PAYOUT", "PLAYER", "PRIZE", "RAIL", "ROUND",
    "SERVICE", "SERVICE/NUMBER",
}  # fmt: skip
"""What a person may have to fill in. A new one needs a value in `test_commands.py`."""


def test_there_are_pages_and_each_section_has_a_text() -> None:
    """No section of a page is empty, and each page has a command in its diagnosis."""
    assert len(PAGES) > 40
    for page in PAGES:
        assert all(page.sections.values()), page.name
        assert any(command.section == "Diagnosis" for command in page.commands), page.name


def test_commands_are_known_and_their_places_too() -> None:
    """Commands are those of `prizewire` and kubectl; each place is one that the tests fill in."""
    for page in PAGES:
        for command in page.commands:
            program, name, *_ = command.text.split()
            assert program in ("prizewire", "kubectl"), command
            assert program == "kubectl" or name in COMMANDS, command
            assert set(command.places) <= PLACES, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_the_commands_of_the_local_stack_too(page: Runbook) -> None:
    """A restart in a cluster stands beside the restart of the same service on the local stack, and pods beside `prizewire status`."""
    texts = [command.text for command in page.commands]
    for text in texts:
        if restarted := re.fullmatch(r"kubectl rollout restart .*deployment/(\S+)", text):
            assert f"prizewire restart {restarted[1]}" in texts, text
        if text.startswith("kubectl get pods"):
            assert any(other.startswith("prizewire status") for other in texts), text


def test_the_index_names_every_page() -> None:
    """Each procedure and each alert is linked from the index."""
    linked = set(re.findall(r"\]\(([\w-]+)\.md\)", (ROOT / FOLDER / INDEX).read_text()))
    assert linked == {page.name for page in PAGES}


@pytest.mark.parametrize(
    "text",
    ["## Meaning\n", "# A\n\n## Meaning\n\n## Impact\n", "# A\n\n## Impact\n\n## Meaning\n\n## Diagnosis\n\n## Mitigation\n"],
    ids=["no title", "missing sections", "wrong order"],
)  # fmt: skip
def test_a_page_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    """The message names the page and the sections."""
    file = tmp_path / "page.md"
    file.write_text(text)
    with pytest.raises(RunbookError, match=r"page\.md must have a title and the sections"):
        read(file)


def test_places_are_filled_and_sentences_left_alone(tmp_path: Path) -> None:
    """A value is put into each place; a quoted sentence keeps its capitals; a place without a value is refused."""
    file = tmp_path / "page.md"
    sections = '## Meaning\na\n## Impact\nb\n## Diagnosis\n```sh\nprizewire stuck show SERVICE/NUMBER --reason "an ID is wrong"\n```\n## Mitigation\nc\n'
    file.write_text(f"# A\n\n{sections}")
    [command] = read(file).commands
    assert (command.section, command.places) == ("Diagnosis", ("SERVICE/NUMBER",))
    assert command.arguments({"SERVICE/NUMBER": "rewards/7"})[3:] == [
        "rewards/7",
        "--reason",
        "an ID is wrong",
    ]
    with pytest.raises(RunbookError, match="no value for SERVICE/NUMBER"):
        command.arguments({})
