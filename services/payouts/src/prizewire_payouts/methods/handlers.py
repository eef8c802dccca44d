"""A player's payout methods: registered, made the default, removed. Details are encrypted before they are stored."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from prizewire_contracts.ids import derive
from prizewire_payouts.methods.domain import (
    Method,
    MethodChange,
    MethodError,
    MethodState,
    MethodTerms,
    as_verified,
    routed,
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
    rail_types: tuple[str, ...],
    default: bool,
    vault: Vault,
    actor: str,
    now: datetime,
    cool_down: timedelta = timedelta(),
) -> Registered:
    """Add a method; the player's first one becomes the default. ``rail_types`` are those of the configured rails that pay to it.
    Nothing is paid to it before ``cool_down`` is over.

    Raises:
        MethodError: ``method_type_unserved`` or ``too_many_methods``.
    """
    if not rail_types:
        raise MethodError(
            "method_type_unserved",
            f"no rail of this installation pays to methods of type {terms.type}: register another one",
        )
    known = await methods.lock_player(player)
    active = [method for method in known if method.state is MethodState.ACTIVE]
    macs = vault.destination_macs(method_type=terms.type, details=terms.details)
    for method in active:
        if method.destination_mac in macs:
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
        rail_types=rail_types,
        version=1,
        state=MethodState.ACTIVE,
        verified=False,
        is_default=is_default,
        address=terms.address,
        memo=terms.memo,
        commitment=None if terms.address is not None else vault.commitment(opened=opened),
        sealed=vault.seal(method_id=method_id, opened=opened),
        sealed_by=vault.key_id,
        destination_mac=next(iter(macs)),
        account_mac=vault.destination_mac(method_type=terms.account[0], details=terms.account[1]),
        registered_by=actor,
        registered_at=now,
        usable_from=now + cool_down,
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
        await methods.save([change], correlation_id=_correlation(method.owner))
    if default and not method.is_default:
        known = [method if one.method_id == method.method_id else one for one in active]
        method = await _set_default(methods, known=known, chosen=method, actor=actor, now=now)
    return Registered(method=method, is_new=False, confirmed=confirmed)


async def verify(methods: Methods, *, method_id: UUID, player: str, actor: str, now: datetime) -> Method:
    """Store that the owner of a method was proved.

    Raises:
        MethodError: ``method_not_found`` among this player's, ``method_removed`` or ``method_already_verified``.
    """
    known = await methods.lock_player(player)
    verified = as_verified(method=find_method(known, method_id), now=now)
    change = MethodChange(method=verified, change="verified", actor=actor)
    await methods.save([change], correlation_id=_correlation(player))
    return verified


async def make_default(
    methods: Methods, *, method_id: UUID, player: str, actor: str, now: datetime
) -> Method:
    """Make this method the player's default.

    Raises:
        MethodError: ``method_not_found`` among this player's, or ``method_removed``.
    """
    known = await methods.lock_player(player)
    return await _set_default(
        methods, known=known, chosen=find_method(known, method_id), actor=actor, now=now
    )


async def remove(methods: Methods, *, method_id: UUID, player: str, actor: str, now: datetime) -> Method:
    """Remove a method. No other method becomes the default by that.

    Raises:
        MethodError: ``method_not_found`` among this player's, or ``method_removed`` before.
    """
    known = await methods.lock_player(player)
    removed = without(method=find_method(known, method_id), now=now)
    change = MethodChange(method=removed, change="removed", actor=actor)
    await methods.save([change], correlation_id=_correlation(player))
    return removed


async def route_all(
    methods: Methods, *, served: Mapping[str, tuple[str, ...]], now: datetime, limit: int
) -> bool:
    """Store the rail types of methods that the configured rails do not serve as stored, of up to ``limit`` players; True if
    there may be more.
    """
    players = await methods.misrouted(served, limit=limit)
    for player in sorted(players):
        changed = routed(methods=await methods.lock_player(player), served=served, now=now)
        changes = [MethodChange(method=method, change="routed", actor="routing") for method in changed]
        await methods.save(changes, correlation_id=_correlation(player))
    return len(players) == limit


async def _set_default(
    methods: Methods, *, known: list[Method], chosen: Method, actor: str, now: datetime
) -> Method:
    changed = with_default(methods=known, chosen=chosen, now=now)
    if changed:
        changes = [MethodChange(method=method, change="defaulted", actor=actor) for method in changed]
        await methods.save(changes, correlation_id=_correlation(chosen.owner))
    return changed[-1] if changed else chosen


def find_method(known: Iterable[Method], method_id: UUID) -> Method:
    """The method of this id.

    Raises:
        MethodError: ``method_not_found``.
    """
    for method in known:
        if method.method_id == method_id:
            return method
    raise MethodError("method_not_found", "there is no such payout method")


def _correlation(player: str) -> str:
    """One id for all methods of a player, so that their events keep their order in one partition."""
    return str(derive("methods", player))
