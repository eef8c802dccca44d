"""The sources that may report facts of players: the file that rewards reads too."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from prizewire_payouts.players.domain import FactGroup, PlayerSource, SourceKey

_Visible = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]


_PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Key(_Document):
    keyid: _Visible
    public_key: _PublicKey
    not_before: AwareDatetime
    not_after: AwareDatetime


class _Source(_Document):
    source: _Visible
    groups: Annotated[list[FactGroup], Field(alias="tells", min_length=1)]
    keys: Annotated[list[_Key], Field(min_length=1)]


class _Sources(_Document):
    sources: list[_Source]


def load_player_sources(path: Path) -> dict[str, PlayerSource]:
    """Read ``player-sources.yaml``. Returns the sources by name.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is malformed, names a source or a key of a source twice, or holds a key that is never
            valid. The text names the place.
    """
    try:
        document = _Sources.model_validate(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as error:
        raise ValueError(f"the file is not YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place or 'the file'}: {first['msg']}") from None
    found: dict[str, PlayerSource] = {}
    for one in document.sources:
        if one.source in found:
            raise ValueError(f"the source {one.source} is there twice: merge the two")
        found[one.source] = PlayerSource(
            source=one.source, groups=frozenset(one.groups), keys=_keys(one.source, one.keys)
        )
    return found


def _keys(source: str, keys: list[_Key]) -> tuple[SourceKey, ...]:
    seen: set[str] = set()
    for key in keys:
        if key.keyid in seen:
            raise ValueError(f"the source {source} names the key {key.keyid} twice")
        if key.not_before >= key.not_after:
            raise ValueError(
                f"the key {key.keyid} of {source} is never valid: not_before is not before not_after"
            )
        seen.add(key.keyid)
    return tuple(
        SourceKey(
            keyid=key.keyid, public_key=key.public_key, not_before=key.not_before, not_after=key.not_after
        )
        for key in keys
    )
