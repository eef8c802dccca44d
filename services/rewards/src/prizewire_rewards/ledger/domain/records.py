"""What a unit of work records: moves and their parties, transitions, references and events."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from prizewire_money import Asset
from prizewire_rewards.errors import IllegalTransition, InvalidRequest
from prizewire_rewards.ledger.domain.accounts import Account, Kind

WORLD = "world"


PLATFORM = "platform"


ORGANIZER = "organizer"


RECEIVABLES = "receivables"


PAYS_DEBTS: Final = frozenset({Kind.WINNINGS, Kind.TOPUP})
"""The buckets from whose credits debts of their players are recovered."""


class Credit(NamedTuple):
    """An amount that the move ``ordinal`` of its cause credits to a player's winnings or top-ups."""

    account: Account
    amount: int
    ordinal: int


INTAKE_MAX: Final = 2**62
"""The most that may come in from outside in one asset, in total (minor units). With this limit no balance and no sum of
balances exceeds 64 bits. The database refuses more (``ledger_intake_limit``)."""


def check_intake(asset: Asset, *, intake: int, amount: int, most: int = INTAKE_MAX) -> None:
    """Check that ``amount`` may come in from outside after ``intake``. Both together are at most ``most``.

    Raises:
        InvalidRequest: ``amount_too_large``: they are more.
    """
    if intake + amount > most:
        detail = (
            f"{asset.describe(amount)} is too much: at most {asset.describe(most)} may come in from outside, and "
            f"{asset.describe(intake)} came in before"
        )
        raise InvalidRequest("amount_too_large", detail)


Party = tuple[str, str]
"""Role and subject, as ``prizewire_contracts.parties`` has them."""


def sorted_parties(parties: Iterable[Party]) -> tuple[Party, ...]:
    """Sort the parties and drop repetitions."""
    return tuple(sorted({(str(role), subject) for role, subject in parties}))


@dataclass(frozen=True, slots=True)
class CreditParties:
    """The parties of an amount, sorted and without repetition. ``one_person`` lists each person who alone decided who gets
    a part of the amount.
    """

    parties: tuple[Party, ...] = ()
    one_person: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parties", sorted_parties(self.parties))
        object.__setattr__(self, "one_person", tuple(sorted(set(self.one_person))))


NO_PARTIES: Final = CreditParties()


def campaign_source(campaign: UUID) -> str:
    """The key under which the parties of a campaign's pool are stored."""
    return f"campaign/{campaign}"


def funding_source(name: str) -> str:
    """The key under which the parties of a funding account are stored."""
    return f"funding/{name}"


def player_source(player: str) -> str:
    """The key under which the persons are stored who set or erased facts of a player over HTTP."""
    return f"player/{player}"


def settings_writers(campaign: Iterable[Party]) -> frozenset[str]:
    """The persons among a campaign's parties who created it or changed its settings at any time."""
    return frozenset(subject for role, subject in campaign if role == "rule_writer")


def with_releasers(new: Iterable[Party], known: Iterable[Party]) -> tuple[Party, ...]:
    """The parties of a correction, together with the known ones who released a prize of the round."""
    return sorted_parties([*new, *(party for party in known if party[0] == "releaser")])


class Transition(NamedTuple):
    """One transition of a state machine, as the history stores it. ``was`` is empty for the first state."""

    machine: str
    subject: UUID
    was: str
    to: str
    cause: str
    correlation_id: str


State = TypeVar("State", bound=StrEnum)


def step(*, edges: Mapping[tuple[State, State], str], was: State, to: State) -> State:
    """Return ``to`` if the machine has an edge from ``was`` to it.

    Raises:
        IllegalTransition: the machine has no such edge.
    """
    if (was, to) not in edges:
        raise IllegalTransition(was=was, to=to)
    return to


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierBooking:
    """The first booking of an account under a reference: its ``amount`` in minor units, the person who made it, and its
    time. ``id`` is the id of the transfer or of the withdrawal of fees. ``reference`` is as that person wrote it: case does
    not distinguish two references.
    """

    id: UUID
    reference: str
    amount: int
    by: str
    at: datetime


def check_reference(
    earlier: EarlierBooking | None, *, reference: str, asset: Asset, repeated: bool
) -> UUID | None:
    """Return the id of the earlier booking under the reference, None where there is none. ``repeated``: the person says
    that this is another payment under the same reference.

    Raises:
        InvalidRequest: ``reference_used``: there is an earlier booking, and ``repeated`` is false.
    """
    if earlier is None:
        return None
    if not repeated:
        written = "" if earlier.reference == reference else f" as {earlier.reference}"
        at = earlier.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        raise InvalidRequest(
            "reference_used",
            f"the reference {reference} is used already{written}, for {asset.describe(earlier.amount)} by {earlier.by} at {at} "
            f"(id {earlier.id}). If this is another payment under the same reference, send it over HTTP with repeated_reference: true",
            earlier={
                "id": str(earlier.id),
                "asset": asset.code,
                "amount": asset.render(earlier.amount),
                "by": earlier.by,
                "at": at,
            },
        )
    return earlier.id


class Event:
    """Something that rewards publishes. Each feature defines its own events, and ``messages`` encodes them."""

    __slots__ = ()
