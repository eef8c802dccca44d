"""The reviewed policy (``SIGNER_POLICY_FILE``): what is signed, and how much. Without a file the default holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prizewire_money import Amount, Asset, AssetRegistry, MoneyError
from prizewire_signer.adapters.stellar import is_address
from prizewire_signer.domain.model import (
    ALLOWED_OPERATIONS,
    PAYMENT,
    VOID_SLOT,
    AssetLimits,
    ChainAsset,
    Policy,
)
from prizewire_signer.errors import PolicyInvalid

MINOR_MAX: Final = 2**63 - 1
PAYOUT_UNITS_MAX: Final = 10_000_000
"""Whole units of an asset for one payout, where no policy file names a limit. It stops absurd amounts."""
DAY_UNITS_MAX: Final = 1_000_000_000
"""Whole units of an asset for one UTC day, where no policy file names a limit."""
Count = Annotated[int, Field(ge=1, strict=True)]


class _Limits(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    payout_max: str
    day_max: str
    again_max: str | None = None


class _File(BaseModel):
    """The file's shape; the numbers here are the defaults of ``Policy``."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[Count, Field(le=1)] = 1
    kinds: list[str] = [PAYMENT, VOID_SLOT]
    operations_max: Annotated[Count, Field(le=100)] = 100
    fee_stroops_max: Count = 2_000_000
    validity_s_max: Count = 3_600
    clock_skew_s_max: Annotated[int, Field(ge=0, strict=True)] = 60
    digests_per_slot_max: Count = 32
    voids_per_slot_max: Count = 32
    slots_per_payout_max: Count = 5
    free_margin_s: Count = 60
    assets: dict[str, _Limits] | None = None


def load_policy(
    path: Path | None, *, assets: AssetRegistry, chain_assets: Mapping[str, ChainAsset]
) -> Policy:
    """The policy in ``path``; without a path the default, which covers every redeemable asset on the chain.

    Raises:
        PolicyInvalid: unreadable, unknown fields or kinds, assets that are not configured, malformed amounts.
    """
    if path is None:
        return default_policy(assets=assets, chain_assets=chain_assets)
    try:
        document = yaml.safe_load(path.read_text())
        parsed = _File.model_validate(document)
    except OSError as error:
        raise PolicyInvalid(f"SIGNER_POLICY_FILE {path.name} cannot be read: {error.strerror}") from None
    except yaml.YAMLError:
        raise PolicyInvalid(f"SIGNER_POLICY_FILE {path.name} is no YAML") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise PolicyInvalid(f"SIGNER_POLICY_FILE {path.name}: {place}: {first['msg']}") from None
    unsupported = sorted(kind for kind in parsed.kinds if not ALLOWED_OPERATIONS.get(kind))
    if unsupported:
        raise PolicyInvalid(
            f"SIGNER_POLICY_FILE {path.name}: kinds that are not served: {', '.join(unsupported)}"
        )
    if parsed.assets is None:
        return _policy(parsed, default_policy(assets=assets, chain_assets=chain_assets).limits)
    limits = {}
    for code, wanted in parsed.assets.items():
        if code not in chain_assets or code not in assets:
            raise PolicyInvalid(
                f"SIGNER_POLICY_FILE {path.name}: {code} is not among STELLAR_ASSETS and the assets file"
            )
        try:
            payout, day, again = (
                Amount.parse(assets[code], text)
                for text in (wanted.payout_max, wanted.day_max, wanted.again_max or wanted.payout_max)
            )
        except MoneyError as error:
            raise PolicyInvalid(f"SIGNER_POLICY_FILE {path.name}: {code}: {error}") from None
        limits[code] = AssetLimits(
            payout_minor_max=payout.minor, day_minor_max=day.minor, again_minor_max=again.minor
        )
    return _policy(parsed, limits)


def default_policy(*, assets: AssetRegistry, chain_assets: Mapping[str, ChainAsset]) -> Policy:
    """The policy of an installation that has not written one."""
    limits = {code: _default_limits(assets[code]) for code in chain_assets if code in assets}
    return _policy(_File(), limits)


def parse_chain_assets(text: str) -> dict[str, ChainAsset]:
    """``STELLAR_ASSETS``: a comma list of ``CODE:ISSUER``; ``XLM`` (or ``XLM:native``) is the native asset.

    Raises:
        PolicyInvalid: an entry has no issuer account, or a code stands twice.
    """
    found: dict[str, ChainAsset] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        code, _, issuer = entry.partition(":")
        if code in found:
            raise PolicyInvalid(f"STELLAR_ASSETS names {code} twice")
        if code == "XLM" and issuer in ("", "native"):
            found[code] = ChainAsset(code=None, issuer=None)
        elif is_address(issuer):
            found[code] = ChainAsset(code=code, issuer=issuer)
        else:
            raise PolicyInvalid(f"STELLAR_ASSETS: {code} has no issuer account (G…)")
    return found


def _policy(parsed: _File, limits: Mapping[str, AssetLimits]) -> Policy:
    return Policy(
        kinds=frozenset(parsed.kinds),
        operations_max=parsed.operations_max,
        fee_stroops_max=parsed.fee_stroops_max,
        validity_s_max=parsed.validity_s_max,
        clock_skew_s_max=parsed.clock_skew_s_max,
        digests_per_slot_max=parsed.digests_per_slot_max,
        voids_per_slot_max=parsed.voids_per_slot_max,
        slots_per_payout_max=parsed.slots_per_payout_max,
        free_margin_s=parsed.free_margin_s,
        limits=limits,
    )


def _default_limits(asset: Asset) -> AssetLimits:
    return AssetLimits(
        payout_minor_max=min(MINOR_MAX, PAYOUT_UNITS_MAX * asset.scale),
        day_minor_max=min(MINOR_MAX, DAY_UNITS_MAX * asset.scale),
        again_minor_max=min(MINOR_MAX, PAYOUT_UNITS_MAX * asset.scale),
    )
