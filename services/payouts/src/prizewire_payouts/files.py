"""What the settings name: the files are read here, at the start and by ``settings --check``."""

from pathlib import Path
from typing import Final

from prizewire_chassis.assets import read_assets
from prizewire_chassis.clock import SystemClock
from prizewire_chassis.keys import read_secret
from prizewire_chassis.lifecycle import ConfigurationError, FileCheck
from prizewire_chassis.lifecycle.files import read_message_key
from prizewire_contracts.player_sources import PlayerSource, read_player_sources
from prizewire_contracts.screening import ScreeningService
from prizewire_money import MoneyError
from prizewire_payouts.gates.adapters import DenyListError, DenyListFile
from prizewire_payouts.inline.adapters import MessageKeyBoxes, read_keys
from prizewire_payouts.methods.adapters import DetailsVault
from prizewire_payouts.rails.adapters import read_costs, read_rails
from prizewire_payouts.rails.build import RailParts, check_executions, check_packages
from prizewire_payouts.screening.adapters import load_screening
from prizewire_payouts.settings import PayoutSettings, approval_policy, gate_limits
from prizewire_payouts.verification.adapters import SmtpMail, smtp_mail
from prizewire_railkit import RailMisconfigured
from prizewire_railkit.method_types.installed import installed_method_types


def screening_of(settings: PayoutSettings) -> ScreeningService | None:
    """The screening service that the settings name, if any.

    Raises:
        RailMisconfigured: it cannot be built.
    """
    return load_screening(
        name=settings.payouts_screening_service,
        options_file=settings.payouts_screening_options_file,
        environment=settings.prizewire_environment,
    )


def check_waiver(settings: PayoutSettings) -> None:
    """Refuse the waiver of legal approvals in production.

    Raises:
        ConfigurationError: it is set there.
    """
    if settings.payouts_legal_approval_waived and settings.prizewire_environment == "production":
        msg = (
            "PAYOUTS_LEGAL_APPROVAL_WAIVED must be false in production: record the legal approval of each rail that needs one "
            "(POST /api/admin/legal-approvals)"
        )
        raise ConfigurationError(msg)


def mail_of(settings: PayoutSettings) -> SmtpMail | None:
    """The mail server that the settings name, if any.

    Raises:
        ValueError: it cannot be used.
    """
    password = settings.smtp_password
    return smtp_mail(
        url=settings.smtp_url,
        sender=settings.smtp_from,
        username=settings.smtp_username,
        password=None if password is None else password.get_secret_value(),
        environment=settings.prizewire_environment,
    )


def check_files(settings: PayoutSettings) -> None:
    """Read assets and rails, and the settings that they are compared with, as ``build`` does. The options of packages are for
    ``check_rails``, since they name secrets.

    Raises:
        ConfigurationError: one of them is unusable.
    """
    try:
        entries = read_rails(settings.rails_file)
        names = [entry.name for entry in entries]
        assets = read_assets(settings.assets_file)
        approval_policy(settings, assets=assets, rails=names)
        gate_limits(settings, assets=assets)
        check_executions(entries, settings=settings)
        for entry in entries:
            read_costs(entry, assets=assets)
        check_waiver(settings)
        mail_of(settings)
    except (RailMisconfigured, MoneyError, ValueError) as error:
        raise ConfigurationError(str(error)) from None


def check_rails(settings: PayoutSettings) -> None:
    """Let each package check the options of its rails, without a connection.

    Raises:
        ConfigurationError: one of them is unusable.
    """
    try:
        parts = RailParts(
            clock=SystemClock(),
            assets=read_assets(settings.assets_file),
            environment=settings.prizewire_environment,
            method_types=installed_method_types(),
            store=None,
        )
        check_packages(read_rails(settings.rails_file), parts=parts)
    except (RailMisconfigured, MoneyError) as error:
        raise ConfigurationError(str(error)) from None


def details_vault(settings: PayoutSettings) -> DetailsVault:
    """The vault of payout details, with the present key and former ones.

    Raises:
        UnsafeKeyFile: a file is missing or readable by others.
        ValueError: it holds no key, or a key is named twice. The text does not repeat what it holds.
    """
    return DetailsVault(
        key_hex=read_secret(settings.method_encryption_key_file),
        former=[
            read_secret(Path(name.strip()))
            for name in settings.method_encryption_former_key_files.split(",")
            if name.strip()
        ],
    )


def player_sources(settings: PayoutSettings) -> dict[str, PlayerSource]:
    """The sources that may report facts of players, by name.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    path = settings.player_sources_file
    if path is None:
        return {}
    try:
        return read_player_sources(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"PLAYER_SOURCES_FILE {path.name}: {error}") from None


def _check_deny_list(settings: PayoutSettings) -> None:
    path = settings.payouts_deny_list_file
    if path is not None:
        try:
            DenyListFile(path, types=installed_method_types(), macs=lambda **_entry: ())
        except DenyListError as error:
            raise ConfigurationError(f"PAYOUTS_DENY_LIST_FILE: {error}") from None


def _check_screening(settings: PayoutSettings) -> None:
    try:
        screening_of(settings)
    except RailMisconfigured as error:
        raise ConfigurationError(str(error)) from None


def _check_details_keys(settings: PayoutSettings) -> None:
    try:
        details_vault(settings)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _check_message_keys(settings: PayoutSettings) -> None:
    present = read_message_key(settings.message_key_file)
    try:
        MessageKeyBoxes(present, read_keys(settings.payouts_former_message_key_files))
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


FILES: Final = (
    FileCheck(["assets_file", "rails_file"], check_files),
    FileCheck(["assets_file", "rails_file"], check_rails, secret=True),
    FileCheck(["player_sources_file"], player_sources),
    FileCheck(["payouts_deny_list_file"], _check_deny_list),
    FileCheck(["payouts_screening_options_file"], _check_screening, secret=True),
    FileCheck(["method_encryption_key_file"], _check_details_keys, secret=True),
    FileCheck(["message_key_file"], _check_message_keys, secret=True),
)
