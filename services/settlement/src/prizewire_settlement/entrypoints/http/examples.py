"""What the OpenAPI document shows of answers. Every route has one; a test looks that none is missing."""

from typing import Any, Final

from prizewire_chassis.http.examples import answer, page

__all__ = [
    "COMPETITION",
    "COMPETITIONS",
    "COMPETITION_CREATED",
    "ENDED",
    "LINES",
    "MATCH_EVENT",
    "PREVIEW",
    "REPORTED",
    "RESETTLED",
    "RESOLVED",
    "ROUND",
    "ROUNDS",
    "RULE",
    "TOKENS",
    "TOKEN_CREATED",
    "TOKEN_REVOKED",
    "TOKEN_ROTATED",
]

_ROUND_ID: Final = "1d0c3a0e-9c58-5b6e-8b9a-6f4f5e0b7c21"
_CORRELATION: Final = "0b1f9d8e-5d0f-5c55-9d0e-3f6a1f0a7c11"
_CAMPAIGN: Final = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
_AT: Final = "2026-05-01T12:00:00Z"
_LATER: Final = "2026-05-02T12:00:00Z"

MATCH_EVENT: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "chess-4711-result",
    "source": "/games/chess",
    "type": "prizewire.match.completed.v1",
    "time": _AT,
    "subject": "4711",
    "datacontenttype": "application/json",
    "correlationid": _CORRELATION,
    "keyid": "chess-1",
    "signature": "5f" * 64,
    "data": {
        "match_id": "4711",
        "competition": "cup",
        "results": [{"player": "ann", "place": 1}, {"player": "bob", "place": 2}],
    },
}

_KEY: Final[dict[str, Any]] = {
    "keyid": "chess-1",
    "public_key": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "not_before": "2026-01-01T00:00:00Z",
    "not_after": "2027-01-01T00:00:00Z",
}
_RULE: Final[dict[str, Any]] = {
    "rule_version": 1,
    "campaign": _CAMPAIGN,
    "asset": "EURC",
    "gross_prize": "100.00",
    "platform_fee_bps": 1_000,
    "organizer_fee_bps": 500,
    "organizer_player": "org",
    "fees": {"platform": "10.00", "organizer": "5.00", "net": "85.00"},
    "template": {"name": "top3"},
    "ties": {"policy": "split"},
    "unclaimed": "pool",
    "rank_by": {"by": "place"},
    "sources": [{"source": "/games/chess", "keys": [_KEY]}],
    "dispute_window_s": 86_400,
    "entry_fee": {"amount": "2.50", "asset": "EURC"},
}
_COMPETITION: Final[dict[str, Any]] = {
    "id": "cup",
    "name": "Cup",
    **_RULE,
    "created_by": "ada",
    "created_at": _AT,
    "updated_at": _AT,
}
_ROUND: Final[dict[str, Any]] = {
    "id": _ROUND_ID,
    "competition": "cup",
    "source": "/games/chess",
    "match_id": "4711",
    "correlation_id": _CORRELATION,
    "rule_version": 1,
    "state": "SETTLED",
    "settlement_version": 1,
    "result_version": 1,
    "final_at": _LATER,
    "waiting_since": None,
    "refused_at": None,
    "created_at": _AT,
    "updated_at": _AT,
}
_SETTLEMENT: Final[dict[str, Any]] = {
    "settlement_version": 1,
    "rule_version": 1,
    "campaign": _CAMPAIGN,
    "asset": "EURC",
    "gross": "100.00",
    "fees": {"platform": "10.00", "organizer": "5.00", "organizer_player": "org"},
    "net": "85.00",
    "unclaimed": "17.00",
    "lines_total": 2,
    "final": False,
    "final_at": _LATER,
    "settled_at": _AT,
    "reason": None,
}
_LINES: Final[list[dict[str, Any]]] = [
    {"line": 1, "player": "ann", "place": 1, "amount": "42.50"},
    {"line": 2, "player": "bob", "place": 2, "amount": "25.50"},
]
_STEP: Final[dict[str, Any]] = {
    "seq": 4,
    "from": "RESOLVED",
    "to": "SETTLED",
    "cause": "prizewire.match.completed.v1",
    "cause_id": "chess-4711-result",
    "actor": "/games/chess",
    "reason": None,
    "correlation_id": _CORRELATION,
    "at": _AT,
}
_TOKEN: Final[dict[str, Any]] = {
    "id": "7b0c52f5-0c39-4ad4-9f5b-0d6b6a3d5a10",
    "source": "/games/chess",
    "label": "eu-west, blue",
    "created_by": "ada",
    "created_at": _AT,
    "expires_at": "2026-07-30T12:00:00Z",
    "revoked_at": None,
}
_SHOWN_ONCE: Final = {"token": "pws_(43 characters, shown once)"}


