"""`/api/admin/payouts/known`: payouts by their ids, for whoever compares them with what was asked for."""

from typing import Annotated, Final
from uuid import UUID

from litestar import Controller, get
from litestar.params import QueryParameter

from prizewire_chassis.auth import Role, require
from prizewire_chassis.http.answers import Items
from prizewire_payouts.entrypoints.answers.payouts import KnownPayoutAnswer, known_payout_answer
from prizewire_payouts.entrypoints.http.parts import HttpParts
from prizewire_payouts.ports import PayoutFilter

__all__ = ["known_controller"]

IDS_MAX: Final = 200
_UUID: Final = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_Ids = Annotated[
    str,
    QueryParameter(
        name="ids",
        pattern=f"^{_UUID}(,{_UUID}){{0,{IDS_MAX - 1}}}$",
        description=f"Payout ids, separated by commas; at most {IDS_MAX}.",
    ),
]


def known_controller(parts: HttpParts) -> type[Controller]:
    """The controller over these parts."""

    class KnownController(Controller):
        path = "/api/admin/payouts/known"
        guards = [require(Role.OPERATOR, Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            summary="Payouts by their ids: payee, amount and state",
            description="Payouts that are not known are left out.",
        )
        async def known(self, ids: _Ids) -> Items[KnownPayoutAnswer]:
            wanted = PayoutFilter(ids=tuple({UUID(one) for one in ids.split(",")}), limit=IDS_MAX)
            async with parts.db.transaction() as tx:
                found = await parts.store(tx).list_payouts(wanted)
            return Items(items=[known_payout_answer(payout) for payout in found])

    return KnownController
