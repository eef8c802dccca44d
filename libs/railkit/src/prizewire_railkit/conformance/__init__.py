"""What every rail must do, as tests to inherit.

    class TestMyRail(RailConformance):
        skips: ClassVar = {Behaviour.GARBAGE: "the stand-in cannot send an unreadable answer"}

        async def make_stage(self) -> Stage:
            return MyStage(...)

    class TestMyVerifier(VerifierConformance):
        async def make_signing(self) -> Signing:
            return MySigning(...)

Run with pytest and pytest-asyncio in auto mode. A stage is the rail with a stand-in of its provider. The
test sets the stand-in's behaviour, and the stand-in counts its payments. ``docs/rails.md`` lists which cases each rail runs.
"""

from prizewire_railkit.conformance.balances import BalanceCases
from prizewire_railkit.conformance.cases import Case, Need, cases_of
from prizewire_railkit.conformance.endings import EndingCases
from prizewire_railkit.conformance.failures import FailureCases
from prizewire_railkit.conformance.payments import PaymentCases
from prizewire_railkit.conformance.quotes import QuoteCases
from prizewire_railkit.conformance.refusals import RefusalCases
from prizewire_railkit.conformance.secrecy import SecrecyCases
from prizewire_railkit.conformance.stage import Behaviour, Feature, SentWebhook, Stage, WebhookStage
from prizewire_railkit.conformance.verifiers import Signing, VerifierConformance
from prizewire_railkit.conformance.webhooks import WebhookCases


class RailConformance(
    PaymentCases,
    RefusalCases,
    FailureCases,
    EndingCases,
    QuoteCases,
    BalanceCases,
    WebhookCases,
    SecrecyCases,
):
    """All cases of a rail. ``skips`` names each feature that the rail lacks and each behaviour that its stand-in cannot play,
    with the reason; a case checks the features against the rail's capabilities.
    """


__all__ = [
    "Behaviour",
    "Case",
    "Feature",
    "Need",
    "RailConformance",
    "SentWebhook",
    "Signing",
    "Stage",
    "VerifierConformance",
    "WebhookStage",
    "cases_of",
]
