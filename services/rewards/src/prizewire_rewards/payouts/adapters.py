"""The key that signs intents, the keys that verify and seal, and the rules of payouts from their file."""

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.decode import EventRefused, decode
from prizewire_contracts.events.signing import ClosedEvent
from prizewire_contracts.intents import INTENT_VERSION, Intent, commitment
from prizewire_contracts.quotes import QUOTE_VERSION, RATE_PATTERN, PayoutQuote, QuoteReference
from prizewire_contracts.rails import is_rail_type
from prizewire_contracts.sealing import SALT_BYTES, InlineDetails, seal
from prizewire_contracts.topics import SIGNING_RESULTS
from prizewire_contracts.trust import MessageKey, NotTrusted, TrustStore
from prizewire_money import Amount, Asset, AssetRegistry, InvalidAmount
from prizewire_railkit.method_types import DetailsRefused, MethodType, read_details
from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.payouts.domain.inline import InlineDestination, InlineTerms, SealedDestination
from prizewire_rewards.payouts.domain.model import Payout
from prizewire_rewards.payouts.domain.quotes import SignedQuote
from prizewire_rewards.payouts.domain.rules import FeeBearer, PayoutRule, PayoutRules
from prizewire_rewards.payouts.handlers.requests import intent_of
from prizewire_rewards.payouts.handlers.terms import reference_of


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
            terms = self._terms(payout)
        except NotTrusted as error:
            return error.detail
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            return "it is no intent"
        rails = tuple(one.rail for one in intent.allowed)
        if rails != payout.rail_types:
            return "its rails are not those of the payout"
        differs = [name for name, value in terms.items() if getattr(intent, name) != value]
        return f"its {differs[0]} is not that of the payout" if differs else None

    def _terms(self, payout: Payout) -> dict[str, str | int | QuoteReference | None]:
        asset = self._assets[payout.asset]
        return {
            "payout_id": str(payout.id),
            "correlation_id": payout.correlation_id,
            "player": payout.player,
            "payee": payout.payee,
            "v": INTENT_VERSION,
            "campaign": None if payout.campaign is None else str(payout.campaign),
            "competition": payout.competition,
            "source": payout.source,
            "funding_account": payout.funding_account,
            "debit_asset": asset.code,
            "debit_amount": asset.render(payout.amount),
            "quote": None if payout.quote is None else reference_of(payout.quote),
            "pay_asset": payout.paid_asset,
            "pay_amount": self._assets[payout.paid_asset].render(payout.pay_amount),
        }


class TrustedQuotes:
    """Verifies quotes by payouts' keys in the trust store."""

    def __init__(self, trust: TrustStore) -> None:
        self._trust = trust

    def problem_of(self, quote: SignedQuote) -> str | None:
        """Why the quote is not one that payouts signed; None if it is."""
        try:
            signed = PayoutQuote(**quote.fields)
            self._trust.verify(
                keyid=signed.key_id,
                service="payouts",
                use="quote",
                message=signed.signing_bytes(),
                signature=quote.signature,
                at=datetime.fromtimestamp(signed.issued_at, UTC),
            )
        except NotTrusted as error:
            return error.detail
        except (TypeError, ValueError, OverflowError, OSError):
            return "it is no quote"
        return None if signed.v == QUOTE_VERSION else f"its version is {signed.v}, not {QUOTE_VERSION}"


