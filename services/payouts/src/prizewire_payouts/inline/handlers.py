"""A payout method out of the details in a payout's request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.ids import inline_method_id
from prizewire_payouts.errors import DetailsError
from prizewire_payouts.inline.domain import UNREAD_TYPE, Opened, Sealed, Unusable
from prizewire_payouts.inline.ports import Boxes
from prizewire_payouts.methods.domain import Method, MethodState
from prizewire_payouts.methods.ports import MethodTypes, OpenedDetails, Vault

VERSION: Final = 1
"""The only version of a method of inline details: its standing never changes."""
_TYPE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineRules:
    """What inline details become a method by. ``served`` are the rail types that pay to each method type. Nothing is paid to a new
    destination of a player before ``cool_down`` is over.
    """

    boxes: Boxes
    vault: Vault
    served: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cool_down: timedelta = timedelta()


def read_inline(
    sealed: Sealed,
    *,
    payout_id: UUID,
    player: str | None,
    filed_by: str,
    types: MethodTypes,
    rules: InlineRules,
    now: datetime,
) -> Method | Unusable:
    """The method of a payout alone, encrypted by payouts' own key, with the commitment that the intent must name.

    A destination of a player is as new as one that is registered now. An operator's payout has no cool-down: another person approves
    its destination.
    """
    opened = rules.boxes.open(sealed)
    if opened is None or opened.payout_id != payout_id:
        return Unusable(
            code=PayoutCode.DETAILS_UNREADABLE,
            reason="the payout details in the request cannot be opened, or are of another payout: request it again",
        )
    try:
        terms = types.read(method_type=opened.type, details=opened.details)
    except DetailsError as error:
        return _invalid(opened, error.code)
    if terms.details != opened.details:
        return _invalid(opened, "details_not_canonical")
    details = OpenedDetails(details=terms.details, salt=opened.salt)
    method_id = inline_method_id(payout_id)
    return Method(
        method_id=method_id,
        player=player,
        payout_id=payout_id,
        type=terms.type,
        rail_types=rules.served.get(terms.type, ()),
        version=VERSION,
        state=MethodState.ACTIVE,
        verified=False,
        is_default=False,
        address=terms.address,
        memo=terms.memo,
        commitment=None if terms.address is not None else rules.vault.commitment(opened=details),
        sealed=rules.vault.seal(method_id=method_id, opened=details),
        sealed_by=rules.vault.key_id,
        destination_mac=rules.vault.destination_mac(method_type=terms.type, details=terms.details),
        account_mac=rules.vault.destination_mac(method_type=terms.account[0], details=terms.account[1]),
        registered_by=filed_by,
        registered_at=now,
        usable_from=now if player is None else now + rules.cool_down,
        changed_at=now,
    )


def _invalid(opened: Opened, code: str) -> Unusable:
    known = _TYPE.fullmatch(opened.type) is not None
    return Unusable(
        code=PayoutCode.DETAILS_INVALID,
        reason=f"the payout details in the request are refused with {code}: request it again with other details",
        type=opened.type if known else UNREAD_TYPE,
    )