COMPETITION_CREATED: Final = answer(_COMPETITION, status=201, description="The competition, as it was stored")
COMPETITION: Final = answer(_COMPETITION, description="The competition with its rule in force")
COMPETITIONS: Final = page(_COMPETITION, "One page of competitions")
RULE: Final = answer({"id": "cup", **_RULE}, description="The rule of that version")
PREVIEW: Final = answer(
    {
        "competition": "cup",
        "rule_version": 1,
        "asset": "EURC",
        "gross": "100.00",
        "fees": {
            "platform": "10.00",
            "platform_bps": 1_000,
            "organizer": "5.00",
            "organizer_bps": 500,
            "organizer_player": "org",
        },
        "net": "85.00",
        "unclaimed": "17.00",
        "lines": _LINES,
    },
    description="What the result would pay",
)
ROUNDS: Final = page(_ROUND, "One page of rounds")
ENDED: Final = page(
    {
        "round_id": _ROUND_ID,
        "state": "FINALIZED",
        "ended_at": _LATER,
        "settlement_version": 1,
        "refused": False,
        "campaign": _CAMPAIGN,
        "asset": "EURC",
        "gross": "100.00",
        "prizes": 2,
        "prizes_total": "68.00",
    },
    "One page of rounds",
)
ROUND: Final = answer(
    {
        **_ROUND,
        "waiting": None,
        "refused": None,
        "transitions": [_STEP],
        "settlement": _SETTLEMENT,
        "lines": _LINES,
    },
    description="The round with its history",
)
LINES: Final = page(_LINES[0], "One page of lines")
RESOLVED: Final = answer(
    {
        **_ROUND,
        "settlement_version": 2,
        "result_version": 2,
        "changed": True,
        "settlement": {
            **_SETTLEMENT,
            "settlement_version": 2,
            "reason": "the judges disqualified a player",
        },
    },
    description="The round after the decision; `changed` is false where every line stays as it was",
)
RESETTLED: Final = answer(
    {
        **_ROUND,
        "rule_version": 2,
        "settlement_version": 2,
        "changed": True,
        "settlement": {
            **_SETTLEMENT,
            "settlement_version": 2,
            "rule_version": 2,
            "reason": "the rule named a campaign in another asset",
        },
    },
    description="The round, settled anew; rewards hears of it by an event",
)
REPORTED: Final = answer(
    {
        "event_id": "chess-4711-result",
        "round_id": _ROUND_ID,
        "match_id": "4711",
        "correlation_id": _CORRELATION,
        "state": "SETTLED",
        "result_version": 1,
        "settlement_version": 1,
        "waiting_since": None,
    },
    status=202,
    description="The report was applied, or said what was known; where the round stands",
)
TOKEN_CREATED: Final = answer({**_TOKEN, **_SHOWN_ONCE}, status=201, description="The token, shown this once")
TOKEN_ROTATED: Final = answer(
    {**_TOKEN, **_SHOWN_ONCE, "former": {**_TOKEN, "expires_at": "2026-05-01T13:00:00Z"}},
    status=201,
    description="The successor, shown this once, and when the former ends",
)
TOKENS: Final = page(_TOKEN, "One page of tokens")
TOKEN_REVOKED: Final = answer({**_TOKEN, "revoked_at": _AT}, description="The token, which counts no more")
