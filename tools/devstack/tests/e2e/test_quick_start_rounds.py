"""The commands of docs/quick-start-rounds.md, in their order, against the running stack."""

import re
from pathlib import Path
from typing import Final

from prizewire_devstack.stack import RunningStack
from tools.devstack.tests.e2e.terminal import Terminal

DOCUMENT: Final = "docs/quick-start-rounds.md"
BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
KNOWN_METHOD: Final = (
    'curl -s $PRIZEWIRE/api/wallet/payout-request -H "Authorization: Bearer $RITA" -H "Idempotency-Key: quick-probe" '
    """-H "Content-Type: application/json" -d '{"asset": "USDC", "amount": "50.00"}' || true"""
)
"""Refused with `no_payout_method` until rewards knows the method, and then for the empty wallet."""


def test_the_quick_start_for_rounds_ends_in_a_paid_prize(full_stack: RunningStack, tmp_path: Path) -> None:
    """Every command succeeds, with what the document says about its output; in the end the prize is paid over the rail."""
    blocks = BLOCK.findall((full_stack.root / DOCUMENT).read_text())
    terminal = Terminal(directory=tmp_path, home=full_stack.home.root)
    up, variables, campaign, competition, preview, method, report, approve, follow = blocks
    assert up == ".venv/bin/prizewire up --fresh\n"
    assert "http://127.0.0.1:PORT" in variables
    terminal.wait_for(variables.replace("http://127.0.0.1:PORT", full_stack.url))
    terminal.wait_for(campaign, '"funded":"300.00"', '"state":"active"')
    terminal.wait_for(competition, '"quick-start"')
    terminal.wait_for(preview, "90.00")
    terminal.wait_for(method, '"fake"')
    terminal.wait_for(KNOWN_METHOD, "insufficient_balance")
    terminal.wait_for(report, '"round_id"')
    terminal.wait_for(approve, "approved")
    terminal.wait_for(follow, '"FINALIZED"', "paid over fake: ")
