"""The key that signs intents, the keys that verify them, and the rules of payouts from their file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prizewire_contracts.decode import EventRefused, decode
from prizewire_contracts.events.signing import ClosedEvent
from prizewire_contracts.intents import Intent
from prizewire_contracts.topics import SIGNING_RESULTS
from prizewire_contracts.trust import MessageKey, NotTrusted, TrustStore
from prizewire_money import Amount, Asset, AssetRegistry, InvalidAmount
from prizewire_rewards.payouts.domain.model import Payout
from prizewire_rewards.payouts.domain.rules import FeeBearer, PayoutRule, PayoutRules
from prizewire_rewards.payouts.handlers.requests import intent_of


class MessageKeySigner:
    """Signs intents."""

    def __init__(self, key: MessageKey) -> None:
        self._key = key

    @property
    def key_id(self) -> str:
        """The key's name in ``trust.json``."""
        return self._key.keyid

    def sign(self, intent: Intent) -> str:
        """The signature as 128 hex digits."""
        return self._key.sign(intent.signing_bytes())


class SignedIntents:
    """Verifies stored intents by rewards' keys in the trust store. A person who can write rows cannot sign intents."""

    def __init__(self, *, trust: TrustStore, assets: AssetRegistry) -> None:
        self._trust = trust
        self._assets = assets

    def problem_of(self, payout: Payout) -> str | None:
        """Why the stored intent is not one that rewards signed for this payout, on the terms of its row; None if it is."""
        try:
            intent = intent_of(payout)
            self._trust.verify(
                keyid=intent.key_id,
                service="rewards",
                use="intent",
                message=intent.signing_bytes(),
                signature=payout.intent_signature,
                at=datetime.fromtimestamp(intent.issued_at, UTC),
            )
        except NotTrusted as error:
            return error.detail
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            return "it is no intent"
        rails = tuple(one.rail for one in intent.allowed)
        if rails != payout.rail_types:
            return "its rails are not those of the payout"
        differs = [name for name, value in self._terms(payout).items() if getattr(intent, name) != value]
        return f"its {differs[0]} is not that of the payout" if differs else None

    def _terms(self, payout: Payout) -> dict[str, str | None]:
        asset = self._assets[payout.asset]
        return {
            "payout_id": str(payout.id),
            "correlation_id": payout.correlation_id,
            "player": payout.player,
            "campaign": None if payout.campaign is None else str(payout.campaign),
            "funding_account": payout.funding_account,
            "debit_asset": asset.code,
            "debit_amount": asset.render(payout.amount),
            "pay_asset": asset.code,
            "pay_amount": asset.render(payout.pay_amount),
        }


class TrustedClosures:
    """Verifies closures by the signer's keys in the trust store."""

    def __init__(self, trust: TrustStore) -> None:
        self._trust = trust

    def verifies(self, closure: str, *, payout_id: UUID) -> bool:
        """Whether ``closure`` is an authentic ``signing.closed`` of this payout."""
        try:
            found = decode(topic=SIGNING_RESULTS, value=closure.encode(), trust=self._trust)
        except EventRefused:
            return False
        event = found.event
        return isinstance(event, ClosedEvent) and event.data.payout_id == payout_id


_BPS_MAX = 10_000


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Fee(_Document):
    flat: str | None = None
    bps: Annotated[int, Field(ge=0, lt=_BPS_MAX)] = 0
    borne_by: Literal["player", "platform"]


class _PlayerRule(_Document):
    minimum: str | None = None
    maximum: str | None = None
    daily_limit: str | None = None
    fee: _Fee | None = None


class _OperatorRule(_Document):
    minimum: str | None = None
    maximum: str | None = None


class _Rules(_Document):
    players: dict[str, _PlayerRule] = Field(default_factory=dict)
    operators: dict[str, _OperatorRule] = Field(default_factory=dict)
    rail_fees: dict[str, str] = Field(default_factory=dict)


def load_payout_rules(path: Path, *, assets: AssetRegistry) -> PayoutRules:
    """Read ``payout-rules.yaml``. Amounts are decimal texts in the asset of their entry.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is malformed, names an asset that is unknown or not redeemable, or has limits that no payout can
            meet; the message names the place in the file.
    """
    try:
        document = _Rules.model_validate(yaml.safe_load(path.read_text()) or {})
    except yaml.YAMLError as error:
        raise ValueError(f"the file is not valid YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {first['msg']}") from None
    return PayoutRules(
        players={
            code: _player(rule, asset=_asset(code, assets), place=f"players.{code}")
            for code, rule in document.players.items()
        },
        operators={
            code: _bounded(rule, asset=_asset(code, assets), place=f"operators.{code}")
            for code, rule in document.operators.items()
        },
        rail_fees={
            code: _minor(most, _asset(code, assets), f"rail_fees.{code}") or 0
            for code, most in document.rail_fees.items()
        },
    )


def _player(rule: _PlayerRule, *, asset: Asset, place: str) -> PayoutRule:
    fee = rule.fee
    made = PayoutRule(
        minimum=_minor(rule.minimum, asset, f"{place}.minimum") or 0,
        maximum=_minor(rule.maximum, asset, f"{place}.maximum"),
        daily_limit=_minor(rule.daily_limit, asset, f"{place}.daily_limit"),
        fee_flat=0 if fee is None else _minor(fee.flat, asset, f"{place}.fee.flat") or 0,
        fee_bps=0 if fee is None else fee.bps,
        borne_by=FeeBearer.PLATFORM if fee is None else FeeBearer(fee.borne_by),
    )
    bounds = [bound for bound in (made.maximum, made.daily_limit) if bound is not None]
    if any(bound < max(made.minimum, 1) for bound in bounds):
        raise ValueError(f"{place}: the maximum or the daily limit is below the minimum")
    if any(bound <= made.fee(amount=bound) for bound in bounds):
        raise ValueError(f"{place}: the fee takes all of the largest payout")
    return made


def _bounded(rule: _OperatorRule, *, asset: Asset, place: str) -> PayoutRule:
    return _player(_PlayerRule(minimum=rule.minimum, maximum=rule.maximum), asset=asset, place=place)


def _asset(code: str, assets: AssetRegistry) -> Asset:
    asset = assets.get(code)
    if asset is None:
        raise ValueError(assets.refusal_of(code))
    if not asset.redeemable:
        raise ValueError(f"{code} can never be paid out")
    return asset


def _minor(amount: str | None, asset: Asset, place: str) -> int | None:
    if amount is None:
        return None
    try:
        return Amount.parse(asset, amount).minor
    except InvalidAmount as error:
        raise ValueError(f"{place}: {error}") from None
