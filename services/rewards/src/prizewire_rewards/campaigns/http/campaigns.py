"""``/api/campaigns``."""

from functools import partial
from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import BY_TIME_AND_ID, Problem, RequiredKey, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_rewards.campaigns.domain.commands import (
    ChangeCampaign,
    CreateCampaign,
    FundCampaign,
    SetCampaignSettings,
    WithdrawFromCampaign,
)
from prizewire_rewards.campaigns.domain.model import (
    SHEET_AMOUNTS,
    CampaignState,
    CampaignView,
    Delivery,
)
from prizewire_rewards.campaigns.handlers import (
    change_campaign,
    create_campaign,
    fund_campaign,
    set_settings,
    withdraw_from_campaign,
)
from prizewire_rewards.campaigns.http.answers import BalanceSheetAnswer, CampaignAnswer
from prizewire_rewards.campaigns.http.bodies import CampaignBody, FundBody, SettingsBody, WithdrawBody
from prizewire_rewards.campaigns.http.settings import settings_of, shown_settings
from prizewire_rewards.campaigns.ports import CampaignPorts
from prizewire_rewards.campaigns.storage.views import balance_sheet, find_campaign, list_campaigns
from prizewire_rewards.http.codes import AMOUNT_CODES, STATUSES
from prizewire_rewards.http.context import Amounts, Context, RewardsAction
from prizewire_rewards.ledger.ports import Tools

_Context = Context[CampaignPorts, Tools]
_Action = RewardsAction[CampaignPorts]

_READERS = (Role.ORGANIZER, Role.OPERATOR, Role.APPROVER, Role.ADMIN)
_NO_CAMPAIGN = STATUSES.refusals("campaign_unknown")


