"""``/api/rounds/ended``, ``/api/rounds/settled`` and ``/api/rounds/entry-terms``: what ``prizewire verify`` compares with what was booked."""

from typing import Annotated, Final
from uuid import UUID

from litestar import Controller, get
from litestar.params import FromQuery, QueryParameter
from pydantic import Field

from prizewire_chassis.http import BY_TIME_AND_ID, page_limit
from prizewire_chassis.http.answers import AnswerModel, Id, Items, Moment, PageOf
from prizewire_chassis.http.moments import MOMENT_SCHEMA, moment_of
from prizewire_money import Amount as Money
from prizewire_settlement.competitions.http.answers import (
    AmountText,
    Asset,
    Campaign,
    PlayerName,
)
from prizewire_settlement.http import readers
from prizewire_settlement.rounds.domain.model import RoundState
from prizewire_settlement.rounds.http.context import RoundContext
from prizewire_settlement.rounds.ports import EndedRound, EntryTerms, SettledRound


class EndedAnswer(AnswerModel):
    """A round that ended, with the sums of its newest settlement."""

    round_id: Id
    state: Annotated[RoundState, Field(description="FINALIZED or VOIDED.", examples=["FINALIZED"])]
    ended_at: Moment
    settlement_version: Annotated[int, Field(examples=[1])]
    refused: Annotated[
        bool,
        Field(description="Whether rewards refuses the settlement, or disowned the round.", examples=[False]),
    ]
    disowned: Annotated[
        bool, Field(description="Whether two admins disowned the round in rewards.", examples=[False])
    ]
    campaign: Campaign
    asset: Asset
    gross: AmountText
    prizes: Annotated[int, Field(description="How many prizes there are.", examples=[2])]
    prizes_total: Annotated[AmountText, Field(description="The sum of the prizes.", examples=["68.00"])]


def ended_answer(ended: EndedRound) -> EndedAnswer:
    """A round that ended, with the sums of its newest settlement."""
    asset = ended.asset
    return EndedAnswer(
        round_id=ended.round.id,
        state=ended.round.state,
        ended_at=ended.ended_at,
        settlement_version=ended.round.settlement_version,
        refused=ended.round.refused_at is not None,
        disowned=ended.round.disowned_at is not None,
        campaign=ended.campaign,
        asset=asset.code,
        gross=Money(asset, ended.gross).to_wire(),
        prizes=ended.lines_total,
        prizes_total=Money(asset, ended.prizes).to_wire(),
    )


class SettledAnswer(AnswerModel):
    """A round that was settled, with the figures of its newest settlement."""

    round_id: Id
    state: Annotated[RoundState, Field(examples=["FINALIZED"])]
    settlement_version: Annotated[int, Field(description="From 1.", examples=[1])]
    campaign: Campaign
    asset: Asset
    gross: AmountText
    platform_fee: Annotated[AmountText, Field(examples=["10.00"])]
    organizer_fee: Annotated[AmountText, Field(examples=["5.00"])]
    organizer_player: Annotated[
        PlayerName | None,
        Field(description="Who gets the organizer's fee. Null if nobody does.", examples=["org"]),
    ]
    unclaimed: Annotated[AmountText, Field(description="What no player gets.", examples=["17.00"])]
    digest: Annotated[
        str,
        Field(
            pattern="^[0-9a-f]{64}$",
            description="The SHA-256 of the canonical JSON of all lines, as the events of the settlement carry it.",
            examples=["4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"],
        ),
    ]
    lowered: Annotated[
        AmountText,
        Field(description="The sum by which corrections lowered players' prizes.", examples=["0.00"]),
    ]


def settled_answer(settled: SettledRound) -> SettledAnswer:
    """A round with the figures of its newest settlement."""

    def wire(amount: int) -> str:
        return Money(settled.asset, amount).to_wire()

    return SettledAnswer(
        round_id=settled.round.id,
        state=settled.round.state,
        settlement_version=settled.round.settlement_version,
        campaign=settled.campaign,
        asset=settled.asset.code,
        gross=wire(settled.gross),
        platform_fee=wire(settled.platform_fee),
        organizer_fee=wire(settled.organizer_fee),
        organizer_player=settled.organizer_player,
        unclaimed=wire(settled.unclaimed),
        digest=settled.digest,
        lowered=wire(settled.lowered),
    )


def ended_controller(context: RoundContext) -> type[Controller]:
    """Rounds that ended, the last one first."""

    class EndedController(Controller):
        path = "/api/rounds/ended"
        tags = ["rounds"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            guards=[readers],
            summary="Settled rounds that are final or void, the one that ended last first",
            refusals={400: ("period_invalid",)},
        )
        async def ended(
            self,
            since: Annotated[
                str | None,
                QueryParameter(
                    description="Only rounds that ended then or later.",
                    schema_extra=dict(MOMENT_SCHEMA),
                ),
            ] = None,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> PageOf[EndedAnswer]:
            size, before = page_limit(limit), BY_TIME_AND_ID.read(cursor)
            begin = None if since is None else moment_of(since, name="since")
            found = await context.read(
                lambda queries: queries.ended_page(since=begin, before=before, limit=size)
            )
            return BY_TIME_AND_ID.page(
                found, limit=size, key=lambda one: (one.ended_at, one.round.id), show=ended_answer
            )

    return EndedController


class EntryTermsAnswer(AnswerModel):
    """A round, and the entry fee of the rule that it is bound to."""

    round_id: Id
    state: Annotated[RoundState, Field(examples=["OPEN"])]
    asset: Annotated[Asset | None, Field(description="Null where entering is free.", examples=["EURC"])]
    fee: Annotated[AmountText | None, Field(description="Null where entering is free.", examples=["2.50"])]


def entry_terms_controller(context: RoundContext) -> type[Controller]:
    """Rounds by their ids, in whatever state they are."""

    class EntryTermsController(Controller):
        path = "/api/rounds/entry-terms"
        tags = ["rounds"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            guards=[readers],
            summary="Entry fees and states of rounds",
            description="Rounds that are not known are left out.",
        )
        async def terms(self, ids: RoundIds) -> Items[EntryTermsAnswer]:
            found = await context.read(lambda queries: queries.entry_terms(ids_of(ids)))
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


ROUNDS_MAX: Final = 200
_UUID: Final = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
RoundIds = Annotated[
    str,
    QueryParameter(
        name="ids",
        pattern=f"^{_UUID}(,{_UUID}){{0,{ROUNDS_MAX - 1}}}$",
        description=f"Round ids, separated by commas; at most {ROUNDS_MAX}.",
    ),
]


def ids_of(text: str) -> list[UUID]:
    """The ids that a ``RoundIds`` names, each once."""
    return sorted({UUID(one) for one in text.split(",")})


def settled_controller(context: RoundContext) -> type[Controller]:
    """Rounds by their ids, in whatever state they are."""

    class SettledController(Controller):
        path = "/api/rounds/settled"
        tags = ["rounds"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            guards=[readers],
            summary="Settlements of rounds: state, settlement version, figures, digest of the lines",
            description="Rounds that are not known or were never settled are left out.",
        )
        async def settled(self, ids: RoundIds) -> Items[SettledAnswer]:
            found = await context.read(lambda queries: queries.settled(ids_of(ids)))
            return Items(items=[settled_answer(one) for one in found])

    return SettledController
