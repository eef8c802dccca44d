"""What the use cases of verification need."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from prizewire_payouts.verification.domain import Kind, Verification


class Verifications(Protocol):
    """Verifications, within one transaction."""

    async def begun_since(self, destination_mac: bytes, *, since: datetime) -> int:
        """How many verifications of this destination were begun, by all players. No other transaction begins one until this one
        ends.
        """
        ...

    async def add(self, verification: Verification) -> None:
        """Store a verification. It replaces the method's former one."""
        ...

    async def latest(self, method_id: UUID) -> Verification | None:
        """The method's last verification, locked; None where none was begun, or where it is confirmed."""
        ...

    async def note_wrong_answer(self, verification_id: UUID) -> None:
        """Count a wrong answer."""
        ...

    async def note_confirmed(self, verification_id: UUID, *, now: datetime) -> None:
        """Store that the answer was right."""
        ...


class Owners(Protocol):
    """How the owner of a destination is asked, by the method type of its details."""

    def proof_of(self, *, method_type: str) -> Kind | None:
        """What proves the owner; None where nobody can be asked."""
        ...

    def code_recipient(self, *, method_type: str, details: Mapping[str, Any]) -> str | None:
        """The address that a code is sent to."""
        ...

    def has_signed(
        self, *, method_type: str, details: Mapping[str, Any], challenge: str, signature: str
    ) -> bool:
        """Whether the owner signed this challenge."""
        ...


class CodeNotSent(Exception):
    """A code could not be sent. The text names the kind of failure, and neither the recipient nor the code."""


class CodeMail(Protocol):
    """Sends codes by e-mail."""

    async def send_code(self, *, recipient: str, code: str) -> None:
        """Send a code.

        Raises:
            CodeNotSent: the mail server did not take it.
        """
        ...
