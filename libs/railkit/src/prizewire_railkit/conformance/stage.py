"""The stage of a rail's tests: the rail with a stand-in of its provider, whose behaviour a test sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from prizewire_contracts.rails import PayoutInstruction, RewardPayoutProvider, WebhookVerifier
from prizewire_money import Amount


class Behaviour(StrEnum):
    """How the provider treats the following payments and look-ups. The set is closed: a rail whose stand-in cannot play one
    lists it in ``skips``. Every stage plays ``SUCCESS``.
    """

    SUCCESS = "success"
    PENDING = "pending"
    """Accepted, and paid after some look-ups."""
    FAILURE = "failure"
    """Refused permanently."""
    RETRYABLE = "retryable"
    """Refused temporarily: the first attempt has no effect, the next one is paid."""
    LOST_ANSWER = "lost_answer"
    """Paid, but the answer never arrives."""
    OUTAGE = "outage"
    """The provider cannot be reached."""
    THROTTLED = "throttled"
    """Every request is refused, since there were too many, and the provider says when to come again."""
    GARBAGE = "garbage"
    """Payments are made, but no answer can be read."""
    SLOW = "slow"
    """Payments are made, but their answers arrive after more than ``SLOW_S``."""
    RETURNED = "returned"
    """Paid, and returned by the recipient's side after some look-ups."""


SLOW_S = 0.5
"""How late answers are at least while the behaviour is ``SLOW``, in seconds."""


class Feature(StrEnum):
    """What a rail may have or lack. The set is closed: a rail that lacks one lists it in ``skips``."""

    CALLS = "calls"
    """``create_payout`` calls the provider itself. Without it the rail stores the payment, and makes it later."""
    CANCEL = "cancel"
    """Payments can be cancelled (``Capabilities.can_cancel``)."""
    RETURNS = "returns"
    """A paid payment can be returned later (``Capabilities.can_return``)."""
    WEBHOOKS = "webhooks"
    """The provider sends webhooks (``Capabilities.has_webhooks``), and the stage is a ``WebhookStage``."""
    LOOK_UP_BY_KEY = "look_up_by_key"
    """The provider finds a payment by our key alone (``Capabilities.look_up_by_key``)."""
    MINIMUM = "minimum"
    """The rail has a smallest amount in the asset of the stage's instructions (``Capabilities.minimum``)."""
    MAXIMUM = "maximum"
    """The rail has a largest amount in that asset (``Capabilities.maximum``)."""
    BALANCES = "balances"
    """The provider says what its account can pay (``AccountBalances``)."""
    SIGNED_TIME = "signed_time"
    """The signature of the provider's webhooks covers the time at which they were sent."""


class Stage(Protocol):
    """A rail under test with a stand-in of its provider. ``secrets`` are texts that no ``repr``, log or error may show.

    The details of its instructions are of an installed method type; each text of five characters or more occurs nowhere else.
    """

    provider: RewardPayoutProvider
    secrets: Sequence[str]

    def now(self) -> datetime:
        """The present moment."""
        ...

    def instruction(self, *, amount: Amount | None = None) -> PayoutInstruction:
        """A first attempt of a new payout to details of its own; a usual amount where none is given."""
        ...

    def smallest(self) -> Amount:
        """The smallest amount that the rail takes."""
        ...

    async def behave(self, behaviour: Behaviour) -> None:
        """Set the behaviour for the following payments and look-ups."""
        ...

    async def effects(self, payout_id: UUID) -> int:
        """How many payments the stand-in made for a payout, under any key."""
        ...

    async def advance(self) -> None:
        """Let the stand-in and the rail's own jobs work a little; called between two look-ups."""
        ...

    async def restart(self) -> None:
        """Replace ``provider`` by a new one over the same stand-in, as after a crash."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SentWebhook:
    """A webhook as it arrives: the raw body, and the headers by their names in lower case."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class WebhookStage(Stage, Protocol):
    """The stage of a rail whose provider sends webhooks. ``webhook_secrets`` are those in force."""

    verifier: WebhookVerifier
    webhook_secrets: Sequence[str]

    async def webhooks(self, payout_id: UUID) -> Sequence[SentWebhook]:
        """What the stand-in sent about a payout until now, oldest first; at least one for each payment that was made."""
        ...
