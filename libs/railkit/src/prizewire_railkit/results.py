"""Constructors of ``ProviderResult``."""

from collections.abc import Mapping
from typing import Any, Literal

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import Outcome, ProviderResult
from prizewire_contracts.text import LINE_LENGTH_MAX, printable
from prizewire_money import Amount


def paid(
    *,
    amount: Amount,
    reference: str,
    fee: Amount | None = None,
    fee_borne_by: Literal["platform", "recipient"] = "platform",
    proof: Mapping[str, Any] | None = None,
) -> ProviderResult:
    """Proven: ``amount`` was paid, as instructed. ``fee`` is what the rail took for it, None where it took none."""
    return ProviderResult(
        outcome=Outcome.PAID,
        provider_ref=_clean(reference),
        amount=amount,
        fee=fee,
        fee_borne_by=fee_borne_by,
        proof=proof if proof is not None else {"reference": _clean(reference)},
    )


def pending(*, reference: str | None = None, retry_after_s: int | None = None) -> ProviderResult:
    """Accepted: the provider is processing it."""
    return ProviderResult(
        outcome=Outcome.PENDING, provider_ref=_clean(reference), retry_after_s=retry_after_s
    )


def no_effect(
    *, code: PayoutCode, reference: str | None = None, retry_after_s: int | None = None
) -> ProviderResult:
    """Proven: no money moved, and none will for this attempt."""
    return ProviderResult(
        outcome=Outcome.NO_EFFECT, code=code, provider_ref=_clean(reference), retry_after_s=retry_after_s
    )


def unknown(
    *, code: PayoutCode = PayoutCode.OUTCOME_UNKNOWN, retry_after_s: int | None = None
) -> ProviderResult:
    """Nothing is proven."""
    return ProviderResult(outcome=Outcome.UNKNOWN, code=code, retry_after_s=retry_after_s)


def _clean(reference: str | None) -> str | None:
    """A provider's reference in a form that can be stored and shown."""
    return None if reference is None else printable(reference, length_max=LINE_LENGTH_MAX)
