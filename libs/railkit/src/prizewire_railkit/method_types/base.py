"""A method type: the model of the details to which a payout is paid, with checks, masking and proof of ownership.

A package may bring a method type of its own: it announces a ``MethodType`` under the entry point group
``prizewire.method_types``, with the type's name as the name of the entry point.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from prizewire_contracts.rails import is_rail_type

MALFORMED: Final = "details_malformed"
"""The code of details with a missing, an unknown or a wrongly typed member."""
_OWN_CODES: Final = "_invalid", "_malformed", "_not_supported", "_not_possible", "_too_long", "_not_allowed"


class DetailsRefused(Exception):
    """Details of a payout method cannot be accepted. ``code`` is stable; the text names a member, never its value."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Verification(StrEnum):
    """How the owner of details is verified."""

    NONE = "none"
    """Nobody can be asked."""
    CODE = "code"
    """By a code that is sent to ``MethodDetails.code_recipient``."""
    SIGNATURE = "signature"
    """By a signature of a challenge, which ``MethodDetails.has_signed`` checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnChain:
    """A destination on a chain, which an intent names in clear. The details of an on-chain type are ``address`` and ``memo``. ``account`` is the account behind ``address`` (for a muxed
    address the plain one). ``memo`` must stand on the payment, None for none.
    """

    address: str
    account: str
    memo: str | None = None


class MethodDetails(BaseModel):
    """The details of one method type. Subclasses add members of type ``str`` or ``str | None`` and their checks.

    A check of a subclass raises ``refusal(code, text)``. No check's text repeats a detail.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    __str__ = __repr__

    def clear(self) -> dict[str, str]:
        """The members that are set: what is sealed, and what a commitment covers."""
        return {name: value for name, value in self.model_dump().items() if value is not None}

    def destination(self) -> dict[str, str]:
        """The members that say where the money goes, without names of people and banks. Two methods with the same destination
        pay to the same account.
        """
        return self.clear()

    @abstractmethod
    def masked(self) -> str:
        """The destination in a form that its owner recognizes, and that nobody can pay to."""

    def on_chain(self) -> OnChain | None:
        """The destination on a chain; None for every other type, whose intents carry a commitment."""
        return None

    def code_recipient(self) -> str | None:
        """The e-mail address that a verification code is sent to; None where none can be sent."""
        return None

    def has_signed(self, *, challenge: str, signature: str) -> bool:  # noqa: ARG002 - subclasses read them
        """Whether the owner of the destination signed this challenge."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodType:
    """A method type: its name, the model of its details, how its owner is verified, and one sentence for the API's
    documentation. ``codes`` are those of its refusals, but for ``details_malformed``: the API's documentation names them.
    """

    name: str
    details: type[MethodDetails]
    summary: str
    codes: tuple[str, ...] = ()
    verification: Verification = Verification.NONE

    def __post_init__(self) -> None:
        if not is_rail_type(self.name):
            msg = f"{self.name!r} cannot name a method type: use a lower-case letter, then letters, digits and _, 32 at most"
            raise ValueError(msg)


def refusal(code: str, text: str) -> PydanticCustomError:
    """What a check of details raises: a stable code, and a sentence that does not repeat the value."""
    assert code.endswith(_OWN_CODES), f"a code of refused details ends in one of {_OWN_CODES}"
    return PydanticCustomError(code, "{text}", {"text": text})


def read_details(
    types: Mapping[str, MethodType], *, method_type: str, details: Mapping[str, Any]
) -> MethodDetails:
    """Details of a method type, checked.

    Raises:
        DetailsRefused: ``method_type_unknown``, ``details_malformed``, or a code of the method type.
    """
    known = types.get(method_type)
    if known is None:
        names = ", ".join(sorted(types))
        raise DetailsRefused(
            "method_type_unknown", f"there is no method type {method_type[:32]!r}: use one of {names}"
        )
    try:
        return known.details.model_validate(dict(details))
    except ValidationError as error:
        raise _refused(error, known) from None


def _refused(error: ValidationError, known: MethodType) -> DetailsRefused:
    """The first problem, by code and sentence. Problems of the shape come before problems of a value."""
    problems = error.errors(include_url=False, include_context=True, include_input=False)
    for problem in problems:
        member = ".".join(map(str, problem["loc"])) or "details"
        if problem["type"] == "missing":
            return DetailsRefused(MALFORMED, f"details lack {member}")
        if problem["type"] == "extra_forbidden":
            members = ", ".join(sorted(known.details.model_fields))
            return DetailsRefused(MALFORMED, f"details hold more than {members}")
    for problem in problems:
        if problem["type"].endswith(_OWN_CODES):
            return DetailsRefused(problem["type"], problem["msg"])
    member = ".".join(map(str, problems[0]["loc"])) or "details"
    return DetailsRefused(
        MALFORMED, f"{member} is not what a method of type {known.name} needs: every detail is a text"
    )


def mask(text: str) -> str:
    """A masked text: its owner recognizes it, and nobody can pay to it."""
    if len(text) >= 20:
        return f"{text[:4]}…{text[-4:]}"
    return f"{text[:2]}…" if len(text) > 4 else "…"
