"""What the routes of disownments answer."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.domain.disownments import DisownmentState
from prizewire_rewards.entrypoints.answers.shared import Person

__all__ = ["DisownmentAnswer"]


class DisownmentAnswer(AnswerModel):
    """A disownment of a round: filed by one admin, approved or rejected by another."""

    disownment_id: Id
    round_id: Id
    reason: Annotated[
        str,
        Field(
            description="Why the filer says that settlement never settled the round.",
            examples=["verify: settlement never settled the round"],
        ),
    ]
    state: Annotated[DisownmentState, Field(examples=["approved"])]
    filed_by: Person
    filed_at: Moment
    decided_by: Annotated[Person | None, Field(description="Null until it is decided.", examples=["boris"])]
    decided_at: Annotated[Moment | None, Field(examples=["2026-05-02T12:00:00Z"])]
    decision: Annotated[
        str | None, Field(description="Why it was rejected.", examples=["settlement has the round"])
    ]
