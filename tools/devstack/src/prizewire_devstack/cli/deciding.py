"""Decisions about several things, one request each: every outcome is printed, whatever happens to the others."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

import click

from prizewire_devstack.api import ROLES, ApiError
from prizewire_devstack.cli.acting import connect_as
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.texts import printable

NO_ANSWER: Final = "no_answer"
"""The code of a decision about which no service answered, where the answer has no code of its own."""
NOT_SENT: Final = "not_sent"
"""The code of a decision that was not sent, since one before it had no answer."""
_NOT_SENT: Final = "a decision before this one had no answer: send this one again later"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of one decision. `code` is None where it was applied; `answered` is False where no service answered."""

    id: UUID
    code: str | None
    detail: str
    answered: bool = True


def decide(
    ids: Sequence[UUID],
    verb: str,
    reason: str,
    person: str | None,
    *,
    as_json: bool,
    path: str,
    what: str,
    look: str,
) -> int:
    """Post ``verb`` with a reason to each thing below ``path``, as ``person``, and print every outcome. Returns the exit code.

    ``what`` names one thing, and ``look`` is the command that shows whether one without an answer was decided, with {} for its id.
    """
    with connect_as(person, roles=ROLES) as api:
        outcomes = decide_each(
            ids,
            lambda one: api.post(f"{path}/{one}/{verb}", {"reason": reason}, key=f"{verb}:{uuid4()}"),
            said=lambda answer: str(answer["state"]),
            look=look,
        )
    return show_outcomes(outcomes, key=what, as_json=as_json)


def decide_each(
    ids: Sequence[UUID],
    act: Callable[[UUID], dict[str, Any]],
    *,
    said: Callable[[dict[str, Any]], str],
    look: str,
    hint: Callable[[ApiError], str] = lambda _: "",
) -> list[Outcome]:
    """Decide about each id once, in their order. The detail of a decision that was applied is what `said` makes of the answer.

    A refusal does not keep the others from being decided. After a decision without an answer no other is sent. `look` is the command that
    shows whether that decision was applied, with {} for the id; `hint` adds to the detail of a refusal.
    """
    outcomes: list[Outcome] = []
    for one in dict.fromkeys(ids):
        if outcomes and not outcomes[-1].answered:
            outcomes.append(Outcome(id=one, code=NOT_SENT, detail=_NOT_SENT, answered=False))
            continue
        try:
            outcomes.append(Outcome(id=one, code=None, detail=said(act(one))))
        except ApiError as error:
            if error.unanswered:
                detail = f"{error} {look.format(one)}" if error.maybe_applied else str(error)
            else:
                detail = str(error.problem.get("detail", error)) + hint(error)
            outcomes.append(Outcome(id=one, code=error.code, detail=detail, answered=not error.unanswered))
        except DevstackError as error:
            detail = f"{error} {look.format(one)}"
            outcomes.append(Outcome(id=one, code=NO_ANSWER, detail=detail, answered=False))
    return outcomes


def show_outcomes(outcomes: Sequence[Outcome], *, key: str, as_json: bool) -> int:
    """Print every outcome; `key` is the member of the id in JSON. Returns the exit code: 1 where one of them is refused, or has no answer."""
    if as_json:
        items = [{key: str(one.id), "code": one.code, "detail": one.detail} for one in outcomes]
        click.echo(json.dumps({"items": items}))
    else:
        for one in outcomes:
            click.echo(f"{one.id}  {_before(one)}{printable(one.detail)}")
    return 1 if any(one.code for one in outcomes) else 0


def _before(one: Outcome) -> str:
    if one.code is None:
        return ""
    if one.answered:
        return f"refused, {one.code}: "
    return {NOT_SENT: "not sent: ", NO_ANSWER: "no answer: "}.get(one.code, f"no answer, {one.code}: ")
