"""Rules about Stellar: network, live switch, keys, accounts, fees, servers."""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from prizewire_devstack.doctor.configuration import ServiceConfiguration, Subject
from prizewire_devstack.doctor.findings import Finding

PUBLIC_NETWORK: Final = "Public Global Stellar Network ; September 2015"
"""The passphrase of the public network, where lumens are money (Stellar documentation, "Networks")."""
GAS_MIN: Final = 10_000
"""Stroops: the smallest fee of a transaction of 100 operations (Stellar documentation, "Fees": 100 stroops an operation)."""
GAS_MAX: Final = 10_000_000
"""Stroops: one XLM. A transaction of 100 operations that costs more is paid only if a limit is wrong."""
SHARED: Final = (
    ("STELLAR_NETWORK_PASSPHRASE", ("rewards", "payouts", "signer")),
    ("PAYOUT_SOURCE_ACCOUNT", ("payouts", "signer")),
    ("STELLAR_ASSETS", ("payouts", "signer")),
)
"""Settings that must be the same in several services."""
HOT_KEY: Final = "hot_key"
"""The value of SIGNER_BACKEND for keys in the signer's memory, which is its default."""
OPENBAO: Final = "openbao"


def has_stellar(payouts: ServiceConfiguration | None) -> bool:
    """Say whether payouts has a rail on Stellar."""
    return payouts is not None and any("stellar" in kinds_of(entry) for entry in rails_of(payouts))


