"""Composition root: the only reader of settings; builds everything the signer is made of."""

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.assets import read_assets
from prizewire_chassis.audit import Audit
from prizewire_chassis.keys import read_secret
from prizewire_chassis.lifecycle import Built, ConfigurationError, FileCheck, Runtime
from prizewire_chassis.logging import get_logger
from prizewire_chassis.outbox import Outbox
from prizewire_money import AssetRegistry
from prizewire_signer.adapters.backends import verify
from prizewire_signer.adapters.backends.hot_key import HotKeys, HotKeysRefused, open_hot_keys
from prizewire_signer.adapters.backends.openbao import (
    KeysMalformed,
    TransitKeys,
    TransitServer,
    open_transit,
    parse_keys,
)
from prizewire_signer.adapters.policy_file import load_policy, parse_chain_assets
from prizewire_signer.adapters.stellar import StellarTransactions, address_of
from prizewire_signer.consumers import Intake
from prizewire_signer.domain.model import Rules
from prizewire_signer.errors import BackendError, PolicyInvalid
from prizewire_signer.handlers.signing import SigningContext
from prizewire_signer.jobs import SigningWorker, check_job, refusals_job, signing_job, token_job
from prizewire_signer.messages.answers import SqlAnswers
from prizewire_signer.messages.requests import TrustedRequests
from prizewire_signer.ports import Backend, UnitOfWork
from prizewire_signer.settings import SignerSettings
from prizewire_signer.storage.checks import breaches_of, queue_state
from prizewire_signer.storage.closing import SqlClosingStore
from prizewire_signer.storage.refusals import SqlRefusals
from prizewire_signer.storage.signing import SqlSigningStore

_PAUSE_S_MAX: Final = 5.0
_log = get_logger(__name__)


async def build(runtime: Runtime) -> Built:
    """Everything that runs in this process.

    Raises:
        ConfigurationError: keys, accounts, assets or policy are unusable.
    """
    settings = runtime.settings
    if not isinstance(settings, SignerSettings):
        raise TypeError(type(settings).__name__)
    assets = read_assets(settings.assets_file)
    try:
        backend = await _open_backend(settings)
        context = build_context(settings, assets=assets, runtime=runtime, backend=backend)
    except (HotKeysRefused, KeysMalformed, PolicyInvalid) as error:
        raise ConfigurationError(str(error)) from None
    unit_of_work = unit_of_work_over(outbox=runtime.outbox, audit=runtime.audit)
    worker = SigningWorker(
        db=runtime.db,
        clock=runtime.clock,
        unit_of_work=unit_of_work,
        context=context,
        backend=backend,
    )
    signing = signing_job(worker)
    intake = Intake(
        network=settings.stellar_network_passphrase,
        policy=context.rules.policy,
        unit_of_work=unit_of_work,
        audit=runtime.audit,
        clock=runtime.clock,
        wake=signing.wake,
    )
    return Built(
        assets=assets,
        specs=[intake.spec()],
        jobs=[
            signing,
            check_job(
                db=runtime.db,
                clock=runtime.clock,
                breaches_of=partial(breaches_of, limits=context.rules.policy.limits),
                queue_state=partial(queue_state, limits=context.rules.policy.limits),
                assets=assets,
            ),
            refusals_job(db=runtime.db, clock=runtime.clock, unit_of_work=unit_of_work),
            *(
                [token_job(token_expires_at=backend.token_expires_at)]
                if isinstance(backend, TransitKeys)
                else []
            ),
        ],
        http_minimal=True,
    )


def check_files(settings: SignerSettings) -> None:
    """Read assets and policy, and the settings that they are compared with, as ``build`` does.

    Raises:
        ConfigurationError: one of them is unusable.
    """
    try:
        load_policy(
            settings.signer_policy_file,
            assets=read_assets(settings.assets_file),
            chain_assets=parse_chain_assets(settings.stellar_assets),
        )
        if settings.signer_backend == "openbao":
            parse_keys(settings.openbao_keys)
            _transit_server(settings)
    except (KeysMalformed, PolicyInvalid) as error:
        raise ConfigurationError(str(error)) from None


FILES: Final = (FileCheck(["assets_file", "signer_policy_file"], check_files),)


def unit_of_work_over(*, outbox: Outbox, audit: Audit) -> Callable[[AsyncConnection], UnitOfWork]:
    """Opens the unit of work of a transaction."""

    def open_unit_of_work(tx: AsyncConnection) -> UnitOfWork:
        return UnitOfWork(
            signing=SqlSigningStore(tx),
            closing=SqlClosingStore(tx),
            answers=SqlAnswers(tx, outbox=outbox, audit=audit),
            refusals=SqlRefusals(tx, outbox=outbox, audit=audit),
        )

    return open_unit_of_work


