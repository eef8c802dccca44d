"""The file of the sources that may report facts of players."""

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from prizewire_contracts.events.players import PlayerUpdated
from prizewire_contracts.player_sources import (
    GROUPS,
    FactGroup,
    SourceRefused,
    read_player_sources,
    signing_key,
)
from prizewire_devstack.components.keys import Keyring

KEY = {
    "keyid": "kyc-1",
    "public_key": "ab" * 32,
    "not_before": "2026-01-01T00:00:00Z",
    "not_after": "2027-01-01T00:00:00+00:00",
}
SOURCE = {"source": "/kyc/checked", "tells": ["identity"], "keys": [KEY]}


def written(document: object) -> str:
    return yaml.safe_dump(document)


def test_every_fact_belongs_to_a_group() -> None:
    """A new fact must get a group: the group says which sources may report it."""
    assert set(GROUPS) == set(PlayerUpdated.model_fields) - {"player"}


def test_sources_are_read_with_their_keys() -> None:
    """A key has the form that `prizewire source keygen` prints."""
    [(name, found)] = read_player_sources(written({"sources": [SOURCE]})).items()
    assert (name, found.source, found.groups) == ("/kyc/checked", "/kyc/checked", {FactGroup.IDENTITY})
    assert [(key.keyid, key.not_before) for key in found.keys] == [
        ("kyc-1", datetime(2026, 1, 1, tzinfo=UTC))
    ]


def test_the_local_stacks_file_is_read(keyring: Keyring) -> None:
    """It has one source that may report every fact."""
    [found] = read_player_sources(keyring.player_sources_file.read_text()).values()
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
def test_a_wrong_file_is_refused(document: object, place: str) -> None:
    """The start is refused with a sentence that names the place."""
    with pytest.raises(ValueError, match=place):
        read_player_sources(written(document))


def test_what_is_not_yaml_is_refused() -> None:
    """The sentence says so, and has no trace of the parser."""
    with pytest.raises(ValueError, match="the file is not YAML"):
        read_player_sources("sources: [")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"source": "/kyc/other"}, "source_not_allowed"),
        ({"facts": ["kyc_state", "device_hash"]}, "source_not_allowed"),
        ({"keyid": None}, "signature_missing"),
        ({"keyid": "kyc-2"}, "key_not_trusted"),
        ({"at": datetime(2025, 12, 31, tzinfo=UTC)}, "key_not_trusted"),
        ({"at": datetime(2027, 1, 1, tzinfo=UTC)}, "key_not_trusted"),
    ],
    ids=["source", "fact", "unsigned", "key", "before", "after"],
)
def test_an_event_that_its_source_may_not_send_is_refused(changes: dict[str, Any], code: str) -> None:
    """The code says why. The same event with the source's own facts and a valid key is signed by that key."""
    event: dict[str, Any] = {
        "sources": read_player_sources(written({"sources": [SOURCE]})),
        "source": "/kyc/checked",
        "facts": ["kyc_state", "kyc_expires_at"],
        "keyid": "kyc-1",
        "at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    assert signing_key(**event).keyid == "kyc-1"
    with pytest.raises(SourceRefused) as refused:
        signing_key(**{**event, **changes})
    assert refused.value.code == code
