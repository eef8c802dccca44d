"""The sources that may report facts of players, and the keys that sign their events: the format of ``player-sources.yaml``.

Rewards and payouts read the same file and judge the same events by it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from prizewire_contracts.codes import RefusalCode


class FactGroup(StrEnum):
    """The facts that a source may report."""

    IDENTITY = "identity"
    RISK = "risk"
    TAX = "tax"


GROUPS: Final[Mapping[str, FactGroup]] = {
    "kyc_state": FactGroup.IDENTITY,
    "kyc_expires_at": FactGroup.IDENTITY,
    "registered_at": FactGroup.RISK,
    "device_hash": FactGroup.RISK,
    "address_hash": FactGroup.RISK,
    "tax_state": FactGroup.TAX,
}
"""The group of each fact of ``player.updated``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKey:
    """An Ed25519 key (64 hex digits) that may sign a source's events dated in [not_before, not_after)."""

    keyid: str
    public_key: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerSource:
    """A source that may report the facts of ``groups``. It has at least one key: each of its events is signed."""

    source: str
    groups: frozenset[FactGroup]
    keys: tuple[SourceKey, ...]


class SourceRefused(Exception):
    """An event is not one that its source may send. ``code`` is ``source_not_allowed``, ``signature_missing`` or
    ``key_not_trusted``. A retry does not help.
    """

    def __init__(self, code: RefusalCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def signing_key(
    *,
    sources: Mapping[str, PlayerSource],
    source: str,
    facts: Collection[str],
    keyid: str | None,
    at: datetime,
) -> SourceKey:
    """The key that an event of ``source`` with these facts must be signed with.

    A key must be valid at the event's own time ``at``: what an expired key signed while it was valid stays authentic. To
    revoke a stolen key, take it out of the file.

    Raises:
        SourceRefused: there is none.
    """
    known = sources.get(source)
    if known is None:
        raise SourceRefused(RefusalCode.SOURCE_NOT_ALLOWED, f"{source} may not report facts of players")
    forbidden = sorted(fact for fact in facts if GROUPS[fact] not in known.groups)
    if forbidden:
        raise SourceRefused(RefusalCode.SOURCE_NOT_ALLOWED, f"{source} may not report {', '.join(forbidden)}")
    if keyid is None:
        raise SourceRefused(RefusalCode.SIGNATURE_MISSING, f"{source} must sign its events")
    for key in known.keys:
        if key.keyid == keyid:
            break
    else:
        raise SourceRefused(RefusalCode.KEY_NOT_TRUSTED, f"{keyid!r} is not a key of {source}")
    if not key.not_before <= at < key.not_after:
        raise SourceRefused(RefusalCode.KEY_NOT_TRUSTED, f"{keyid!r} was not valid at {at.isoformat()}")
    return key


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


def read_player_sources(text: str) -> dict[str, PlayerSource]:
    """Read the text of ``player-sources.yaml``. Returns the sources by name.

    Raises:
        ValueError: the file is malformed, names a source or a key of a source twice, or holds a key that is never
            valid. The text names the place.
    """
    try:
        document = _Sources.model_validate(yaml.safe_load(text))
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
