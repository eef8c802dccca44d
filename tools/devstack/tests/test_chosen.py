"""Settings of services that are given to `prizewire up`."""

from pathlib import Path
from typing import Any

import pytest

from prizewire_devstack.cli.chosen import chosen_settings
from prizewire_devstack.errors import DevstackError


def known(service: str) -> list[dict[str, Any]]:
    return [{"name": "LOG_LEVEL"}, {"name": f"{service.upper()}_SIZE"}]


def test_settings_come_from_a_file_and_from_the_command(tmp_path: Path) -> None:
    """The command overrides the file; values may contain equals signs."""
    file = tmp_path / "settings.yaml"
    file.write_text("rewards: {REWARDS_SIZE: 3, LOG_LEVEL: INFO}\npayouts: {PAYOUTS_SIZE: true}\n")
    found = chosen_settings(["rewards.LOG_LEVEL=DEBUG", "signer.SIGNER_SIZE=a=b,c=d"], file, known=known)
    assert found == {
        "rewards": {"REWARDS_SIZE": "3", "LOG_LEVEL": "DEBUG"},
        "payouts": {"PAYOUTS_SIZE": "true"},
        "signer": {"SIGNER_SIZE": "a=b,c=d"},
    }
    assert chosen_settings([], None, known=known) == {}


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("bank.LOG_LEVEL=DEBUG", "There is no service 'bank': there are settlement, rewards"),
        ("rewards.SIZE=1", "rewards has no setting 'SIZE': it has LOG_LEVEL, REWARDS_SIZE."),
        ("rewards.log_level=DEBUG", "rewards has no setting 'log_level'"),
        ("webhooks.LOG_LEVEL=DEBUG", "webhooks is left out"),
        ("LOG_LEVEL=DEBUG", "write SERVICE.NAME=VALUE"),
        ("rewards.LOG_LEVEL", "write SERVICE.NAME=VALUE"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_known_ones(assignment: str, sentence: str) -> None:
    """A misspelt setting is refused, since it would have no effect."""
    with pytest.raises(DevstackError) as refused:
        chosen_settings([assignment], None, left_out=("webhooks",), known=known)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1", "no valid YAML"),
        ("rewards", "holds no settings"),
        ("rewards: [1]", "holds no settings"),
        ("rewards: {LOG_LEVEL: 1.5}", "rewards.LOG_LEVEL is "),
        ("rewards: {LOG_LEVEL: }", "rewards.LOG_LEVEL is "),
    ],
)
def test_an_invalid_settings_file_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """The error names the place in the file."""
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(DevstackError) as refused:
        chosen_settings([], file, known=known)
    assert sentence in str(refused.value)


def test_the_services_list_their_settings() -> None:
    """The names are those that the service itself lists."""
    assert chosen_settings(["settlement.LOG_LEVEL=DEBUG"], None) == {"settlement": {"LOG_LEVEL": "DEBUG"}}
