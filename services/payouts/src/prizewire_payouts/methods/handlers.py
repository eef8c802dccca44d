"""A player's payout methods: registered, made the default, removed. Details are encrypted before they are stored."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts.ids import derive
from prizewire_payouts.methods.domain import (
    Method,
    MethodChange,
    MethodError,
    MethodState,
    MethodTerms,
    with_default,
    without,
    without_default,
)
from prizewire_payouts.methods.ports import Methods, OpenedDetails, Vault

ACTIVE_MAX = 20
"""Active methods that one player may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A method, and whether it is new: the same destination registered again is the same method. ``confirmed`` says
    that its player registered what staff had registered before: from then on the player is its registrant.
    """

    method: Method
    is_new: bool
    confirmed: bool = False


async def register(
    methods: Methods,
    *,
    method_id: UUID,
    player: str,
    terms: MethodTerms,
    default: bool,
    vault: Vault,
    actor: str,
    now: datetime,
) -> Registered:
    """Add a method; the player's first one becomes the default.

    Raises:
        MethodError: ``too_many_methods``.
    """
    known = await methods.lock_player(player)
    active = [method for method in known if method.state is MethodState.ACTIVE]
    mac = vault.destination_mac(method_type=terms.type, details=terms.details)
    for method in active:
        if method.destination_mac == mac:
            return await _register_again(
                methods, method, active=active, default=default, actor=actor, now=now
            )
    if len(active) >= ACTIVE_MAX:
        raise MethodError("too_many_methods", f"a player has at most {ACTIVE_MAX} payout methods")
    opened = OpenedDetails(details=terms.details, salt=vault.salt())
    is_default = default or not any(method.is_default for method in active)
    new = Method(
        method_id=method_id,
        player=player,
        type=terms.type,
        rail_type=terms.rail_type,
        version=1,
        state=MethodState.ACTIVE,
        verified=False,
        is_default=is_default,
        address=terms.address,
        memo=terms.memo,
        commitment=None if terms.address is not None else vault.commitment(opened=opened),
        sealed=vault.seal(method_id=method_id, opened=opened),
        sealed_by=vault.key_id,
        destination_mac=mac,
        registered_by=actor,
        registered_at=now,
        changed_at=now,
    )
    former = without_default(methods=active, now=now) if is_default else []
    changes = [MethodChange(method=method, change="defaulted", actor=actor) for method in former]
    changes.append(MethodChange(method=new, change="registered", actor=actor, is_new=True))
    await methods.save(changes, correlation_id=_correlation(player))
    return Registered(method=new, is_new=True)


async def _register_again(
    methods: Methods, method: Method, *, active: list[Method], default: bool, actor: str, now: datetime
) -> Registered:
    """The destination of an active method was registered again."""
    confirmed = method.by_staff and actor == method.player
    if confirmed:
        method = replace(method, registered_by=actor, version=method.version + 1, changed_at=now)
        change = MethodChange(method=method, change="registered", actor=actor)
        await methods.save([change], correlation_id=_correlation(method.player))
    if default and not method.is_default:
        known = [method if one.method_id == method.method_id else one for one in active]
        method = await _set_default(methods, known=known, chosen=method, actor=actor, now=now)
    return Registered(method=method, is_new=False, confirmed=confirmed)


async def make_default(
    methods: Methods, *, method_id: UUID, player: str, actor: str, now: datetime
) -> Method:
    """Make this method the player's default.

    Raises:
        MethodError: ``method_not_found`` among this player's, or ``method_removed``.
    """
    known = await methods.lock_player(player)
    return await _set_default(methods, known=known, chosen=_find(known, method_id), actor=actor, now=now)


async def remove(methods: Methods, *, method_id: UUID, player: str, actor: str, now: datetime) -> Method:
    """Remove a method. No other method becomes the default by that.

    Raises:
        MethodError: ``method_not_found`` among this player's, or ``method_removed`` before.
    """
    known = await methods.lock_player(player)
    removed = without(method=_find(known, method_id), now=now)
    change = MethodChange(method=removed, change="removed", actor=actor)
    await methods.save([change], correlation_id=_correlation(player))
    return removed


async def _set_default(
    methods: Methods, *, known: list[Method], chosen: Method, actor: str, now: datetime
) -> Method:
    changed = with_default(methods=known, chosen=chosen, now=now)
    if changed:
        changes = [MethodChange(method=method, change="defaulted", actor=actor) for method in changed]
        await methods.save(changes, correlation_id=_correlation(chosen.player))
    return changed[-1] if changed else chosen


def _find(known: list[Method], method_id: UUID) -> Method:
    for method in known:
        if method.method_id == method_id:
            return method
    raise MethodError("method_not_found", "there is no such payout method")


def _correlation(player: str) -> str:
    """One id for all methods of a player, so that their events keep their order in one partition."""
    return str(derive("methods", player))
