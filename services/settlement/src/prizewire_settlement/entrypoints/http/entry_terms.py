"""``/api/rounds/entry-terms``: what it costs to enter rounds, for whoever compares it with what was taken."""

from typing import Annotated

from litestar import Controller, get
from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Items
from prizewire_money import Amount as Money
from prizewire_settlement.domain.states import RoundState
from prizewire_settlement.entrypoints.http.parts import HttpParts, readers
from prizewire_settlement.entrypoints.http.settled import RoundIds, ids_of
from prizewire_settlement.entrypoints.rule_answers import AmountText, Asset
from prizewire_settlement.ports import EntryTerms


class EntryTermsAnswer(AnswerModel):
    """A round, and what the rule that it is bound to asks of whoever enters it."""

    round_id: Id
    state: Annotated[RoundState, Field(examples=["OPEN"])]
    asset: Annotated[Asset | None, Field(description="Null where entering is free.", examples=["EURC"])]
    fee: Annotated[AmountText | None, Field(description="Null where entering is free.", examples=["2.50"])]


def entry_terms_controller(parts: HttpParts) -> type[Controller]:
    """Rounds by their ids, in whatever state they are."""

    class EntryTermsController(Controller):
        path = "/api/rounds/entry-terms"
        tags = ["rounds"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            guards=[readers],
            summary="What it costs to enter rounds, and where they stand",
            description="Rounds that are not known are left out.",
        )
        async def terms(self, ids: RoundIds) -> Items[EntryTermsAnswer]:
            async with parts.db.transaction() as tx:
                found = await parts.queries(tx).entry_terms(ids_of(ids))
            return Items(items=[_answer(one) for one in found])

    return EntryTermsController


def _answer(terms: EntryTerms) -> EntryTermsAnswer:
    fee = None if terms.asset is None or terms.fee is None else Money(terms.asset, terms.fee)
    return EntryTermsAnswer(
        round_id=terms.round_id,
        state=terms.state,
        asset=None if fee is None else fee.asset.code,
        fee=None if fee is None else fee.to_wire(),
    )
