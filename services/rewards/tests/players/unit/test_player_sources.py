"""The file of the sources that may report facts of players."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from prizewire_contracts.events.players import PlayerUpdated
from prizewire_devstack.components.keys import Keyring
from prizewire_rewards.players.adapters import load_player_sources
from prizewire_rewards.players.domain import FACTS, GROUPS, FactGroup

KEY = {
    "keyid": "kyc-1",
    "public_key": "ab" * 32,
    "not_before": "2026-01-01T00:00:00Z",
    "not_after": "2027-01-01T00:00:00+00:00",
}
SOURCE = {"source": "/kyc/checked", "tells": ["identity"], "keys": [KEY]}


def written(directory: Path, document: object) -> Path:
    file = directory / "player-sources.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def test_every_fact_belongs_to_a_group() -> None:
    """A new fact must get a group: the group says which sources may report it."""
    assert set(GROUPS) == set(PlayerUpdated.model_fields) - {"player"}
    assert set(FACTS) < set(GROUPS)


def test_sources_are_read_with_their_keys(tmp_path: Path) -> None:
    """A key has the form that `prizewire source keygen` prints."""
    [(name, found)] = load_player_sources(written(tmp_path, {"sources": [SOURCE]})).items()
    assert (name, found.source, found.groups) == ("/kyc/checked", "/kyc/checked", {FactGroup.IDENTITY})
    assert [(key.keyid, key.not_before) for key in found.keys] == [
        ("kyc-1", datetime(2026, 1, 1, tzinfo=UTC))
    ]


def test_the_local_stacks_file_is_read(keyring: Keyring) -> None:
    """It has one source that may report every fact."""
    [found] = load_player_sources(keyring.player_sources_file).values()
    assert found.groups == set(FactGroup)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], "the file"),
        ({"sources": [{**SOURCE, "tells": ["money"]}]}, "sources.0.tells.0"),
        ({"sources": [{**SOURCE, "tells": []}]}, "sources.0.tells"),
        ({"sources": [{**SOURCE, "keys": []}]}, "sources.0.keys"),
        ({"sources": [{**SOURCE, "key": KEY}]}, "sources.0.key"),
        ({"sources": [{**SOURCE, "source": "with space"}]}, "sources.0.source"),
        ({"sources": [{**SOURCE, "keys": [{**KEY, "public_key": "ab"}]}]}, "sources.0.keys.0.public_key"),
        (
            {"sources": [{**SOURCE, "keys": [{**KEY, "not_after": "2027-01-01T00:00:00"}]}]},
            "sources.0.keys.0.not_after",
        ),
        ({"sources": [{**SOURCE, "keys": [{**KEY, "not_before": KEY["not_after"]}]}]}, "never valid"),
        ({"sources": [{**SOURCE, "keys": [KEY, KEY]}]}, "kyc-1 twice"),
        ({"sources": [SOURCE, SOURCE]}, "/kyc/checked is there twice"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, document: object, place: str) -> None:
    """The start is refused with a sentence that names the place."""
    with pytest.raises(ValueError, match=place):
        load_player_sources(written(tmp_path, document))