def build_context(
    settings: SignerSettings, *, assets: AssetRegistry, runtime: Runtime, backend: Backend
) -> SigningContext:
    """The rules and readers of every decision.

    Raises:
        ConfigurationError: the treasury's key is missing, or there is no channel key beside it.
        PolicyInvalid: assets or policy are malformed.
    """
    accounts: Mapping[str, bytes] = {address_of(key): key for key in backend.public_keys()}
    treasury = settings.payout_source_account
    if treasury not in accounts:
        raise ConfigurationError(
            "no configured key belongs to PAYOUT_SOURCE_ACCOUNT: PAYOUT_HOT_SIGNER_SECRET_FILE must hold its secret key, or "
            "OPENBAO_KEYS its name"
        )
    channels = frozenset(accounts) - {treasury}
    if not channels:
        raise ConfigurationError(
            "CHANNEL_SIGNER_SECRETS_FILE or OPENBAO_KEYS has no key of a channel: add the key of at least one account that is "
            "not the treasury"
        )
    chain_assets = parse_chain_assets(settings.stellar_assets)
    rules = Rules(
        network=settings.stellar_network_passphrase,
        treasury=treasury,
        channels=channels,
        chain_assets=chain_assets,
        assets=assets,
        policy=load_policy(settings.signer_policy_file, assets=assets, chain_assets=chain_assets),
    )
    return SigningContext(
        rules=rules,
        requests=TrustedRequests(trust=runtime.trust, network=rules.network),
        transactions=StellarTransactions(network_passphrase=rules.network),
        key_of=accounts,
        verify=verify,
        lease_s=settings.signer_lease_s,
    )


async def _open_backend(settings: SignerSettings) -> Backend:
    """The keys that the settings name. While their server does not answer, it is asked again.

    Raises:
        ConfigurationError: a setting is missing, or the server refuses for good.
        HotKeysRefused: see ``open_hot_keys``.
        KeysMalformed: see ``open_transit``.
    """
    if settings.signer_backend == "hot_key":
        return _hot_keys(settings)
    keys, server = parse_keys(settings.openbao_keys), _transit_server(settings)
    tries = 0
    while True:
        try:
            return await open_transit(server, keys)
        except BackendError as error:
            if not error.retryable:
                raise ConfigurationError(f"the keys at OPENBAO_URL cannot be used: {error}") from None
            tries += 1
            _log.warning("waiting for openbao", tries=tries, error=str(error))
            await asyncio.sleep(min(_PAUSE_S_MAX, 0.2 * 2.0 ** min(tries, 6)))


def _transit_server(settings: SignerSettings) -> TransitServer:
    schemes = ("https", "http") if settings.prizewire_environment == "development" else ("https",)
    if urlsplit(settings.openbao_url).scheme not in schemes:
        raise ConfigurationError(f"OPENBAO_URL is no address that begins with {' or '.join(schemes)}://")
    if settings.openbao_token_file is None:
        raise ConfigurationError("OPENBAO_TOKEN_FILE is not set: name the file with the signer's token")
    return TransitServer(
        url=settings.openbao_url,
        mount=settings.openbao_transit_mount,
        token_file=settings.openbao_token_file,
        ca_file=settings.openbao_ca_file,
        timeout_s=settings.openbao_timeout_s,
    )


def _hot_keys(settings: SignerSettings) -> HotKeys:
    if settings.payout_hot_signer_secret is None or settings.channel_signer_secrets_file is None:
        raise ConfigurationError(
            "SIGNER_BACKEND=hot_key needs PAYOUT_HOT_SIGNER_SECRET_FILE and CHANNEL_SIGNER_SECRETS_FILE: set both, or "
            "name another backend"
        )
    try:
        channels = json.loads(read_secret(settings.channel_signer_secrets_file))
    except json.JSONDecodeError:
        raise ConfigurationError("CHANNEL_SIGNER_SECRETS_FILE is no JSON") from None
    if not isinstance(channels, list) or not all(isinstance(one, str) for one in channels):
        raise ConfigurationError(
            'CHANNEL_SIGNER_SECRETS_FILE is no JSON list of texts: write the secret keys as ["S…", "S…"]'
        )
    return open_hot_keys(
        [settings.payout_hot_signer_secret.get_secret_value(), *channels],
        network=settings.stellar_network_passphrase,
        allowed=settings.signer_allow_hot_key,
        allowed_on_public=settings.signer_allow_hot_key_on_public,
    )
