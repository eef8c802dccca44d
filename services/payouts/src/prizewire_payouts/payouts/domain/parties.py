"""Who may not decide on a payout: every person whose word brought its money about, or moves it."""

from collections.abc import Iterable, Mapping
from typing import Final

Party = tuple[str, str]
"""Role and subject, as ``prizewire_contracts.parties`` has them."""
REGISTRANT: Final = "registrant"
_ORDER: Final = (
    "filer",
    "payee",
    REGISTRANT,
    "reporter",
    "rule_writer",
    "importer",
    "releaser",
    "funder",
)
_RANK: Final[Mapping[str, int]] = {role: rank for rank, role in enumerate(_ORDER)}


def first_role(parties: Iterable[Party], *, subject: str) -> str | None:
    """The nearest role to the payment in which this person is a party; None where they are none."""
    roles = [role for role, name in parties if name == subject]
    return min(roles, key=lambda role: _RANK.get(role, len(_RANK)), default=None)
