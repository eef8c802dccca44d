"""What a request of a payout names: its method, and the quote at which it is paid."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from prizewire_contracts import ids
from prizewire_contracts.quotes import PayoutQuote, QuoteReference
from prizewire_rewards.assignments.domain import PayeeAssignment
from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.payouts.domain.commands import RequestPayout
from prizewire_rewards.payouts.domain.inline import INLINE_VERSION, SealedDestination
from prizewire_rewards.payouts.domain.model import Method
from prizewire_rewards.payouts.domain.quotes import QuotedPayout, SignedQuote, apply_quote
from prizewire_rewards.payouts.ports import PayoutPorts, PayoutTools

NO_PAYOUT_METHOD = "no_payout_method"


async def assignment_of(player: str, *, ports: PayoutPorts, now: datetime) -> PayeeAssignment | None:
    """The payee assignment by which somebody else is paid for this player now."""
    return (await ports.assignments.in_force([player], now=now)).get(player)


async def destination_of(
    command: RequestPayout,
    *,
    assignment: PayeeAssignment | None,
    ports: PayoutPorts,
    tools: PayoutTools,
    now: datetime,
) -> tuple[Method, SealedDestination | None]:
    """The method of a request. Where the request names the details of a destination, it is the method that payouts will make
    of them, with the details sealed for payouts.

    Raises:
        InvalidRequest: as ``method_of``; ``method_unknown``: a payee is paid to their own methods alone; ``quote_mismatch``: a quote is for a registered method; ``sealing_key_missing``.
    """
    inline = command.inline
    if inline is None:
        found = await method_of(
            player=command.player, assignment=assignment, method_id=command.method_id, ports=ports
        )
        return found, None
    if assignment is not None:
        raise InvalidRequest(
            "method_unknown",
            f"by a payee assignment {assignment.payee} is paid: name one of their payout methods, or none for their default one",
        )
    if command.quote is not None:
        raise InvalidRequest(
            "quote_mismatch",
            "a quote is for a registered payout method: register the method, or send the request without a quote",
        )
    sealed = tools.inline.seal(inline, payout_id=command.id, now=now)
    method = Method(
        id=ids.inline_method_id(command.id),
        version=INLINE_VERSION,
        player=command.player,
        type=inline.terms.type,
        rail_types=inline.rail_types,
        active=True,
        verified=False,
        is_default=False,
        address=inline.address,
        memo=inline.memo,
        commitment=sealed.commitment,
    )
    return method, sealed


async def method_of(
    *, player: str, assignment: PayeeAssignment | None, method_id: UUID | None, ports: PayoutPorts
) -> Method:
    """The method with this id of the person who is paid, or the default one: the player's, or with an assignment the payee's.

    Raises:
        InvalidRequest: ``method_unknown``, ``method_type_unserved`` or ``no_payout_method``.
    """
    person = player if assignment is None else assignment.payee
    if method_id is None:
        found = await ports.methods.defaults([person])
        if assignment is not None and person not in found:
            raise InvalidRequest(
                NO_PAYOUT_METHOD,
                f"by a payee assignment {person} is paid, who has no default payout method: {person} registers one with POST "
                "/api/payout-methods; a new one can be used after a moment",
            )
        if person not in found:
            raise InvalidRequest(
                NO_PAYOUT_METHOD,
                "no default payout method is registered: register one with POST /api/payout-methods, or name one in "
                "method_id; a new one can be used after a moment",
            )
        return found[person]
    method = await ports.methods.get(method_id)
    if method is None or method.player != person or not method.active:
        raise InvalidRequest("method_unknown", unknown_method(method_id, assignment=assignment))
    if not method.rail_types:
        raise InvalidRequest(
            "method_type_unserved",
            f"no rail pays to methods of type {method.type} any more: name another payout method",
        )
    return method


def unknown_method(method_id: UUID, *, assignment: PayeeAssignment | None) -> str:
    """The sentence that refuses a payout method which the person who is paid does not have."""
    if assignment is not None:
        return (
            f"by a payee assignment {assignment.payee} is paid, who has no active payout method {method_id}: name one of theirs, or "
            "none for their default one"
        )
    return (
        f"the player has no active payout method {method_id}: GET /api/payout-methods lists those that the player has, with "
        "their ids; use one of them, or register one with POST /api/payout-methods. A new method is known here some seconds "
        "after its registration: send the same request again then"
    )


def apply_quote_of(
    command: RequestPayout, *, method: Method, fee: int, tools: PayoutTools, now: datetime
) -> QuotedPayout | None:
    """What the quote of a request makes of it; None where it names none.

    Raises:
        InvalidRequest: ``quote_invalid``: payouts did not sign it; or why ``apply_quote`` refuses it.
    """
    if command.quote is None:
        return None
    problem = tools.quotes.problem_of(command.quote)
    if problem is not None:
        raise InvalidRequest(
            "quote_invalid",
            f"payouts did not sign the quote: {problem}. Send the quote exactly as POST /api/payout-quotes answered it",
        )
    return apply_quote(
        command.quote,
        player=method.player,
        method=method,
        asset=tools.assets[command.asset],
        amount=command.amount,
        fee=fee,
        pay_asset=command.pay_asset,
        network=tools.network,
        assets=tools.assets,
        rates_max=tools.payout_rules.rates_max,
        now=now,
    )


def quote_of(document: Mapping[str, Any]) -> PayoutQuote:
    """The quote in a document with its signature.

    Raises:
        TypeError: the document holds no quote.
    """
    return PayoutQuote(**{name: value for name, value in document.items() if name != "signature"})


def reference_of(document: Mapping[str, Any]) -> QuoteReference:
    """The reference by which an intent names the quote in a document with its signature.

    Raises:
        TypeError: the document holds no quote.
    """
    quote = quote_of(document)
    return QuoteReference(id=quote.quote_id, digest=quote.digest())


async def check_unused(quote: SignedQuote, *, ports: PayoutPorts) -> None:
    """Check that no payout was requested with a quote. The caller holds the lock of the player's winnings.

    Raises:
        InvalidRequest: ``quote_used``.
    """
    quote_id = quote.fields["quote_id"]
    used = await ports.payouts.with_quote(quote_id)
    if used is not None:
        raise InvalidRequest(
            "quote_used",
            f"the quote {quote_id} was used for payout {used}: ask for a new one for another payout",
        )
