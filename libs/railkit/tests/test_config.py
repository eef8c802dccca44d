"""A rail's options are read strictly, and its secrets only by reference."""

import os
from pathlib import Path
from typing import Any

import pytest

from prizewire_railkit import Options, RailMisconfigured


def options(**values: Any) -> Options:
    return Options(rail="tremendous", values=values)


def test_unknown_members_are_refused() -> None:
    """A misspelt option stops the service and is named with those that exist."""
    found = options(timeout_s=5, timout=5)
    assert found.integer("timeout_s") == 5
    with pytest.raises(RailMisconfigured, match="unknown option 'timout'; it knows: timeout_s"):
        found.finish()


@pytest.mark.parametrize("value", [True, 1.5, "5", -1, 101])
def test_integers_are_integers(value: Any) -> None:
    """Booleans, floats, texts and numbers out of range are none."""
    with pytest.raises(RailMisconfigured, match="whole number"):
        options(n=value).integer("n", most=100)


def test_a_missing_option_is_reported() -> None:
    """An option without default must be there."""
    with pytest.raises(RailMisconfigured, match="base_url is missing"):
        options().text("base_url")


def test_a_secret_comes_by_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of the owner alone serves, the environment does not; the secret does not show itself."""
    file = tmp_path / "key"
    file.write_text("whisper\n")
    file.chmod(0o600)
    secret = options(key={"file": str(file)}).secret("key")
    assert secret.reveal() == "whisper"
    assert "whisper" not in repr(secret)
    monkeypatch.setenv("RAIL_KEY", "hush")
    with pytest.raises(RailMisconfigured, match=r"give \{file: PATH\}"):
        options(key={"env": "RAIL_KEY"}).secret("key")
    file.chmod(0o640)
    with pytest.raises(RailMisconfigured, match="chmod 600"):
        options(key={"file": str(file)}).secret("key")


@pytest.mark.parametrize(("mode", "allowed"), [(0o440, True), (0o444, False), (0o460, False)])
def test_the_group_reads_a_secret_of_another_owner(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int, allowed: bool
) -> None:
    """A secret as Kubernetes mounts it, owned by root and read by the process's group, is taken; one that others read is not."""
    file = tmp_path / "key"
    file.write_text("whisper")
    file.chmod(mode)
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    if allowed:
        assert options(key={"file": str(file)}).secret("key").reveal() == "whisper"
        return
    with pytest.raises(RailMisconfigured, match="chmod 600"):
        options(key={"file": str(file)}).secret("key")


@pytest.mark.parametrize("value", ["hush", {"file": "no/such"}, {"file": "/dev/null"}, {"vault": "x"}])
def test_a_secret_in_clear_or_a_dead_reference_is_refused(value: Any) -> None:
    """The sentence names the option and never the value of a secret."""
    with pytest.raises(RailMisconfigured) as caught:
        options(key=value).secret("key")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("value", ["", 7, None, ["x"], True])
def test_texts_are_texts(value: Any) -> None:
    """An empty text, a number, a list or nothing is no text."""
    with pytest.raises(RailMisconfigured, match="must be a text"):
        options(name=value).text("name")
    with pytest.raises(RailMisconfigured, match="must be a text"):
        options(name=value).path("name")


@pytest.mark.parametrize("value", ["EUR", ["EUR", 7], {"EUR": 1}, None])
def test_lists_hold_texts(value: Any) -> None:
    """A single text is no list, and a list holds nothing but texts."""
    with pytest.raises(RailMisconfigured, match="list of texts"):
        options(assets=value).texts("assets")


def test_a_choice_is_one_of_the_choices() -> None:
    """Another word than those that are known stops the start and names them."""
    assert options(mode="fast").text("mode", choices=["fast", "slow"]) == "fast"
    with pytest.raises(RailMisconfigured, match="one of fast, slow"):
        options(mode="medium").text("mode", choices=["fast", "slow"])


def test_options_do_not_show_their_values() -> None:
    """What stands in a rail's entry may be an address or a reference: only the names are shown."""
    assert repr(options(key="hush", base_url="x")) == "Options(tremendous: base_url, key)"


def test_a_mapping_has_texts_as_keys() -> None:
    """An option may be a mapping whose keys are texts; anything else is refused with the name of the option."""
    options = Options(rail="r", values={"good": {"EURC": "EUR"}, "bad": {1: "EUR"}, "list": []})
    assert options.mapping("good") == {"EURC": "EUR"}
    assert options.mapping("absent", {}) == {}
    for name in ("bad", "list", "missing"):
        with pytest.raises(RailMisconfigured, match=name):
            options.mapping(name)
