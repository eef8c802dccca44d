"""The codes with which settlement refuses, and the status of each."""

from typing import Final

NO_COMPETITION: Final = {404: ("competition_unknown",)}
NO_ROUND: Final = {404: ("round_unknown",)}
NO_TOKEN: Final = {404: ("token_unknown",)}
RULE_CODES: Final = (
    "amount_overflow",
    "amount_too_many_decimals",
    "asset_unknown",
    "entry_fee_invalid",
    "fees_invalid",
    "id_mismatch",
    "key_twice",
    "key_validity_invalid",
    "organizer_missing",
    "per_point_invalid",
    "percent_exceeds_whole",
    "percent_invalid",
    "places_invalid",
    "places_not_contiguous",
    "prizes_exceed_net",
    "public_key_invalid",
    "row_invalid",
    "source_twice",
    "table_mixed",
    "template_empty",
    "template_unknown",
    "tie_break_invalid",
    "unclaimed_invalid",
)
"""A rule that cannot be followed (422)."""
CAMPAIGN_CODES: Final = ("asset_mismatch", "campaign_ended", "campaign_unknown")
"""A rule whose prizes rewards could never book (422)."""
RESULT_CODES: Final = ("duplicate_player", "invalid_amount", "score_missing", "tie_refused")
"""A result that the rule cannot rank or pay (422)."""
ADMISSION_CODES: Final = ("source_not_allowed", "signature_missing", "signature_invalid", "key_not_trusted")
"""A report that its sender may not make (403)."""
UNREADABLE_CODES: Final = (
    "not_cloudevent",
    "unknown_type",
    "unsupported_version",
    "float_refused",
    "schema_invalid",
)
"""A report that cannot be read (400)."""
_STATUS: Final = {
    "message_too_large": 413,
    **dict.fromkeys(ADMISSION_CODES, 403),
    "id_conflict": 409,
    "correlation_mismatch": 409,
    "event_mismatch": 409,
    "result_conflict": 409,
    "result_missing": 409,
    "illegal_transition": 409,
    "dispute_window_passed": 409,
    "subject_parked": 409,
    "competition_unknown": 422,
    "entry_not_offered": 422,
    **dict.fromkeys(RESULT_CODES, 422),
}


def status_of(code: str) -> int:
    """The status of a refused report. A code that is not listed is of a report that cannot be read."""
    return _STATUS.get(code, 400)
