"""What payouts reads from its environment. Names and defaults of earlier systems stay as they were."""

from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from prizewire_chassis.settings import ApiSettings
from prizewire_money import Amount, AssetRegistry, MoneyError
from prizewire_payouts.approval.domain import ApprovalPolicy
from prizewire_payouts.gates.domain import GateCode, GateLimits
from prizewire_payouts.payouts.handlers.watching import Schedule


class PayoutSettings(ApiSettings):
    """Settings of payouts. What is not set for Stellar only matters where a rail of that provider is configured."""

    rails_file: Path = Field(description="rails.yaml: the configured rails, in order of preference.")
    method_encryption_key_file: Path = Field(
        description="64 hex digits (mode 0600) that encrypt payout details at rest, and mark the rows of attempts."
    )

    payouts_legal_approval_waived: bool = Field(
        False,
        description="Lets rails that need a recorded legal approval pay without one. Refused in production.",
    )
    payouts_method_cool_down_s: int | None = Field(
        None,
        ge=0,
        description="Seconds before a new payout method is paid. Without a value a day, and 0 in development.",
    )
    smtp_url: str = Field(
        "",
        description="Mail server for codes that verify payout methods: smtp://HOST:PORT (STARTTLS), smtps://HOST:PORT, or in "
        "development smtp+plain://HOST:PORT. Without a value no codes are sent.",
    )
    smtp_from: str = Field("", description="The e-mail address that codes are sent from.")
    smtp_username: str = Field("", description="The user at the mail server, none if unset.")
    smtp_password: SecretStr | None = Field(None, description="The user's password at the mail server.")

    payouts_details_kept_days: int = Field(
        90, ge=1, le=3650, description="Days after which the details of a removed payout method are erased."
    )
    method_encryption_former_key_files: str = Field(
        "",
        description="Comma list of files like METHOD_ENCRYPTION_KEY_FILE, with keys whose rows are still read. A job encrypts these "
        "rows again by the present key.",
    )

    payouts_former_message_key_files: str = Field(
        "",
        description="Comma list of files like MESSAGE_KEY_FILE, with former keys: details in requests that were sealed before a change "
        "of the key are still opened.",
    )

    payouts_auto_approve_up_to: str = Field(
        "",
        description="Comma list of CODE=AMOUNT, and of RAIL:CODE=AMOUNT for one rail: payouts up to this go without a person. An "
        "asset not named is held.",
    )
    payouts_auto_approve_per_day: str = Field(
        "",
        description="CODE=AMOUNT comma list: the most that goes without a person within a day (UTC), over all rails. "
        "Needed for each asset of PAYOUTS_AUTO_APPROVE_UP_TO. What would pass it is held.",
    )
    payouts_two_approvers_above: str = Field(
        "", description="CODE=AMOUNT comma list: above this two distinct approvers must agree."
    )
    payouts_policy_version: int = Field(
        1, ge=1, description="Published with each approval; raise it with the limits."
    )
    player_sources_file: Path | None = Field(
        None,
        description="player-sources.yaml: the sources that may report identity checks and tax forms of players by signed events.",
    )
    payouts_gate_identity_above: str = Field(
        "", description="CODE=AMOUNT comma list: above this a player without a valid identity check is held."
    )
    payouts_gate_new_destination_above: str = Field(
        "", description="CODE=AMOUNT comma list: above this a payout to a new destination is held."
    )
    payouts_gate_new_destination_hours: int = Field(
        72, ge=1, description="How long a destination is new after it was registered."
    )
    payouts_gate_tax_above: str = Field(
        "",
        description="CODE=AMOUNT comma list: above this sum of a year, out of one campaign, a player without a tax form is held.",
    )
    payouts_gate_destination_max: int | None = Field(
        None,
        ge=1,
        description="More payouts to one destination than this, over all players, within the time of the gate are held.",
    )
    payouts_gate_destination_sum: str = Field(
        "",
        description="CODE=AMOUNT comma list: more than this to one destination within the time of the gate is held.",
    )
    payouts_gate_destination_hours: int = Field(
        24, ge=1, le=8_784, description="Within which time payouts to a destination are counted."
    )
    payouts_gate_withdrawals_max: int | None = Field(
        None, ge=1, description="More payouts of a player than this within the time of the gate are held."
    )
    payouts_gate_withdrawals_sum: str = Field(
        "",
        description="CODE=AMOUNT comma list: more than this of a player within the time of the gate is held.",
    )
    payouts_gate_withdrawals_hours: int = Field(
        24, ge=1, description="Within which time payouts of a player are counted."
    )
    payouts_gates_two_approvers: str = Field(
        "destination_denied,screening_hit",
        description="Comma list of gates that two persons must let a payout pass; one person the others. A value replaces the default: "
        "repeat the gates that are to stay in it.",
    )
    payouts_deny_list_file: Path | None = Field(
        None, description="YAML of destinations that nobody is paid to without persons who approve it."
    )
    payouts_screening_service: str = Field(
        "",
        description="The screening service that is asked about each payout before it is sent: `http`, or the name that an installed "
        "package announces. Without a value none is asked.",
    )
    payouts_screening_options_file: Path | None = Field(
        None,
        description="YAML with the options of the screening service; for `http`: url, token, timeout_ms.",
    )
    payouts_screening_valid_hours: int = Field(
        24, ge=1, le=720, description="Hours after which an answer of the screening service must be renewed."
    )
    payouts_resume_by_another: bool = Field(
        False, description="True lets a pause be lifted only by another person than set it."
    )
    payouts_max_attempts: int = Field(5, ge=1, description="Attempts after which a payout fails.")
    payouts_retry_first_ms: int = Field(2_000, ge=1, description="Wait before the second attempt; doubles.")
    payouts_call_timeout_ms: int = Field(
        15_000, ge=100, description="The longest that a call to a rail may take."
    )
    payouts_quote_timeout_ms: int = Field(
        3_000, ge=100, description="The longest that a rail may take to name a price."
    )
    payouts_quotes_per_minute: int = Field(
        30, ge=1, description="Quotes that one caller may ask for in a minute, in each process."
    )
    payouts_confirm_poll_ms: int = Field(
        2_500, ge=10, description="Between two looks at a payment under way."
    )
    payouts_confirm_max_polls: int = Field(
        20, ge=1, description="Looks after which the gap begins to double."
    )

    payouts_live_execution: bool = Field(
        False, description="False refuses rails that move real money in production."
    )
    payouts_sign_with_hot_key: bool = Field(
        False, description="Of earlier systems; chain keys live in the signer, so it must stay false."
    )
    payouts_max_gas_stroops: int = Field(
        2_000_000, ge=1, description="The most that one transaction may cost."
    )
    payout_contract_id: str | None = Field(None, description="Payout contract on Soroban, none if unset.")
    payout_method_name: str = Field("distribute_winnings", description="Method of the payout contract.")
    payout_source_account: str = Field(
        "", description="The treasury account that Stellar payouts leave from."
    )
    stellar_channel_accounts: str = Field("", description="Comma list of channel accounts (G…).")
    stellar_assets: str = Field("XLM", description="Comma list of CODE:ISSUER; XLM is native.")
    stellar_network_passphrase: str = Field(
        min_length=1, description="The network that intents and signatures name."
    )
    soroban_rpc_url: str = Field("", description="Stellar RPC; several with commas, proofs need all.")

    payment_provider: Literal["none", "mock", "stripe"] = Field(
        "none", description="Who takes top-ups. No provider is served yet: mock and stripe have no effect."
    )
    stripe_secret_key: SecretStr | None = Field(None, description="Stripe's secret key, not used yet.")
    stripe_publishable_key: str | None = Field(None, description="Stripe's publishable key, not used yet.")
    stripe_webhook_secret: SecretStr | None = Field(
        None, description="Signing secret of Stripe's webhooks, not used yet."
    )
    frontend_url: str | None = Field(None, description="Where players return to after a top-up.")

    @property
    def network(self) -> str:
        """The network that intents and quotes name."""
        return self.stellar_network_passphrase


