"""Cases of webhooks: a hint that agrees with the look-up, harmless in any number and order, and never forged."""

from collections.abc import Sequence
from typing import cast

from prizewire_contracts.rails import Outcome, PayoutInstruction, ProviderEvent, WebhookRefused
from prizewire_railkit.conformance.cases import (
    Cases,
    assert_paid_once,
    case,
    create,
    look_up,
    made,
    settled,
)
from prizewire_railkit.conformance.stage import Behaviour, Feature, SentWebhook, WebhookStage


class WebhookCases(Cases):
    """Webhooks of a rail's provider."""

    async def _webhook_stage(self) -> WebhookStage:
        return cast(WebhookStage, await self.make_stage())

    @case(Feature.WEBHOOKS)
    async def test_a_webhook_names_its_payment(self) -> None:
        """Each webhook of a payment is verified, and names it by our key or by the provider's reference."""
        stage = await self._webhook_stage()
        wanted = stage.instruction()
        paid = await made(stage, wanted)
        sent = await stage.webhooks(wanted.payout_id)
        assert sent
        for event in _events(stage, sent):
            assert event.event_id
            assert event.event_type
            assert event.provider_key == wanted.provider_key or event.provider_ref == paid.provider_ref

    @case(Feature.WEBHOOKS, Behaviour.PENDING)
    async def test_webhook_and_look_up_agree(self) -> None:
        """Looked up after its webhook, a payment is what the stand-in did; the webhook itself proves nothing."""
        stage = await self._webhook_stage()
        await stage.behave(Behaviour.PENDING)
        wanted = stage.instruction()
        result = await create(stage, wanted)
        seen = 0
        for _ in range(3):
            sent = await stage.webhooks(wanted.payout_id)
            _events(stage, sent[seen:])
            seen = len(sent)
            result = await look_up(stage, wanted, result)
        paid = await settled(stage, wanted, result)
        await assert_paid_once(stage, wanted, paid)
        assert _events(stage, await stage.webhooks(wanted.payout_id))

    @case(Feature.WEBHOOKS)
    async def test_duplicate_and_reordered_webhooks_are_harmless(self) -> None:
        """The same webhook has the same id each time, two events have two, and look-ups after them pay nothing more."""
        stage = await self._webhook_stage()
        wanted, other = stage.instruction(), stage.instruction()
        paid = await made(stage, wanted)
        await made(stage, other)
        sent = [*await stage.webhooks(wanted.payout_id)]
        ids = [event.event_id for event in _events(stage, sent)]
        assert ids == [event.event_id for event in _events(stage, sent)]
        assert not set(ids) & {one.event_id for one in _events(stage, await stage.webhooks(other.payout_id))}
        for _ in _events(stage, [*reversed(sent), *sent]):
            found = await look_up(stage, wanted, paid)
            assert (found.outcome, found.amount) == (Outcome.PAID, wanted.amount)
        assert await stage.effects(wanted.payout_id) == 1

    @case(Feature.WEBHOOKS)
    async def test_a_forged_webhook_is_refused(self) -> None:
        """A changed body, a body of another webhook under these headers, and another secret are refused."""
        stage = await self._webhook_stage()
        wanted, other = stage.instruction(), stage.instruction()
        await _paid(stage, wanted)
        await _paid(stage, other)
        sent, strange = (
            (await stage.webhooks(wanted.payout_id))[0],
            (await stage.webhooks(other.payout_id))[0],
        )
        for body, headers in (
            (sent.body + b" ", sent.headers),
            (strange.body, sent.headers),
            (sent.body, strange.headers),
            (sent.body, {}),
        ):
            assert _refused(stage, SentWebhook(body=body, headers=headers)) is not None
        assert _refused(stage, sent, secrets=()) is not None
        assert _refused(stage, sent) is None


async def _paid(stage: WebhookStage, wanted: PayoutInstruction) -> None:
    assert (await made(stage, wanted)).outcome is Outcome.PAID


def _events(stage: WebhookStage, sent: Sequence[SentWebhook]) -> list[ProviderEvent]:
    return [
        stage.verifier.verify(
            body=one.body, headers=one.headers, secrets=stage.webhook_secrets, now=stage.now()
        )
        for one in sent
    ]


def _refused(
    stage: WebhookStage, sent: SentWebhook, *, secrets: tuple[str, ...] | None = None
) -> WebhookRefused | None:
    try:
        stage.verifier.verify(
            body=sent.body,
            headers=sent.headers,
            secrets=stage.webhook_secrets if secrets is None else secrets,
            now=stage.now(),
        )
    except WebhookRefused as refused:
        return refused
    return None