class InlineDestinations:
    """Reads the destinations that requests name, and seals them for payouts. ``types`` are the installed method types,
    ``rail_types`` the types of rails that each may be paid over. ``mark`` is a keyed digest of a text: without a key, the
    details of many types could be found by trying them.
    """

    def __init__(
        self,
        *,
        types: Mapping[str, MethodType],
        rail_types: Mapping[str, tuple[str, ...]],
        trust: TrustStore,
        mark: Callable[[str], str],
    ) -> None:
        self._types = types
        self._rail_types = rail_types
        self._trust = trust
        self._mark = mark

    def read(self, *, method_type: str, details: Mapping[str, Any]) -> InlineDestination:
        """Check the details of a destination.

        Raises:
            InvalidRequest: the code of the method type, or ``method_type_unserved``. No text repeats a detail.
        """
        try:
            found = read_details(self._types, method_type=method_type, details=details)
        except DetailsRefused as error:
            raise InvalidRequest(error.code, error.detail) from None
        rail_types = self._rail_types.get(method_type, ())
        if not rail_types:
            served = ", ".join(sorted(self._rail_types)) or "none"
            raise InvalidRequest(
                "method_type_unserved",
                f"a request cannot name details of type {method_type}; types that it can name: {served} (PAYOUT_INLINE_RAILS)",
            )
        clear = found.clear()
        chain = found.on_chain()
        return InlineDestination(
            terms=InlineTerms(
                type=method_type,
                masked=found.masked(),
                mark=self._mark(canonical_bytes([method_type, clear]).decode()),
            ),
            rail_types=rail_types,
            details=clear,
            address=None if chain is None else chain.address,
            memo=None if chain is None else chain.memo,
        )

    def seal(self, destination: InlineDestination, *, payout_id: UUID, now: datetime) -> SealedDestination:
        """See the port."""
        key = self._trust.sealing_key(service="payouts", at=now)
        if key is None:
            raise InvalidRequest(
                "sealing_key_missing",
                "trust.json has no key of payouts with the use seal that is valid now: register the payout method, or have it added",
            )
        salt = secrets.token_bytes(SALT_BYTES)
        inline = InlineDetails(
            payout_id=payout_id, type=destination.terms.type, details=destination.details, salt=salt
        )
        bound = (
            commitment(salt=salt, details=dict(destination.details)) if destination.address is None else None
        )
        return SealedDestination(key_id=key.keyid, box=seal(inline, key=key.public_key), commitment=bound)


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
    exchanges: dict[str, dict[str, Annotated[str, Field(pattern=RATE_PATTERN)]]] = Field(default_factory=dict)


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
        rates_max={
            (_asset(code, assets).code, _asset(paid, assets).code): _rate(
                rate, f"exchanges.{code}.{paid}", same=code == paid
            )
            for code, rates in document.exchanges.items()
            for paid, rate in rates.items()
        },
    )


def read_funding_by_asset(text: str, *, assets: AssetRegistry) -> dict[str, str]:
    """Read an ``ASSET=ACCOUNT`` comma list. Whether an account exists is known at a request.

    Raises:
        ValueError: a part is malformed, names an asset twice, or one that is unknown or not redeemable.
    """
    accounts: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        code, equals, account = part.partition("=")
        if not equals or not account or code in accounts:
            raise ValueError(f"{part!r} is not ASSET=ACCOUNT, or names the asset twice")
        accounts[_asset(code, assets).code] = account
    return accounts


_InlineRails: Final = TypeAdapter(dict[str, list[str]])


def read_inline_rails(text: str, *, types: Mapping[str, MethodType]) -> dict[str, tuple[str, ...]]:
    """Read ``{"METHOD_TYPE": ["RAIL_TYPE", …]}``: the types of rails that details in a request may be paid over.

    Raises:
        ValueError: it is no such JSON, or names a method type that is not installed.
    """
    try:
        document = _InlineRails.validate_json(text or "{}", strict=True)
    except ValidationError:
        raise ValueError('it is no JSON such as {"bank": ["manual"]}') from None
    found: dict[str, tuple[str, ...]] = {}
    for name, rails in document.items():
        if name not in types:
            raise ValueError(f"there is no method type {name!r}: use one of {', '.join(sorted(types))}")
        if not rails or len(set(rails)) < len(rails) or not all(map(is_rail_type, rails)):
            raise ValueError(f'{name} must name types of rails, each once, such as ["manual"]')
        found[name] = tuple(rails)
    return found


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


def _rate(text: str, place: str, *, same: bool) -> Fraction:
    rate = Fraction(text)
    if same or not rate:
        raise ValueError(f"{place}: an exchange is between two assets, at a rate above zero")
    return rate


def _minor(amount: str | None, asset: Asset, place: str) -> int | None:
    if amount is None:
        return None
    try:
        return Amount.parse(asset, amount).minor
    except InvalidAmount as error:
        raise ValueError(f"{place}: {error}") from None