def approval_policy(
    settings: PayoutSettings, *, assets: AssetRegistry, rails: Collection[str]
) -> ApprovalPolicy:
    """The limits of the settings. ``rails`` are the names of the configured rails.

    Raises:
        ValueError: a limit cannot be read, names a rail that is not configured, or one of the two automatic limits of an
            asset is missing; the sentence names the setting.
    """
    up_to, on_rail = _limits_of_rails(
        "PAYOUTS_AUTO_APPROVE_UP_TO", settings.payouts_auto_approve_up_to, assets, rails
    )
    in_day = _limits("PAYOUTS_AUTO_APPROVE_PER_DAY", settings.payouts_auto_approve_per_day, assets)
    named = up_to.keys() | {code for _, code in on_rail}
    missing = {
        "PAYOUTS_AUTO_APPROVE_UP_TO": sorted(in_day.keys() - named),
        "PAYOUTS_AUTO_APPROVE_PER_DAY": sorted(named - in_day.keys()),
    }
    if any(missing.values()):
        without = " and ".join(f"{name} lacks {', '.join(codes)}" for name, codes in missing.items() if codes)
        msg = f"{without}: an asset needs a limit in both settings, or in neither"
        raise ValueError(msg)
    return ApprovalPolicy(
        version=settings.payouts_policy_version,
        automatic_up_to=up_to,
        automatic_on_rail=on_rail,
        automatic_in_day=in_day,
        two_above=_limits("PAYOUTS_TWO_APPROVERS_ABOVE", settings.payouts_two_approvers_above, assets),
    )


