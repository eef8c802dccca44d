"""Readers of subjects and amounts of events, for the consumers of several features."""

from prizewire_money import Amount, AssetRegistry, InvalidAmount
from prizewire_rewards.errors import Refused
from prizewire_rewards.ledger.domain.records import INTAKE_MAX


def same_subject(subject: str, identifier: object) -> None:
    """Check that an event is about its own subject: versions are counted by subject.

    Raises:
        Refused: ``event_mismatch``. The event is not parked, because the subject that it names is not concerned.
    """
    if subject != str(identifier):
        raise Refused("event_mismatch", f"the subject {subject} is not {identifier}", park=False)


def amount_of(assets: AssetRegistry, code: str, amount: str) -> Amount:
    """Convert a decimal text to an amount of the asset ``code``.

    Raises:
        Refused: ``asset_unknown``; ``invalid_amount``; ``amount_too_large``: it exceeds what an account of the ledger may
            hold.
    """
    asset = assets.get(code)
    if asset is None:
        raise Refused("asset_unknown", assets.refusal_of(code))
    try:
        parsed = Amount.parse(asset, amount)
    except InvalidAmount as error:
        raise Refused("invalid_amount", str(error)) from None
    if parsed.minor > INTAKE_MAX:
        detail = f"{asset.describe(parsed.minor)} is more than {asset.describe(INTAKE_MAX)}, the most that an account may hold"
        raise Refused("amount_too_large", detail)
    return parsed
