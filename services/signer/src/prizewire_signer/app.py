"""Composition root: the only reader of settings; builds everything the signer is made of."""

import json
from collections.abc import Mapping

from prizewire_chassis.assets import read_assets
from prizewire_chassis.audit import Audit
from prizewire_chassis.keys import read_secret
from prizewire_chassis.lifecycle import Built, ConfigurationError, Runtime
from prizewire_chassis.outbox import Outbox
from prizewire_money import AssetRegistry
from prizewire_signer.adapters.backends import verify
from prizewire_signer.adapters.backends.hot_key import HotKeys, HotKeysRefused, open_hot_keys
from prizewire_signer.adapters.messages import SqlAnswers
from prizewire_signer.adapters.policy_file import load_policy, parse_chain_assets
from prizewire_signer.adapters.requests import TrustedRequests
from prizewire_signer.adapters.stellar import StellarTransactions, address_of
from prizewire_signer.adapters.storage import SqlBook, SqlClosingBook, SqlRefusals, breaches_of, queue_state
from prizewire_signer.domain.errors import PolicyInvalid
from prizewire_signer.domain.model import Rules
from prizewire_signer.entrypoints.consumers import Intake
from prizewire_signer.entrypoints.http import HTTP_MINIMAL
from prizewire_signer.entrypoints.jobs import SigningWorker, check_job, refusals_job, signing_job
from prizewire_signer.entrypoints.records import Records
from prizewire_signer.handlers import Desk
from prizewire_signer.ports import Backend
from prizewire_signer.settings import SignerSettings


async def build(runtime: Runtime) -> Built:
    """Everything that runs in this process.

    Raises:
        ConfigurationError: keys, accounts, assets or policy that must not be started with.
    """
    settings = runtime.settings
    if not isinstance(settings, SignerSettings):
        raise TypeError(type(settings).__name__)
    assets = read_assets(settings.assets_file)
    try:
        backend = _hot_keys(settings)
        desk = build_desk(settings, assets=assets, runtime=runtime, backend=backend)
    except (HotKeysRefused, PolicyInvalid) as error:
        raise ConfigurationError(str(error)) from None
    records = build_records(outbox=runtime.outbox, audit=runtime.audit)
    worker = SigningWorker(
        db=runtime.db,
        clock=runtime.clock,
        records=records,
        desk=desk,
        backend=backend,
    )
    signing = signing_job(worker)
    intake = Intake(
        network=settings.stellar_network_passphrase,
        free_margin_s=desk.rules.policy.free_margin_s,
        records=records,
        audit=runtime.audit,
        clock=runtime.clock,
        wake=signing.wake,
    )
    return Built(
        assets=assets,
        specs=[intake.spec()],
        jobs=[
            signing,
            check_job(db=runtime.db, clock=runtime.clock, records=records),
            refusals_job(db=runtime.db, clock=runtime.clock, records=records),
        ],
        http_minimal=HTTP_MINIMAL,
    )


def build_records(*, outbox: Outbox, audit: Audit) -> Records:
    """The ports over PostgreSQL."""
    return Records(
        book=SqlBook,
        closing_book=SqlClosingBook,
        answers=lambda tx: SqlAnswers(tx, outbox=outbox, audit=audit),
        breaches=breaches_of,
        refusals=lambda tx: SqlRefusals(tx, outbox=outbox, audit=audit),
        queue=queue_state,
    )


def build_desk(
    settings: SignerSettings, *, assets: AssetRegistry, runtime: Runtime, backend: Backend
) -> Desk:
    """The rules and readers of every decision.

    Raises:
        ConfigurationError: the treasury's key is missing, or there is no channel key beside it.
        PolicyInvalid: assets or policy are malformed.
    """
    accounts: Mapping[str, bytes] = {address_of(key): key for key in backend.public_keys()}
    treasury = settings.payout_source_account
    if treasury not in accounts:
        raise ConfigurationError("no key at hand belongs to PAYOUT_SOURCE_ACCOUNT")
    channels = frozenset(accounts) - {treasury}
    if not channels:
        raise ConfigurationError("CHANNEL_SIGNER_SECRETS_FILE holds no key beside the treasury's")
    chain_assets = parse_chain_assets(settings.stellar_assets)
    rules = Rules(
        network=settings.stellar_network_passphrase,
        treasury=treasury,
        channels=channels,
        chain_assets=chain_assets,
        assets=assets,
        policy=load_policy(settings.signer_policy_file, assets=assets, chain_assets=chain_assets),
    )
    return Desk(
        rules=rules,
        requests=TrustedRequests(trust=runtime.trust, network=rules.network),
        transactions=StellarTransactions(network_passphrase=rules.network),
        key_of=accounts,
        verify=verify,
        lease_s=settings.signer_lease_s,
    )


def _hot_keys(settings: SignerSettings) -> HotKeys:
    try:
        channels = json.loads(read_secret(settings.channel_signer_secrets_file))
    except json.JSONDecodeError:
        raise ConfigurationError("CHANNEL_SIGNER_SECRETS_FILE is no JSON") from None
    if not isinstance(channels, list) or not all(isinstance(one, str) for one in channels):
        raise ConfigurationError("CHANNEL_SIGNER_SECRETS_FILE is no JSON list of secret keys")
    return open_hot_keys(
        [settings.payout_hot_signer_secret.get_secret_value(), *channels],
        network=settings.stellar_network_passphrase,
        allowed=settings.signer_allow_hot_key,
        allowed_on_public=settings.signer_allow_hot_key_on_public,
    )
