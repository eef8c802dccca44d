"""The rail of one entry of the configuration."""

import re
from collections.abc import Mapping
from typing import Any, Final

from prizewire_rail_manual.currencies import Debtor
from prizewire_rail_manual.provider import ManualProvider
from prizewire_railkit import RailContext, RailMisconfigured

_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_BIC: Final = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?")
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9]{1,34}")
_NAME_LENGTH_MAX: Final = 70
_DEBTOR_MEMBERS: Final = {"name", "iban", "account", "bic"}
_DAY_S: Final = 86_400


def build(context: RailContext) -> ManualProvider:
    """The rail of one entry of the configuration.

    Options: ``method_types`` (the method types that it pays to), ``assets`` (all that may be paid out), ``currencies`` (the
    currency by asset, for bank files: ``{EURC: EUR}``), ``debtor`` (the paying account by currency: ``name``, and ``iban`` or
    ``account``, and ``bic``), ``batch_lines_max`` (1000), ``expected_s`` (two days).

    Raises:
        RailMisconfigured: an option is wrong or unknown.
    """
    options = context.options
    redeemable = [code for code, asset in context.assets.items() if asset.redeemable]
    assets = frozenset(options.texts("assets", redeemable))
    _known(context, "assets", assets, set(context.assets), "assets.yaml")
    method_types = frozenset(options.texts("method_types"))
    if not method_types:
        raise _wrong(context, "method_types", "is empty: name the method types that people pay to")
    _known(context, "method_types", method_types, set(context.method_types), "the installation")
    currencies = _currencies(context)
    _known(context, "currencies", frozenset(currencies), set(assets), "the rail's assets")
    debtors = _debtors(context)
    _known(context, "debtor", frozenset(debtors), set(currencies.values()), "the rail's currencies")
    provider = ManualProvider(
        name=context.name,
        assets=assets,
        method_types={name: context.method_types[name] for name in method_types},
        currencies=currencies,
        debtors=debtors,
        registry=context.assets,
        store=context.store,
        batch_lines_max=options.integer("batch_lines_max", 1000, least=1, most=10_000),
        expected_s=options.integer("expected_s", 2 * _DAY_S, least=1),
    )
    options.finish()
    return provider


def _known(context: RailContext, option: str, named: frozenset[str], known: set[str], where: str) -> None:
    if unknown := sorted(named - known):
        raise _wrong(context, option, f"names {unknown[0]}, which is not among {where}: {sorted(known)}")


def _currencies(context: RailContext) -> dict[str, str]:
    found: dict[str, str] = {}
    for asset, currency in context.options.mapping("currencies", {}).items():
        if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
            raise _wrong(context, f"currencies.{asset}", "must be a currency code of three capital letters")
        found[asset] = currency
    return found


def _debtors(context: RailContext) -> dict[str, Debtor]:
    found: dict[str, Debtor] = {}
    for currency, members in context.options.mapping("debtor", {}).items():
        option = f"debtor.{currency}"
        if not isinstance(members, Mapping) or not set(members) <= _DEBTOR_MEMBERS:
            raise _wrong(context, option, f"must hold {', '.join(sorted(_DEBTOR_MEMBERS))} and nothing else")
        if not all(isinstance(value, str) for value in members.values()):
            raise _wrong(context, option, "must hold texts")
        found[currency] = _debtor(context, option, members)
    return found


def _debtor(context: RailContext, option: str, members: Mapping[str, Any]) -> Debtor:
    debtor = Debtor(
        name=members.get("name", ""),
        iban=_compact(members.get("iban")),
        account=_compact(members.get("account")),
        bic=_compact(members.get("bic")),
    )
    if not debtor.name.strip() or len(debtor.name) > _NAME_LENGTH_MAX:
        raise _wrong(context, f"{option}.name", f"must have 1 to {_NAME_LENGTH_MAX} characters")
    if (debtor.iban is None) == (debtor.account is None):
        raise _wrong(context, option, "must hold an iban or an account, and not both")
    if debtor.iban is not None and not _is_iban(debtor.iban):
        raise _wrong(context, f"{option}.iban", "is no IBAN: check its length and check digits")
    if debtor.account is not None and not _ACCOUNT.fullmatch(debtor.account):
        raise _wrong(context, f"{option}.account", "must have 1 to 34 letters and digits")
    if debtor.bic is not None and not _BIC.fullmatch(debtor.bic):
        raise _wrong(context, f"{option}.bic", "is no BIC: it has 8 or 11 letters and digits")
    return debtor


def _compact(text: str | None) -> str | None:
    return None if text is None else text.replace(" ", "")


def _is_iban(text: str) -> bool:
    """The form and the check digits of ISO 13616."""
    if not _IBAN.fullmatch(text):
        return False
    return int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1


def _wrong(context: RailContext, option: str, what: str) -> RailMisconfigured:
    return RailMisconfigured(f"the rail {context.name}: {option} {what}")
