"""What payouts reads from its environment. Names and defaults of earlier systems stay as they were."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from prizewire_chassis.settings import ApiSettings
from prizewire_money import Amount, AssetRegistry, MoneyError
from prizewire_payouts.approval.domain import ApprovalPolicy
from prizewire_payouts.payouts.handlers.watching import Schedule


class PayoutSettings(ApiSettings):
    """Settings of payouts. What is not set for Stellar only matters where a rail of that type is configured."""

    rails_file: Path = Field(description="rails.yaml: the configured rails, in order of preference.")
    method_encryption_key_file: Path = Field(
        description="64 hex digits (mode 0600) that encrypt payout details at rest, and mark the rows of attempts."
    )

    payouts_auto_approve_up_to: str = Field(
        "",
        description="CODE=AMOUNT comma list: payouts up to this go without a person. An asset not named is held.",
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
    payouts_max_attempts: int = Field(5, ge=1, description="Attempts after which a payout fails.")
    payouts_retry_first_ms: int = Field(2_000, ge=1, description="Wait before the second attempt; doubles.")
    payouts_call_timeout_ms: int = Field(
        15_000, ge=100, description="The longest that a call to a rail may take."
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


def approval_policy(settings: PayoutSettings, *, assets: AssetRegistry) -> ApprovalPolicy:
    """The limits of the settings.

    Raises:
        ValueError: a limit cannot be read, or one of the two automatic limits of an asset is missing; the sentence
            names the setting.
    """
    up_to = _limits("PAYOUTS_AUTO_APPROVE_UP_TO", settings.payouts_auto_approve_up_to, assets)
    in_day = _limits("PAYOUTS_AUTO_APPROVE_PER_DAY", settings.payouts_auto_approve_per_day, assets)
    missing = {
        "PAYOUTS_AUTO_APPROVE_UP_TO": sorted(in_day.keys() - up_to.keys()),
        "PAYOUTS_AUTO_APPROVE_PER_DAY": sorted(up_to.keys() - in_day.keys()),
    }
    if any(missing.values()):
        without = " and ".join(f"{name} lacks {', '.join(codes)}" for name, codes in missing.items() if codes)
        msg = f"{without}: an asset needs a limit in both settings, or in neither"
        raise ValueError(msg)
    return ApprovalPolicy(
        version=settings.payouts_policy_version,
        automatic_up_to=up_to,
        automatic_in_day=in_day,
        two_above=_limits("PAYOUTS_TWO_APPROVERS_ABOVE", settings.payouts_two_approvers_above, assets),
    )


def own_accounts(settings: PayoutSettings) -> frozenset[str]:
    """The Stellar accounts that payouts are made from: treasury and channels (G…). No payout may go to one of them."""
    named = [settings.payout_source_account, *settings.stellar_channel_accounts.split(",")]
    return frozenset(filter(None, (account.strip() for account in named)))


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


def _limits(name: str, text: str, assets: AssetRegistry) -> dict[str, Amount]:
    limits: dict[str, Amount] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
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
