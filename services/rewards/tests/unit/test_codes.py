"""Which HTTP status a refusal has."""

import ast
from pathlib import Path

import pytest

import prizewire_rewards
from prizewire_rewards.http.codes import AMOUNT_CODES, STATUS_OF, refusing
from prizewire_rewards.payouts.handlers.direct import NO_PAYOUT_METHOD

ERRORS = {"InvalidRequest", "NotFound", "refused"}


def raised() -> set[str]:
    """The codes that handlers, domain and routes name when they refuse."""
    return {
        node.args[0].value
        for file in Path(prizewire_rewards.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ERRORS
        and isinstance(node.args[0], ast.Constant)
    }


def test_every_code_has_its_status() -> None:
    """Each code that a rule refuses with stands in the table."""
    found = raised()
    assert "campaign_ended" in found
    assert {*found, *AMOUNT_CODES, NO_PAYOUT_METHOD} - STATUS_OF.keys() == set()


def test_refusals_are_declared_by_status() -> None:
    """As routes declare them."""
    assert refusing("own_claim", "campaign_ended", "claim_final", "asset_unknown") == {
        403: ("own_claim",),
        409: ("campaign_ended", "claim_final"),
        422: ("asset_unknown",),
    }
    with pytest.raises(KeyError):
        refusing("nothing_of_this_name")
