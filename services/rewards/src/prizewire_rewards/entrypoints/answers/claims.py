"""Claims, as the routes answer them."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.domain.claims import ClaimCode, ClaimState
from prizewire_rewards.domain.risk import RuleName, Verdict
from prizewire_rewards.entrypoints.answers.shared import AssetCode, CorrelationId, Money, Player


class FindingAnswer(AnswerModel):
    """What a risk rule found."""

    rule: Annotated[RuleName, Field(examples=["amount"])]
    verdict: Annotated[Verdict, Field(description="What the rule asks for.", examples=["hold"])]
    saw: Annotated[str, Field(description="What the rule looked at.", examples=["2600.00 USDC"])]
    threshold: Annotated[
        str, Field(description="What it would have let pass.", examples=["below 2500.00 USDC"])
    ]
    explanation: Annotated[
        str,
        Field(description="Why there is such a rule.", examples=["Large prizes are looked at by a person."]),
    ]


class ClaimAnswer(AnswerModel):
    """A prize to be claimed. How it is reviewed is shown to operators and admins, and never to the claim's own player."""

    reward_id: Id
    round_id: Id
    campaign: Id
    player: Player
    asset: AssetCode
    amount: Annotated[Money, Field(examples=["2600.00"])]
    state: Annotated[ClaimState, Field(examples=["held"])]
    code: Annotated[
        ClaimCode | None,
        Field(
            description="Why it waits or ended without money. `corrected`: a correction of the result took the prize away. "
            "`refused`: it was reviewed and refused. Null while it is open, and once it was credited.",
            examples=["under_review"],
        ),
    ]
    deadline: Annotated[
        Moment | None,
        Field(
            description="When an open claim expires, or when a decision on a held one is due. Null once it has ended.",
            examples=["2026-05-04T12:00:00Z"],
        ),
    ]
    correlation_id: CorrelationId
    opened_at: Moment
    claimed_at: Annotated[
        Moment | None,
        Field(
            description="When it was claimed. Null before, and to the claim's player.",
            examples=["2026-05-01T12:30:00Z"],
        ),
    ]
    decided_at: Annotated[
        Moment | None,
        Field(description="Null without a decision, and to the claim's player.", examples=[None]),
    ]
    decided_by: Annotated[
        str | None,
        Field(
            description="A person, or the service where a rule decided. Null without a decision, and to the claim's player.",
            examples=[None],
        ),
    ]
    reason: Annotated[
        str | None,
        Field(
            description="Why it was decided so. Null without a decision, and to the claim's player.",
            examples=[None],
        ),
    ]
    findings: Annotated[
        list[FindingAnswer] | None,
        Field(description="What the risk rules found. Null to the claim's player."),
    ]
