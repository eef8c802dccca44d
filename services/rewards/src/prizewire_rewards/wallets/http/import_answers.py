"""Answers of ``/api/imports``."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel
from prizewire_rewards.http.members import AssetCode, Money


class RefusedRowAnswer(AnswerModel):
    """A row that is not booked."""

    row: Annotated[int, Field(description="Its row in the request, from 0.", examples=[2])]
    code: Annotated[str, Field(description="A stable code.", examples=["asset_unknown"])]
    detail: Annotated[str, Field(description="The code as a sentence.", examples=["there is no asset USDX"])]


class SumAnswer(AnswerModel):
    """Opening balances of one asset and bucket."""

    asset: AssetCode
    bucket: Annotated[str, Field(description="`winnings` or `topup`.", examples=["winnings"])]
    before: Annotated[Money, Field(description="Booked before this request.", examples=["317.00"])]
    imported: Annotated[Money, Field(description="Booked by this request.", examples=["125.50"])]
    after: Annotated[Money, Field(description="Booked after this request.", examples=["442.50"])]


class ImportAnswer(AnswerModel):
    """What was booked, or what a dry run would book."""

    dry_run: Annotated[bool, Field(examples=[True])]
    rows: Annotated[int, Field(description="Rows of the request.", examples=[3])]
    imported: Annotated[int, Field(description="Rows that are booked now.", examples=[1])]
    already: Annotated[int, Field(description="Rows that were booked before.", examples=[1])]
    refused: list[RefusedRowAnswer]
    sums: list[SumAnswer]
