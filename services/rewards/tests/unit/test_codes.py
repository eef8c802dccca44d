"""The HTTP status of each refusal."""

import ast
from pathlib import Path

import pytest

import prizewire_rewards
from prizewire_rewards.http.codes import AMOUNT_CODES, STATUSES
from prizewire_rewards.payouts.handlers.terms import NO_PAYOUT_METHOD

ERRORS = {"InvalidRequest", "NotFound"}


def raised() -> set[str]:
    """The codes that handlers, domain and routes raise."""
    return {
        node.args[0].value
        for file in Path(prizewire_rewards.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and _refuses(node.func) and isinstance(node.args[0], ast.Constant)
    }


def _refuses(called: ast.expr) -> bool:
    match called:
        case ast.Name(id=name):
            return name in ERRORS
        case ast.Attribute(value=ast.Name(id="STATUSES"), attr="refuse"):
            return True
    return False


def test_every_code_has_its_status() -> None:
    """Each raised code is in the table."""
    found = raised()
    assert {"campaign_ended", "transfer_unknown"} <= found
    assert {*found, *AMOUNT_CODES, NO_PAYOUT_METHOD} - STATUSES.by_code.keys() == set()


def test_refusals_are_declared_by_status() -> None:
    """Refusals are grouped by status, as routes declare them."""
    assert STATUSES.refusals("own_claim", "campaign_ended", "claim_final", "asset_unknown") == {
        403: ("own_claim",),
        409: ("campaign_ended", "claim_final"),
        422: ("asset_unknown",),
    }
    with pytest.raises(ValueError, match="nothing_of_this_name"):
        STATUSES.refusals("nothing_of_this_name")
