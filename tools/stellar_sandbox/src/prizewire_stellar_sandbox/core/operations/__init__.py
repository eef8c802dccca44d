"""The table of operations: one rule for each type, one file for each family.

A type that is not in the table answers opNOT_SUPPORTED. A new family adds a file with its ``RULES`` and a line
here.
"""

from __future__ import annotations

from typing import Final

from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.operations import accounts, data, options, payments, trust
from prizewire_stellar_sandbox.core.operations.base import (
    Context,
    Outcome,
    Rule,
    Threshold,
    always,
    outcome,
)

_NOT_SUPPORTED: Final = outcome(xdr.OperationResultCode.opNOT_SUPPORTED)


def _refuse(_context: Context) -> Outcome:
    return _NOT_SUPPORTED


UNSUPPORTED: Final = Rule(
    threshold=always(Threshold.MEDIUM),
    check=lambda _body, _source: _NOT_SUPPORTED,
    apply=_refuse,
    success=_NOT_SUPPORTED,
)

RULES: Final[dict[xdr.OperationType, Rule]] = {
    **accounts.RULES,
    **payments.RULES,
    **trust.RULES,
    **options.RULES,
    **data.RULES,
}


def rule_of(operation: xdr.Operation) -> Rule:
    """How this operation is judged and applied."""
    return RULES.get(operation.body.type, UNSUPPORTED)


__all__ = ["RULES", "Context", "Outcome", "Rule", "Threshold", "outcome", "rule_of"]
