"""A player's payout methods: registered, made the default, removed. Details are sealed before they are stored."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts.ids import derive
from prizewire_payouts.errors import MethodError
from prizewire_payouts.methods.domain import MethodTerms, with_default, without, without_default
from prizewire_payouts.payouts.domain.events import MethodChanged
from prizewire_payouts.payouts.domain.model import Method, MethodState
from prizewire_payouts.payouts.ports import MethodRecord, OpenedDetails, Store, Vault

ACTIVE_MAX = 20
"""Active methods that one player may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A method, and whether it is new: the same destination registered again is the same method. ``confirmed`` says
    that its player registered what staff had registered before: from then on it is the player's own word.
    """

    method: Method
    is_new: bool
    confirmed: bool = False


async def register(
    store: Store,
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
    methods = await store.lock_player_methods(player)
    active = [method for method in methods if method.state is MethodState.ACTIVE]
    mac = vault.destination_mac(method_type=terms.type, details=terms.details)
    for method in active:
        if method.destination_mac == mac:
            known, confirmed = method, method.by_staff and actor == player
            if confirmed:
                known = replace(method, registered_by=player, version=method.version + 1, changed_at=now)
                record = _record(known, "registered", actor)
                await store.save_methods([record], correlation_id=_correlation(player))
            if default and not known.is_default:
                standing = [known if one.method_id == known.method_id else one for one in active]
                known = await _set_default(store, methods=standing, chosen=known, actor=actor, now=now)
            return Registered(method=known, is_new=False, confirmed=confirmed)
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
    records = [_record(method, "defaulted", actor) for method in former]
    records.append(_record(new, "registered", actor, is_new=True))
    await store.save_methods(records, correlation_id=_correlation(player))
    return Registered(method=new, is_new=True)


async def make_default(store: Store, *, method_id: UUID, player: str, actor: str, now: datetime) -> Method:
    """Make this method the one that prizes go to.

    Raises:
        MethodError: ``method_not_found`` among this player's, or ``method_removed``.
    """
    methods = await store.lock_player_methods(player)
    chosen = _find(methods, method_id)
    return await _set_default(store, methods=methods, chosen=chosen, actor=actor, now=now)


async def remove(store: Store, *, method_id: UUID, player: str, actor: str, now: datetime) -> Method:
    """Take a method out of use. No other becomes the default by itself.

    Raises:
        MethodError: ``method_not_found`` among this player's, or ``method_removed`` before.
    """
    methods = await store.lock_player_methods(player)
    gone = without(method=_find(methods, method_id), now=now)
    await store.save_methods([_record(gone, "removed", actor)], correlation_id=_correlation(player))
    return gone


async def _set_default(
    store: Store, *, methods: list[Method], chosen: Method, actor: str, now: datetime
) -> Method:
    changed = with_default(methods=methods, chosen=chosen, now=now)
    records = [_record(method, "defaulted", actor) for method in changed]
    if records:
        await store.save_methods(records, correlation_id=_correlation(chosen.player))
    return changed[-1] if changed else chosen


def _find(methods: list[Method], method_id: UUID) -> Method:
    for method in methods:
        if method.method_id == method_id:
            return method
    raise MethodError("method_not_found", "there is no such payout method")


def _record(method: Method, change: str, actor: str, *, is_new: bool = False) -> MethodRecord:
    return MethodRecord(method=method, is_new=is_new, event=MethodChanged(change=change), actor=actor)


def _correlation(player: str) -> str:
    """One id for all methods of a player: their events stay in one partition, in order."""
    return str(derive("methods", player))
