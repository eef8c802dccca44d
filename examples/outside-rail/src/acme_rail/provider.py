"""The provider: payments to cards, by the vendor's HTTP interface."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import (
    CancelOutcome,
    Capabilities,
    PayoutInstruction,
    PayoutReference,
    ProviderResult,
    Quote,
    QuoteRequest,
    QuoteUnavailable,
)
from prizewire_money import Amount, Asset, MoneyError
from prizewire_railkit import (
    RailAnswer,
    RailClient,
    RailContext,
    RailFault,
    RailMisconfigured,
    no_effect,
    paid,
    pending,
    unknown,
)

METHOD_TYPE: Final = "acme_card"
_QUOTE_VALID: Final = timedelta(minutes=5)
_REFUSALS: Final = {
    "card_refused": PayoutCode.PROVIDER_REJECTED,
    "try_later": PayoutCode.RAIL_UNAVAILABLE,
    "cancelled": PayoutCode.CANCELLED,
}


def build(context: RailContext) -> "AcmeProvider":
    """The rail of one entry of the configuration.

    Raises:
        RailMisconfigured: an option is missing, wrong or unknown.
    """
    options = context.options
    assets = frozenset(options.texts("assets", ["EURC"]))
    if not assets <= {code for code, _ in context.assets.items()}:
        msg = f"the rail {context.name}: assets names one that assets.yaml does not hold"
        raise RailMisconfigured(msg)
    client = RailClient(
        base_url=options.text("base_url"),
        headers={"authorization": f"Bearer {options.secret('api_key').reveal()}"},
        timeout_s=options.integer("timeout_ms", 10_000, least=1) / 1000,
    )
    options.finish()
    return AcmeProvider(name=context.name, assets=assets, client=client)


class AcmeProvider:
    """A `prizewire_contracts.rails.RewardPayoutProvider`."""

    def __init__(self, *, name: str, assets: frozenset[str], client: RailClient) -> None:
        self._name = name
        self._assets = assets
        self._client = client

    def __repr__(self) -> str:
        return f"AcmeProvider({self._name})"

    def capabilities(self) -> Capabilities:
        """See `RewardPayoutProvider`."""
        return Capabilities(
            rail=self._name,
            type="acme",
            assets=self._assets,
            method_types=frozenset({METHOD_TYPE}),
            can_cancel=True,
            has_webhooks=True,
            concurrency=4,
            expected_s=60,
        )

    async def quote(self, request: QuoteRequest, *, now: datetime) -> Quote:
        """See `RewardPayoutProvider`: the vendor charges nothing, and exchanges nothing."""
        served = request.pay_asset.code in self._assets
        if not served or request.pay_asset != request.debit.asset:
            raise QuoteUnavailable(
                PayoutCode.RAIL_UNSUPPORTED, "the rail pays its assets in the debited asset only"
            )
        return Quote(
            debit=request.debit,
            pay=request.debit,
            fee=Amount.zero(request.pay_asset),
            fee_borne_by="platform",
            expires_at=now + _QUOTE_VALID,
        )

    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:  # noqa: ARG002 - the vendor has a clock of its own
        """See `RewardPayoutProvider`. The vendor finds the payment that a key already has."""
        if instruction.amount.asset.code not in self._assets:
            return no_effect(code=PayoutCode.RAIL_UNSUPPORTED)
        card = instruction.details.get("card")
        if not isinstance(card, str):
            return no_effect(code=PayoutCode.DESTINATION_INVALID)
        body = {
            "card": card,
            "amount": instruction.amount.to_wire(),
            "currency": instruction.amount.asset.code,
            "attempt": instruction.attempt_no,
        }
        try:
            answer = await self._client.call("PUT", f"/payments/{instruction.provider_key}", body=body)
        except RailFault as fault:
            return fault.result()
        return _result(answer, instruction.amount.asset)

    async def sync_status(self, reference: PayoutReference, *, now: datetime) -> ProviderResult:  # noqa: ARG002 - as above
        """See `RewardPayoutProvider`.

        "Not found" proves nothing: our request may be on its way. So the key is cancelled, which the vendor accepts for a key
        that was never used, and only then is it proved that it pays nothing.
        """
        path = f"/payments/{reference.provider_key}"
        try:
            answer = await self._client.call("GET", path)
            if answer.status == 404:
                answer = await self._client.call("POST", f"{path}/cancel", body={})
                if answer.body.get("state") == "cancelled":
                    return no_effect(code=PayoutCode.RAIL_UNAVAILABLE)
        except RailFault as fault:
            return fault.look_up_result()
        return _result(answer, reference.amount.asset)

    async def cancel(self, reference: PayoutReference, *, now: datetime) -> CancelOutcome:  # noqa: ARG002 - as above
        """See `RewardPayoutProvider`."""
        try:
            answer = await self._client.call("POST", f"/payments/{reference.provider_key}/cancel", body={})
        except RailFault:
            return CancelOutcome.UNKNOWN
        state = answer.body.get("state")
        if state == "cancelled":
            return CancelOutcome.CANCELLED
        return CancelOutcome.TOO_LATE if state == "paid" else CancelOutcome.UNKNOWN


def _result(answer: RailAnswer, asset: Asset) -> ProviderResult:
    if answer.status == 409:
        return unknown(code=PayoutCode.IDEMPOTENCY_CONFLICT)
    if answer.status != 200:
        return unknown()
    body = answer.body
    state, reference = body.get("state"), body.get("reference")
    if state in ("refused", "cancelled"):
        code = _REFUSALS.get(str(body.get("reason") or state), PayoutCode.PROVIDER_REJECTED)
        return no_effect(code=code, reference=_text(body, "reference"))
    if state == "pending":
        return pending(reference=_text(body, "reference"))
    if state != "paid" or not isinstance(reference, str):
        return unknown()
    try:
        return paid(amount=Amount.parse(asset, body.get("amount")), reference=reference)
    except MoneyError:
        return unknown()


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None
