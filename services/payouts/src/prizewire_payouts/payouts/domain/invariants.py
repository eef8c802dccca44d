"""What must always hold, by name. `adapters/checks.py` looks for breaches of each; a breach is an alarm."""

from enum import StrEnum


class Invariant(StrEnum):
    """Each is checked on its own over HTTP."""

    AT_MOST_ONE_EFFECT = "payout_has_at_most_one_effect"
    """A payout has exactly one effected attempt where it is paid, one reversed where it is returned, else none."""
    ATTEMPTS_OPEN_WHERE_THEY_MAY = "payout_attempts_open_where_they_may"
    """An attempt is open only while its payout is submitting, pending or unknown; attempts count 1 to n."""
    HISTORIES_ARE_PATHS = "payout_histories_are_paths"
    """Every history goes along declared edges, from requested to the present state."""
    CLOSURES_ARE_STORED = "payout_closures_are_stored"
    """What the signer could have signed never ended without the signer's closure."""
    AMOUNTS_AS_ASKED = "payout_amounts_as_asked"
    """A payout's asset and amount are those of its intent, and each attempt was made for them."""
    PAYOUTS_EXIST = "payout_rows_have_their_payout"
    """Every attempt, approval and step of a history belongs to a payout that exists."""
    ONE_DEFAULT_METHOD = "payout_methods_one_default"
    """A player has at most one default method."""
    AUTOMATIC_IS_COUNTED = "payout_automatic_use_is_counted"
    """What was approved without a person on a day, in an asset, is what that day's limit counts as used."""
    NO_PARTY_APPROVES = "payout_approvals_by_no_party"
    """Nobody approved a payout who filed it, is paid by it, or is behind its money or destination."""
