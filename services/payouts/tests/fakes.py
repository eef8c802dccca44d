"""A rail with prepared answers, and a payout method."""

from collections import deque
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from uuid import UUID

from prizewire_contracts.rails import (
    CancelOutcome,
    Capabilities,
    PayoutInstruction,
    PayoutReference,
    ProviderResult,
    Quote,
    QuoteRequest,
    RailType,
)
from prizewire_contracts.screening import ScreeningAnswer, ScreeningQuestion, ScreeningVerdict
from prizewire_payouts.methods.domain import Method, MethodState
from prizewire_payouts.verification.ports import CodeNotSent

Said = ProviderResult | Exception
NOW = datetime(2026, 11, 20, tzinfo=UTC)
METHOD = UUID("33333333-3333-4333-8333-333333333333")


class ScriptedProvider:
    """Returns the prepared ``answers`` (create), then what ``answers_by`` makes of the instruction, and ``looks`` (look-ups). It stores
    its calls.
    """

    def __init__(
        self,
        *,
        rail: str = "stellar",
        rail_type: str = RailType.STELLAR,
        method_types: Collection[str] = ("stellar",),
    ) -> None:
        self.answers: deque[Said] = deque()
        self.looks: deque[Said] = deque()
        self.cancels: deque[CancelOutcome] = deque()
        self.quotes: deque[Quote | Exception] = deque()
        self.quoted: list[QuoteRequest] = []
        self.answers_by: Callable[[PayoutInstruction], ProviderResult] | None = None
        self.created: list[PayoutInstruction] = []
        self.looked: list[PayoutReference] = []
        self._capabilities = Capabilities(
            rail=rail,
            type=rail_type,
            assets=frozenset({"EURC", "XLM"}),
            method_types=frozenset(method_types),
            can_cancel=True,
            concurrency=4,
        )

    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def quote(self, request: QuoteRequest, *, now: datetime) -> Quote:
        self.quoted.append(request)
        said = self.quotes.popleft()
        if isinstance(said, Exception):
            raise said
        return said

    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        self.created.append(instruction)
        if not self.answers and self.answers_by is not None:
            return self.answers_by(instruction)
        return _said(self.answers)

    async def sync_status(self, reference: PayoutReference, *, now: datetime) -> ProviderResult:
        self.looked.append(reference)
        return _said(self.looks)

    async def cancel(self, reference: PayoutReference, *, now: datetime) -> CancelOutcome:
        return self.cancels.popleft()


def _said(queue: deque[Said]) -> ProviderResult:
    said = queue.popleft()
    if isinstance(said, Exception):
        raise said
    return said


def make_method(
    *,
    method_id: UUID = METHOD,
    sealed: bytes = b"",
    sealed_by: str = "k",
    address: str | None = None,
    memo: str | None = None,
    commitment: str | None = None,
) -> Method:
    """An active method of ana: a Stellar address, or details behind a commitment."""
    return Method(
        method_id=method_id,
        player="ana",
        type="stellar" if address else "fake",
        rail_types=("stellar",) if address else ("fake",),
        version=1,
        state=MethodState.ACTIVE,
        verified=False,
        is_default=True,
        address=address,
        memo=memo,
        commitment=commitment,
        sealed=sealed,
        sealed_by=sealed_by,
        destination_mac=b"",
        registered_by="ana",
        registered_at=NOW,
        usable_from=NOW,
        changed_at=NOW,
    )


class Mailbox:
    """`CodeMail` in memory: the last code of each recipient. A test sets ``fails`` or ``reachable``."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}
        self.fails = False
        self.reachable = True

    async def send_code(self, *, recipient: str, code: str) -> None:
        """Keep the code."""
        if self.fails:
            raise CodeNotSent("refused")
        self.codes[recipient] = code


class FakeScreening:
    """`ScreeningService` in memory: clear but for the answers of ``prepared``, by payout. A test lets it fail by ``fails``, or never
    answer by ``silent``.
    """

    def __init__(self) -> None:
        self.asked: list[ScreeningQuestion] = []
        self.prepared: dict[UUID, ScreeningAnswer] = {}
        self.fails = False
        self.silent = False

    async def screen(self, question: ScreeningQuestion, *, now: datetime) -> ScreeningAnswer:
        """The prepared answer."""
        self.asked.append(question)
        if self.fails:
            raise OSError(f"no connection for {question.details}")
        if self.silent:
            return ScreeningAnswer(verdict=ScreeningVerdict.UNANSWERED)
        clear = ScreeningAnswer(verdict=ScreeningVerdict.CLEAR, reference=f"S-{len(self.asked)}")
        return self.prepared.get(question.payout_id, clear)

    async def close(self) -> None:
        """Nothing is open."""