def rails_of(one: ServiceConfiguration) -> list[dict[str, Any]]:
    """The entries of a service's rails file; none where it is missing or malformed."""
    document = one.document("RAILS_FILE")
    entries = document.get("rails") if isinstance(document, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def kinds_of(entry: dict[str, Any]) -> set[str]:
    """The type and the provider of a rail."""
    return {str(entry[name]) for name in ("type", "provider") if name in entry}


def _network(subject: Subject) -> Iterator[Finding]:
    for one in subject.having("STELLAR_NETWORK_PASSPHRASE"):
        found = one.value("STELLAR_NETWORK_PASSPHRASE")
        if found and (found == PUBLIC_NETWORK) is not subject.live:
            yield Finding(
                code="network",
                place=one.service,
                sentence=f"STELLAR_NETWORK_PASSPHRASE is {found!r}: production is on the public network "
                f"({PUBLIC_NETWORK!r}), and nothing else is.",
            )


def _differences(subject: Subject) -> Iterator[Finding]:
    for name, services in SHARED:
        found = {one.service: one.value(name) for one in subject.services if one.service in services}
        if len(set(found.values())) > 1:
            yield Finding(
                code="chain_settings_differ",
                place=", ".join(found),
                sentence=f"{name} differs between {', '.join(found)}: the signer would refuse what payouts asks for.",
            )


def _live_execution(subject: Subject) -> Iterator[Finding]:
    payouts = subject.get("payouts")
    if payouts is not None and has_stellar(payouts) and not payouts.is_true("PAYOUTS_LIVE_EXECUTION"):
        yield Finding(
            code="live_execution",
            place="payouts",
            sentence="A rail on Stellar is configured and PAYOUTS_LIVE_EXECUTION is not true: payouts does not start. "
            "Set it, or take the rail out.",
        )


def _hot_key(subject: Subject) -> Iterator[Finding]:
    payouts, signer = subject.get("payouts"), subject.get("signer")
    if payouts is not None and payouts.is_true("PAYOUTS_SIGN_WITH_HOT_KEY"):
        yield Finding(
            code="hot_key",
            place="payouts",
            sentence="PAYOUTS_SIGN_WITH_HOT_KEY is true: unset it, since no key of the chain is in payouts.",
        )
    if signer is None:
        return
    in_memory = signer.value("SIGNER_BACKEND") in ("", HOT_KEY) or signer.is_true("SIGNER_ALLOW_HOT_KEY")
    public = signer.value("STELLAR_NETWORK_PASSPHRASE") == PUBLIC_NETWORK
    if in_memory and (subject.live or public):
        yield Finding(
            code="hot_key",
            place="signer",
            sentence="The signer holds the treasury's key in memory: set SIGNER_BACKEND to openbao, and unset "
            "SIGNER_ALLOW_HOT_KEY.",
        )
    if signer.is_true("SIGNER_ALLOW_HOT_KEY_ON_PUBLIC"):
        yield Finding(
            code="hot_key",
            place="signer",
            sentence="SIGNER_ALLOW_HOT_KEY_ON_PUBLIC is true: unset it, since a key in memory would move real money.",
        )


def _key_server(subject: Subject) -> Iterator[Finding]:
    signer, payouts = subject.get("signer"), subject.get("payouts")
    if signer is None or signer.value("SIGNER_BACKEND") != OPENBAO:
        return
    if urlsplit(signer.value("OPENBAO_URL")).scheme != "https":
        yield _of_key_server(
            "OPENBAO_URL does not begin with https://: the signer's token would cross the network in clear text."
        )
    if not signer.value("OPENBAO_TOKEN_FILE"):
        yield _of_key_server("OPENBAO_TOKEN_FILE is not set: name the file with the signer's token.")
    channels = () if payouts is None else payouts.values("STELLAR_CHANNEL_ACCOUNTS")
    keys = signer.values("OPENBAO_KEYS")
    if len(keys) < len(channels) + 1:
        yield _of_key_server(
            f"OPENBAO_KEYS names {len(keys)} keys, and payouts has the treasury and {len(channels)} accounts as channels: name "
            "a key for each."
        )


def _of_key_server(sentence: str) -> Finding:
    return Finding(code="key_server", place="signer", sentence=sentence)


def _accounts(subject: Subject) -> Iterator[Finding]:
    payouts = subject.get("payouts")
    if payouts is None or not has_stellar(payouts):
        return
    treasury, channels = payouts.value("PAYOUT_SOURCE_ACCOUNT"), payouts.values("STELLAR_CHANNEL_ACCOUNTS")
    if not _is_account(treasury):
        yield Finding(
            code="accounts",
            place="payouts",
            sentence="PAYOUT_SOURCE_ACCOUNT is no account of Stellar (G…): name the treasury.",
        )
    if not channels or not all(map(_is_account, channels)):
        yield Finding(
            code="accounts",
            place="payouts",
            sentence="STELLAR_CHANNEL_ACCOUNTS names no account, or one that is none of Stellar (G…).",
        )
    if treasury in channels or len(set(channels)) < len(channels):
        yield Finding(
            code="accounts",
            place="payouts",
            sentence="STELLAR_CHANNEL_ACCOUNTS names the treasury, or an account twice: each channel is an account of its own.",
        )


def _is_account(text: str) -> bool:
    from stellar_sdk import StrKey  # noqa: PLC0415 - only this command checks addresses

    return StrKey.is_valid_ed25519_public_key(text)


def _gas(subject: Subject) -> Iterator[Finding]:
    payouts = subject.get("payouts")
    value = "" if payouts is None else payouts.value("PAYOUTS_MAX_GAS_STROOPS")
    if value.isdigit() and not GAS_MIN <= int(value) <= GAS_MAX:
        yield Finding(
            code="gas_limit",
            place="payouts",
            sentence=f"PAYOUTS_MAX_GAS_STROOPS is {value}: a limit from {GAS_MIN} to {GAS_MAX} stroops lets a full "
            "transaction through and stops an absurd fee.",
        )


def _servers(subject: Subject) -> Iterator[Finding]:
    payouts = subject.get("payouts")
    if payouts is None or not has_stellar(payouts):
        return
    servers = payouts.values("SOROBAN_RPC_URL")
    if not servers:
        yield Finding(
            code="chain_servers",
            place="payouts",
            sentence="SOROBAN_RPC_URL is not set: name the servers of the chain.",
        )
    for server in servers:
        if urlsplit(server).scheme != "https":
            yield Finding(
                code="chain_servers",
                place="payouts",
                sentence=f"SOROBAN_RPC_URL has {server}: use https, since anyone on the way could invent payments.",
            )
    if subject.live and len({urlsplit(server).hostname for server in servers}) == 1:
        yield Finding(
            code="one_chain_server",
            place="payouts",
            sentence="SOROBAN_RPC_URL names one server, which alone decides what was paid: name two of different operators.",
        )


RULES: Final = (_network, _differences, _live_execution, _hot_key, _key_server, _accounts, _gas, _servers)