class CampaignController(Controller):
    """Campaigns: create, fund, withdraw, change, show."""

    path = "/api/campaigns"
    tags = ["campaigns"]  # noqa: RUF012 - Litestar reads a plain list

    @post(
        guards=[require(Role.ADMIN)],
        summary="Create a campaign, as a draft",
        refusals=STATUSES.refusals(
            "asset_unknown", "asset_not_redeemable", "settings_invalid", *AMOUNT_CODES
        ),
    )
    async def create(
        self,
        *,
        context: NamedDependency[_Context],
        data: JSONBody[CampaignBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[CampaignAnswer]:
        """Create a campaign. A delivery that pays out, or lets players claim, needs a redeemable asset."""
        settings = settings_of(context.amounts, data, asset=context.amounts.asset(data.asset))

        async def create(action: _Action) -> tuple[int, CampaignAnswer]:
            command = CreateCampaign(
                id=action.id,
                name=data.name,
                asset=data.asset,
                delivery=Delivery(data.delivery),
                actor=request.user.subject,
                settings=settings,
            )
            campaign = await create_campaign(
                command, ports=action.unit_of_work, tools=context.tools, now=action.now
            )
            await action.record(
                "campaign.created",
                target=str(campaign.id),
                detail=data.model_dump(mode="json"),
            )
            return 201, await _shown(context, action.tx, campaign.id)

        return await context.once(
            create,
            answers=CampaignAnswer,
            actor=request.user,
            route="POST /api/campaigns",
            key=key,
            body=data.model_dump(mode="json"),
        )

    @get(guards=[require(*_READERS)], summary="Campaigns, newest first")
    async def listing(
        self,
        *,
        context: NamedDependency[_Context],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[CampaignAnswer]:
        """Every campaign with its amounts."""
        size = page_limit(limit)
        before = BY_TIME_AND_ID.read(cursor)
        found = await context.read(lambda tx: list_campaigns(tx, limit=size, before=before))
        return BY_TIME_AND_ID.page(
            found,
            limit=size,
            key=lambda one: (one.created_at, one.id),
            show=partial(_campaign, context.amounts),
        )

    @get(
        "/{campaign_id:uuid}",
        guards=[require(*_READERS)],
        summary="One campaign",
        refusals=_NO_CAMPAIGN,
    )
    async def one(self, *, context: NamedDependency[_Context], campaign_id: FromPath[UUID]) -> CampaignAnswer:
        """A campaign with its amounts."""
        view = await context.read(lambda tx: find_campaign(tx, campaign_id))
        if view is None:
            raise _unknown(campaign_id)
        return _campaign(context.amounts, view)

    @get(
        "/{campaign_id:uuid}/balance-sheet",
        guards=[require(*_READERS)],
        summary="Where a campaign's money is: funded is the sum of all others but unfunded",
        refusals=_NO_CAMPAIGN,
    )
    async def balance_sheet(
        self, *, context: NamedDependency[_Context], campaign_id: FromPath[UUID]
    ) -> BalanceSheetAnswer:
        """What the campaign's rounds and direct payouts moved, by the ledger. `wallets` is what wallets received, whatever
        their players did with it since.
        """
        sheet = await context.read(lambda tx: balance_sheet(tx, campaign_id))
        if sheet is None:
            raise _unknown(campaign_id)
        amounts = {name: context.amounts.text(sheet.asset, getattr(sheet, name)) for name in SHEET_AMOUNTS}
        return BalanceSheetAnswer(campaign=campaign_id, asset=sheet.asset, **amounts)

    @post(
        "/{campaign_id:uuid}/fund",
        guards=[require(Role.ADMIN)],
        summary="Put money into the pool",
        refusals=STATUSES.refusals(
            "campaign_unknown",
            "campaign_ended",
            "amount_not_positive",
            "amount_too_large",
            "reference_used",
            *AMOUNT_CODES,
        ),
    )
    async def fund(
        self,
        *,
        context: NamedDependency[_Context],
        campaign_id: FromPath[UUID],
        data: JSONBody[FundBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[CampaignAnswer]:
        """Book money that came in from outside. Rounds that wait are then booked in their order. A second payment under the
        same reference is refused unless `repeated_reference` is true.
        """
        view = await context.read(lambda tx: find_campaign(tx, campaign_id))
        if view is None:
            raise _unknown(campaign_id)
        amount = context.amounts.parse(view.asset, data.amount).minor

        async def fund(action: _Action) -> tuple[int, CampaignAnswer]:
            command = FundCampaign(
                id=action.id,
                campaign=campaign_id,
                amount=amount,
                reference=data.reference,
                actor=request.user.subject,
                repeated=data.repeated_reference,
            )
            await fund_campaign(command, ports=action.unit_of_work, tools=context.tools, now=action.now)
            await action.record(
                "campaign.funded",
                target=str(campaign_id),
                detail={**data.model_dump(mode="json"), "asset": view.asset},
            )
            return 201, await _shown(context, action.tx, campaign_id)

        answer = await context.once(
            fund,
            answers=CampaignAnswer,
            actor=request.user,
            route="POST /api/campaigns/{id}/fund",
            key=key,
            body={"campaign": str(campaign_id), **data.model_dump(mode="json")},
        )
        context.release()
        return answer

    @post(
        "/{campaign_id:uuid}/withdraw",
        guards=[require(Role.ADMIN)],
        summary="Withdraw money that no round has reserved",
        refusals=STATUSES.refusals(
            "campaign_unknown",
            "campaign_has_unfunded",
            "amount_not_positive",
            "pool_insufficient",
            *AMOUNT_CODES,
        ),
    )
    async def withdraw(
        self,
        *,
        context: NamedDependency[_Context],
        campaign_id: FromPath[UUID],
        data: JSONBody[WithdrawBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[CampaignAnswer]:
        """Book money that leaves the pool, at most its balance. Refused while rounds wait for money."""
        view = await context.read(lambda tx: find_campaign(tx, campaign_id))
        if view is None:
            raise _unknown(campaign_id)
        amount = None if data.amount is None else context.amounts.parse(view.asset, data.amount).minor

        async def withdraw(action: _Action) -> tuple[int, CampaignAnswer]:
            command = WithdrawFromCampaign(
                id=action.id, campaign=campaign_id, amount=amount, actor=request.user.subject
            )
            await withdraw_from_campaign(
                command, ports=action.unit_of_work, tools=context.tools, now=action.now
            )
            await action.record(
                "campaign.withdrawn",
                target=str(campaign_id),
                reason=data.reason,
                detail={"amount": data.amount, "asset": view.asset},
            )
            return 201, await _shown(context, action.tx, campaign_id)

        return await context.once(
            withdraw,
            answers=CampaignAnswer,
            actor=request.user,
            route="POST /api/campaigns/{id}/withdraw",
            key=key,
            body={"campaign": str(campaign_id), **data.model_dump(mode="json")},
        )

    @put(
        "/{campaign_id:uuid}/settings",
        guards=[require(Role.ADMIN)],
        summary="Replace caps, claim terms and risk thresholds",
        refusals=STATUSES.refusals("campaign_unknown", "campaign_ended", "settings_invalid", *AMOUNT_CODES),
    )
    async def settings(
        self,
        *,
        context: NamedDependency[_Context],
        campaign_id: FromPath[UUID],
        data: JSONBody[SettingsBody],
        request: Request[Principal, Any, Any],
    ) -> CampaignAnswer:
        """Replace the settings, as the next version. Every version is kept. Open and held claims keep their deadlines."""
        view = await context.read(lambda tx: find_campaign(tx, campaign_id))
        if view is None:
            raise _unknown(campaign_id)
        settings = settings_of(context.amounts, data, asset=context.amounts.asset(view.asset))

        async def change(action: _Action) -> CampaignAnswer:
            command = SetCampaignSettings(campaign=campaign_id, settings=settings, actor=request.user.subject)
            campaign = await set_settings(command, ports=action.unit_of_work, now=action.now)
            await action.record(
                "campaign.settings",
                target=str(campaign_id),
                detail={"version": campaign.settings_version, **data.model_dump(mode="json")},
            )
            return await _shown(context, action.tx, campaign_id)

        return await context.change(change, actor=request.user)

    @post(
        "/{campaign_id:uuid}/activate",
        guards=[require(Role.ADMIN)],
        status_code=200,
        summary="Activate a draft or a paused campaign",
        description="Settled rounds are booked from now on, waiting rounds first. While rounds wait, the campaign is "
        "`exhausted`; it becomes `active` without a further request once they are booked.",
        refusals=STATUSES.refusals("campaign_unknown", "illegal_transition"),
    )
    async def activate(
        self,
        *,
        context: NamedDependency[_Context],
        campaign_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
    ) -> CampaignAnswer:
        """Settled rounds are booked from now on, waiting rounds first. While rounds wait, the campaign is ``exhausted``; it
        becomes ``active`` without a further request once they are booked.
        """
        return await _change(context, campaign_id, CampaignState.ACTIVE, actor=request.user)

    @post(
        "/{campaign_id:uuid}/pause",
        guards=[require(Role.ADMIN)],
        status_code=200,
        summary="Pause: settled rounds wait",
        refusals=STATUSES.refusals("campaign_unknown", "illegal_transition"),
    )
    async def pause(
        self,
        *,
        context: NamedDependency[_Context],
        campaign_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
    ) -> CampaignAnswer:
        """Settled rounds wait until the campaign is active again."""
        return await _change(context, campaign_id, CampaignState.PAUSED, actor=request.user)

    @post(
        "/{campaign_id:uuid}/end",
        guards=[require(Role.ADMIN)],
        status_code=200,
        summary="End a campaign. It cannot begin again",
        refusals=STATUSES.refusals("campaign_unknown", "illegal_transition", "campaign_has_unfunded"),
    )
    async def end(
        self,
        *,
        context: NamedDependency[_Context],
        campaign_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
    ) -> CampaignAnswer:
        """No further round is booked. Refused while rounds wait for money."""
        return await _change(context, campaign_id, CampaignState.ENDED, actor=request.user)


async def _change(
    context: _Context, campaign_id: UUID, to: CampaignState, *, actor: Principal
) -> CampaignAnswer:
    async def change(action: _Action) -> CampaignAnswer:
        command = ChangeCampaign(campaign=campaign_id, to=to, actor=actor.subject)
        campaign, changed = await change_campaign(command, ports=action.unit_of_work, now=action.now)
        if changed:
            # a repeat decides nothing: a record of it would name another person for what somebody else decided
            await action.record(
                f"campaign.{to}",
                target=str(campaign_id),
                detail={"state": campaign.state.value},
            )
        return await _shown(context, action.tx, campaign_id)

    answer = await context.change(change, actor=actor)
    context.release()
    return answer


async def _shown(context: _Context, tx: AsyncConnection, campaign_id: UUID) -> CampaignAnswer:
    view = await find_campaign(tx, campaign_id)
    if view is None:
        raise _unknown(campaign_id)
    return _campaign(context.amounts, view)


def _unknown(campaign_id: UUID) -> Problem:
    return STATUSES.refuse("campaign_unknown", f"there is no campaign {campaign_id}")


def _campaign(amounts: Amounts, view: CampaignView) -> CampaignAnswer:
    settings = shown_settings(amounts, view.settings, asset=view.asset)
    return CampaignAnswer(
        id=view.id,
        name=view.name,
        asset=view.asset,
        delivery=Delivery(view.delivery),
        state=CampaignState(view.state),
        funded=amounts.text(view.asset, view.funded),
        available=amounts.text(view.asset, view.available),
        reserved=amounts.text(view.asset, view.reserved),
        granted=amounts.text(view.asset, view.granted),
        withdrawn=amounts.text(view.asset, view.withdrawn),
        low_water=settings.low_water,
        caps=settings.caps,
        claim=settings.claim,
        risk=settings.risk,
        settings_version=view.settings_version,
        unfunded_rounds=view.unfunded_rounds,
        missing=amounts.text(view.asset, view.missing),
        created_at=view.created_at,
    )