def cool_down(settings: PayoutSettings) -> timedelta:
    """How long a new payout method is not paid."""
    if settings.payouts_method_cool_down_s is not None:
        return timedelta(seconds=settings.payouts_method_cool_down_s)
    return timedelta() if settings.prizewire_environment == "development" else timedelta(days=1)


def gate_limits(settings: PayoutSettings, *, assets: AssetRegistry) -> GateLimits:
    """The limits of the gates.

    Raises:
        ValueError: a limit cannot be read, or a gate is unknown; the sentence names the setting.
    """
    above, most = settings.payouts_gate_new_destination_above, settings.payouts_gate_withdrawals_sum
    two = _parts(settings.payouts_gates_two_approvers)
    unknown = sorted(set(two) - set(GateCode))
    if unknown:
        msg = (
            f"PAYOUTS_GATES_TWO_APPROVERS: there is no gate {unknown[0]!r}; use some of {', '.join(GateCode)}"
        )
        raise ValueError(msg)
    return GateLimits(
        identity_above=_limits("PAYOUTS_GATE_IDENTITY_ABOVE", settings.payouts_gate_identity_above, assets),
        new_destination_above=_limits("PAYOUTS_GATE_NEW_DESTINATION_ABOVE", above, assets),
        destination_new_for=timedelta(hours=settings.payouts_gate_new_destination_hours),
        tax_above=_limits("PAYOUTS_GATE_TAX_ABOVE", settings.payouts_gate_tax_above, assets),
        withdrawals_max=settings.payouts_gate_withdrawals_max,
        withdrawals_sum=_limits("PAYOUTS_GATE_WITHDRAWALS_SUM", most, assets),
        withdrawals_within=timedelta(hours=settings.payouts_gate_withdrawals_hours),
        destination_max=settings.payouts_gate_destination_max,
        destination_sum=_limits(
            "PAYOUTS_GATE_DESTINATION_SUM", settings.payouts_gate_destination_sum, assets
        ),
        destination_within=timedelta(hours=settings.payouts_gate_destination_hours),
        two_approvers=frozenset(GateCode(gate) for gate in two),
        screened_within=timedelta(hours=settings.payouts_screening_valid_hours)
        if settings.payouts_screening_service
        else None,
    )


def schedule(settings: PayoutSettings) -> Schedule:
    """The times and bounds of the settings."""
    return Schedule(
        poll=timedelta(milliseconds=settings.payouts_confirm_poll_ms),
        polls_flat=settings.payouts_confirm_max_polls,
        poll_max=timedelta(hours=1),
        retry_first=timedelta(milliseconds=settings.payouts_retry_first_ms),
        retry_max=timedelta(minutes=5),
        attempts_max=settings.payouts_max_attempts,
        # a call that was not answered in time is over before anybody looks it up
        lease=timedelta(milliseconds=2 * settings.payouts_call_timeout_ms),
        returns_watched=timedelta(days=7),
    )


def _limits_of_rails(
    name: str, text: str, assets: AssetRegistry, rails: Collection[str]
) -> tuple[dict[str, Amount], dict[tuple[str, str], Amount]]:
    """The limits by asset, and those by rail and asset. A rail's name may have colons, an asset's code has none."""
    by_asset: list[str] = []
    by_rail: dict[tuple[str, str], Amount] = {}
    for part in _parts(text):
        rail, colon, limit = part.rpartition(":")
        if not colon:
            by_asset.append(part)
            continue
        if rail not in rails:
            msg = f"{name}: {part!r} names the rail {rail!r}, which RAILS_FILE does not have: use one of {', '.join(sorted(rails))}"
            raise ValueError(msg)
        for code, amount in _limits(name, limit, assets).items():
            if (rail, code) in by_rail:
                msg = f"{name}: {part!r} names the rail {rail} and the asset {code} twice"
                raise ValueError(msg)
            by_rail[rail, code] = amount
    return _limits(name, ",".join(by_asset), assets), by_rail


def _parts(text: str) -> list[str]:
    return [part for part in (part.strip() for part in text.split(",")) if part]


def _limits(name: str, text: str, assets: AssetRegistry) -> dict[str, Amount]:
    limits: dict[str, Amount] = {}
    for part in _parts(text):
        code, equals, amount = part.partition("=")
        if not equals or code in limits:
            msg = f"{name}: {part!r} is not CODE=AMOUNT, or names the asset twice"
            raise ValueError(msg)
        try:
            limits[code] = Amount.parse(assets[code], amount)
        except MoneyError as error:
            msg = f"{name}: {error}"
            raise ValueError(msg) from None
    return limits
