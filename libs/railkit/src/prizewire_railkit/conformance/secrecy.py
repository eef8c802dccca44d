"""Cases of secrecy: neither credentials nor a recipient's details appear in a repr, an error or a log."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from prizewire_contracts.rails import PayoutInstruction, QuoteUnavailable
from prizewire_railkit.conformance.cases import Cases, case, create, look_up, quote_of, reference
from prizewire_railkit.conformance.stage import SLOW_S, Behaviour, Stage

LENGTH_MIN = 5
"""Shorter details, such as a country, may stand elsewhere by chance."""


class SecrecyCases(Cases):
    """What a rail shows."""

    @case()
    async def test_nothing_shows_a_secret(self) -> None:
        """Neither credentials nor a recipient's details appear in the repr of a provider, an instruction, a result or a quote."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        result = await create(stage, wanted)
        asked = quote_of(wanted)
        quote = await stage.provider.quote(asked, now=stage.now())
        looked = await look_up(stage, wanted, result)
        things = (stage.provider, stage.provider.capabilities(), wanted, result, looked, asked, quote)
        _assert_hidden(stage, wanted, " ".join(repr(thing) for thing in things))

    @case()
    async def test_logs_and_errors_hold_no_secret(self) -> None:
        """Whatever the provider does, no log of level INFO or above and no error holds a credential or a detail."""
        stage = await self.make_stage()
        for behaviour in Behaviour:
            if self.lacks(behaviour):
                continue
            await stage.behave(behaviour)
            wanted = stage.instruction()
            with _logged() as lines:
                errors = [await _error(stage, wanted)]
            _assert_hidden(stage, wanted, "\n".join([*lines, *errors]))


def _hidden(stage: Stage, wanted: PayoutInstruction) -> list[str]:
    details = [value for value in wanted.details.values() if isinstance(value, str)]
    return [*stage.secrets, *(value for value in details if len(value) >= LENGTH_MIN)]


def _assert_hidden(stage: Stage, wanted: PayoutInstruction, shown: str) -> None:
    found = [number for number, text in enumerate(_hidden(stage, wanted)) if text in shown]
    # the assertion names the places of the texts, not the texts: a failed test is a log too
    assert found == [], (
        "secrets or details are shown; the numbers count the stage's secrets, then the details"
    )


async def _error(stage: Stage, wanted: PayoutInstruction) -> str:
    """Pay, look up, quote and cancel; the text of an error that one of them raised."""
    try:
        result = await asyncio.wait_for(create(stage, wanted), timeout=SLOW_S / 2)
    except TimeoutError:
        result = None
    try:
        await look_up(stage, wanted, result)
        await stage.provider.cancel(reference(wanted, result), now=stage.now())
        await stage.provider.quote(quote_of(wanted), now=stage.now())
    except QuoteUnavailable as refused:
        return f"{refused!r} {refused.detail}"
    return ""


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{self.format(record)} {record.__dict__}")


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    """Every line of level INFO or above of every logger, with the errors that it names."""
    root, handler = logging.getLogger(), _Lines()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield handler.lines
    finally:
        root.setLevel(before)
        root.removeHandler(handler)
