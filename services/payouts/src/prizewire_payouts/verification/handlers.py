"""A player proves that a payout method is theirs. The verification is stored before its code is sent."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from prizewire_payouts.methods.domain import Method, as_verified
from prizewire_payouts.methods.handlers import find_method, verify
from prizewire_payouts.methods.ports import Methods, Vault
from prizewire_payouts.verification.domain import (
    BEGUN_PER_DAY_MAX,
    CODE_DIGITS,
    DAY,
    VALID_FOR,
    WRONG_ANSWERS_MAX,
    Kind,
    Verification,
    VerificationError,
    challenge_of,
    check_open,
)
from prizewire_payouts.verification.ports import Owners, Verifications


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A stored verification, and the code to send once it is committed; None for a signature."""

    method: Method
    verification: Verification
    recipient: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer to a verification: the method where it was right, else how many answers are left."""

    method: Method | None
    answers_left: int


async def begin(
    verifications: Verifications,
    methods: Methods,
    *,
    verification_id: UUID,
    method_id: UUID,
    player: str,
    owners: Owners,
    vault: Vault,
    can_send: bool,
    now: datetime,
) -> Begun:
    """Begin a verification of a player's method; a former one ends by that. ``can_send`` says whether codes can be sent.

    Raises:
        MethodError: ``method_not_found``, ``method_removed``, ``method_already_verified`` or ``method_unreadable``.
        VerificationError: ``verification_not_possible``, ``verification_not_offered`` or ``too_many_verifications``.
    """
    method = find_method(await methods.lock_player(player), method_id)
    as_verified(method=method, now=now)
    kind = owners.proof_of(method_type=method.type)
    if kind is None:
        raise VerificationError(
            "verification_not_possible", f"the owner of a method of type {method.type} cannot be asked"
        )
    if kind is Kind.CODE and not can_send:
        raise VerificationError(
            "verification_not_offered", "no code can be sent: payouts has no mail server (SMTP_URL)"
        )
    if await verifications.begun_since(method.destination_mac, since=now - DAY) >= BEGUN_PER_DAY_MAX:
        raise VerificationError(
            "too_many_verifications",
            f"{BEGUN_PER_DAY_MAX} verifications of this destination were begun in 24 hours: wait",
        )
    recipient = code = challenge = None
    if kind is Kind.CODE:
        recipient = owners.code_recipient(method_type=method.type, details=vault.open(method=method).details)
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
    else:
        challenge = challenge_of(
            verification_id=verification_id, method_id=method.method_id, player=method.owner
        )
    verification = Verification(
        verification_id=verification_id,
        method_id=method.method_id,
        kind=kind,
        challenge=challenge,
        code_mac=None if code is None else vault.code_mac(verification_id=verification_id, code=code),
        begun_at=now,
        expires_at=now + VALID_FOR,
    )
    await verifications.add(verification)
    return Begun(method=method, verification=verification, recipient=recipient, code=code)


async def confirm(
    verifications: Verifications,
    methods: Methods,
    *,
    method_id: UUID,
    player: str,
    answer: str,
    owners: Owners,
    vault: Vault,
    now: datetime,
) -> Answered:
    """End a verification by its code or by a signature of its challenge. A wrong answer is counted: the caller commits it.

    Raises:
        MethodError: ``method_not_found``, ``method_removed``, ``method_already_verified`` or ``method_unreadable``.
        VerificationError: ``verification_not_begun``, ``verification_expired`` or ``verification_failed``.
    """
    method = find_method(await methods.lock_player(player), method_id)
    as_verified(method=method, now=now)
    verification = check_open(verification=await verifications.latest(method_id), now=now)
    if not _is_right(verification, answer, method=method, owners=owners, vault=vault):
        await verifications.note_wrong_answer(verification.verification_id)
        return Answered(method=None, answers_left=WRONG_ANSWERS_MAX - verification.wrong_answers - 1)
    await verifications.note_confirmed(verification.verification_id, now=now)
    verified = await verify(methods, method_id=method_id, player=player, actor=player, now=now)
    return Answered(method=verified, answers_left=0)


def _is_right(
    verification: Verification, answer: str, *, method: Method, owners: Owners, vault: Vault
) -> bool:
    if verification.kind is Kind.CODE:
        assert verification.code_mac is not None
        return vault.is_code(
            verification_id=verification.verification_id, code=answer.strip(), mac=verification.code_mac
        )
    assert verification.challenge is not None
    return owners.has_signed(
        method_type=method.type,
        details=vault.open(method=method).details,
        challenge=verification.challenge,
        signature=answer.strip(),
    )
