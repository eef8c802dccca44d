"""Payouts without Kafka: events go straight into the inbox, and what would be published lies in the outbox."""

import hashlib
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID, uuid4

import orjson
from litestar import Controller
from sqlalchemy import text

from prizewire_chassis.audit import Audit
from prizewire_chassis.clock import ManualClock
from prizewire_chassis.db import Database
from prizewire_chassis.http.limits import Window
from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.testing import event_bytes, make_key, make_trust, records
from prizewire_contracts.intents import AllowedWay, Intent
from prizewire_contracts.rails import RewardPayoutProvider
from prizewire_contracts.topics import REWARDS
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.components.postgres import DatabaseUrls
from prizewire_money import Amount, AssetRegistry
from prizewire_payouts.approval.domain import ApprovalPolicy
from prizewire_payouts.approval.handlers import PolicyAdmission, PolicyClearance
from prizewire_payouts.approval.http.decisions import ApprovalContext, approvals_controller
from prizewire_payouts.approval.http.pauses import pauses_controller
from prizewire_payouts.approval.storage import ApprovalStorage, PauseStorage
from prizewire_payouts.batches.http.controller import batch_decisions_controller, batches_controller
from prizewire_payouts.by_hand.http.controller import ByHandContext, by_hand_controller
from prizewire_payouts.checks import CHECKS
from prizewire_payouts.gates.adapters import MarkedDestinations, NoDenyList
from prizewire_payouts.gates.domain import GateLimits
from prizewire_payouts.gates.handlers import Gates
from prizewire_payouts.gates.ports import DenyList
from prizewire_payouts.gates.storage import GateStorage
from prizewire_payouts.http import STATUSES
from prizewire_payouts.inline.adapters import MessageKeyBoxes
from prizewire_payouts.inline.handlers import InlineRules
from prizewire_payouts.legal.http import LegalContext, legal_controller
from prizewire_payouts.legal.storage import LegalPermission
from prizewire_payouts.methods.adapters import DetailsVault, InstalledTypes
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.methods.handlers import register
from prizewire_payouts.methods.http import MethodContext, methods_controller
from prizewire_payouts.methods.storage import MethodStorage
from prizewire_payouts.payouts.adapters import SignedIntents
from prizewire_payouts.payouts.consumers.requests import ExecutionReports, RewardsConsumer, rewards_spec
from prizewire_payouts.payouts.domain.model import Attempt, Payout
from prizewire_payouts.payouts.handlers.outcomes import ImpossibleOutcome
from prizewire_payouts.payouts.handlers.requests import Rules
from prizewire_payouts.payouts.handlers.watching import Schedule
from prizewire_payouts.payouts.http.admin import admin_controller, announcing_controller, known_controller
from prizewire_payouts.payouts.http.listing import PayoutContext, payouts_controller
from prizewire_payouts.payouts.http.retries import retries_controller
from prizewire_payouts.payouts.jobs.worker import RailWorker
from prizewire_payouts.payouts.storage.checks import attempts_check
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.payouts.storage.queries import PayoutQueries
from prizewire_payouts.quotes.adapters import MessageKeySigner, count_answer
from prizewire_payouts.quotes.handlers import Quoting
from prizewire_payouts.quotes.http import QuoteContext, quotes_controller
from prizewire_payouts.rails.domain import Circuit
from prizewire_payouts.rails.handlers import served_types
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.rails.storage import rail_rows_check
from prizewire_payouts.reviews.http import PaymentReviewContext, payment_reviews_controller
from prizewire_payouts.reviews.storage import evidence_check
from prizewire_payouts.stellar.storage.unasked import signed_unasked
from prizewire_payouts.tax_list.http import TaxListContext, tax_list_controller
from prizewire_payouts.unit_of_work import UnitOfWork, UnitOfWorkFactory
from prizewire_payouts.verification.adapters import TypedOwners
from prizewire_payouts.verification.http import VerificationContext, verification_controller
from prizewire_rail_fake import FakeProvider, Journal
from prizewire_railkit.method_types.installed import installed_method_types
from services.payouts.tests.fakes import Mailbox, ScriptedProvider

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
NETWORK = "Test network ; November 2026"
ASSETS = AssetRegistry.from_mapping(
    {
        "EURC": {"decimals": 2, "redeemable": True},
        "XLM": {"decimals": 7, "redeemable": True},
        "SEASON": {"decimals": 0, "redeemable": False},
    }
)
EURC = ASSETS["EURC"]
POLICY = ApprovalPolicy(
    version=3,
    automatic_up_to={"EURC": Amount(EURC, 100_000)},
    automatic_in_day={"EURC": Amount(EURC, 1_000_000_000)},
    two_above={"EURC": Amount(EURC, 1_000_000)},
)
SCHEDULE = Schedule(
    poll=timedelta(seconds=2),
    polls_flat=5,
    poll_max=timedelta(hours=1),
    retry_first=timedelta(seconds=2),
    retry_max=timedelta(minutes=5),
    attempts_max=3,
    lease=timedelta(seconds=20),
    returns_watched=timedelta(days=7),
)
METHOD_KEY = hashlib.sha256(b"test method key").hexdigest()
OWN = "GDONHGKSW6CUZCA6UNV74D36S24365VMO2TRUJDUQ7KOBB4ADVVXPXHJ"
"""An account that payouts are made from."""
ADDRESS = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"
"""An address that stands in the Stellar documentation."""


T = TypeVar("T")


class Storages:
    """The storages of all features over one unit of work."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self.unit_of_work = unit_of_work
        self.payouts = PayoutStorage(unit_of_work)
        self.queries = PayoutQueries(unit_of_work)
        self.methods = MethodStorage(unit_of_work)
        self.approvals = ApprovalStorage(unit_of_work)
        self.pauses = PauseStorage(unit_of_work)
        self.permission = LegalPermission(unit_of_work)


async def run_over(
    db: Database, unit_of_work: UnitOfWorkFactory, work: Callable[[Storages], Awaitable[T]]
) -> T:
    """Do something over the storages of one unit of work."""
    return await db.run(lambda tx: work(Storages(unit_of_work(tx))))


def http_parts(db: Database, clock: Any, audit: Audit, unit_of_work: UnitOfWorkFactory) -> dict[str, Any]:
    """What every context of controllers has."""
    return {
        "db": db,
        "clock": clock,
        "audit": audit,
        "errors": STATUSES,
        "unit_of_work": unit_of_work,
        "queries": unit_of_work,
    }


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the outbox."""

    topic: str
    type: str
    version: int
    correlation_id: str
    data: dict[str, Any]
    raw: dict[str, Any]


class Rig:
    """The service's parts over one database. ``fake`` is a rail with a book, ``chain`` one that the signer serves
    and whose answers a test writes.
    """

    def __init__(
        self, urls: DatabaseUrls, *, policy: ApprovalPolicy = POLICY, vault: DetailsVault | None = None
    ) -> None:
        self.urls = urls
        self.policy = policy
        self.resume_by_another = False
        self.limits = GateLimits()
        self.deny_list: DenyList = NoDenyList()
        self.db = Database(urls.runtime, application_name="test-payouts")
        self.clock = ManualClock(START)
        self.outbox = Outbox(service="payouts", key=make_key("payouts"), clock=self.clock)
        self.audit = Audit(service="payouts", outbox=self.outbox, clock=self.clock)
        self.vault = vault or DetailsVault(key_hex=METHOD_KEY)
        self.cool_down = timedelta()
        self.mail = Mailbox()
        self.types = InstalledTypes(installed_method_types(), own_accounts={OWN})
        self.unit_of_work = partial(
            UnitOfWork,
            assets=ASSETS,
            outbox=self.outbox,
            mac=self.vault.row_mac,
            former_macs=self.vault.former_row_macs,
            seals=self.vault,
            signed_unasked=signed_unasked,
        )
        self.journal = Journal()
        self.fake = FakeProvider(name="fake", assets=frozenset({"EURC"}), journal=self.journal)
        self.chain = ScriptedProvider()
        self.rails = [_rail(self.chain), _rail(self.fake)]
        self.quoting = Quoting(
            rails=self.rails,
            network=NETWORK,
            signer=MessageKeySigner(make_key("payouts")),
            limit=timedelta(seconds=5),
            count=count_answer,
        )
        self.quotes_asked = Window(name="quotes", most=20)
        self.trust = make_trust()
        self.intents = SignedIntents(trust=self.trust)
        self.reports = ExecutionReports(unit_of_work=self.unit_of_work, schedule=SCHEDULE, clock=self.clock)
        self.processor = BatchProcessor(db=self.db, trust=self.trust, clock=self.clock)
        self.spec = self.make_spec()
        self.impossible: list[ImpossibleOutcome] = []
        self.workers = {rail.name: self.worker(rail) for rail in self.rails}
        self._offsets = itertools.count()

    async def close(self) -> None:
        await self.db.close()
        self.journal.close()

    def gates(self, unit: UnitOfWork) -> Gates:
        """The gates with the limits that the test has set."""
        marked = MarkedDestinations(installed_method_types(), mac=self.vault.destination_mac)
        return Gates(GateStorage(unit, deny_list=self.deny_list, destinations=marked), limits=self.limits)

    def make_spec(self) -> ConsumerSpec:
        """The consumer of requests, with the rules as they are set now."""
        return rewards_spec(
            RewardsConsumer(
                unit_of_work=self.unit_of_work,
                admission=lambda unit: PolicyAdmission(
                    ApprovalStorage(unit), self.gates(unit), policy=self.policy
                ),
                rules=Rules(network=NETWORK, rails=self.rails, types=self.types, inline=self.inline_rules()),
                trust=self.trust,
                assets=ASSETS,
                clock=self.clock,
            )
        )

    def inline_rules(self, former: Sequence[MessageKey] = ()) -> InlineRules:
        """What details in requests become a method by."""
        return InlineRules(
            boxes=MessageKeyBoxes(make_key("payouts"), former),
            vault=self.vault,
            served=served_types(self.rails),
            cool_down=self.cool_down,
        )

    def clearance(self, unit: UnitOfWork) -> PolicyClearance:
        """What lets payouts go before each attempt."""
        return PolicyClearance(self.gates(unit), policy=self.policy)

    def worker(self, rail: Rail, *, circuit: Circuit | None = None) -> RailWorker:
        """A worker of its own for a rail, as another process would have."""

        async def note(outcome: ImpossibleOutcome) -> None:
            self.impossible.append(outcome)

        return RailWorker(
            rail=rail,
            db=self.db,
            unit_of_work=self.unit_of_work,
            vault=self.vault,
            intents=self.intents,
            permission=LegalPermission,
            clearance=self.clearance,
            schedule=SCHEDULE,
            clock=self.clock,
            call_timeout=timedelta(seconds=5),
            on_impossible_outcome=note,
            rails=self.rails,
            circuit=circuit,
        )

    @property
    def controllers(self) -> list[type[Controller]]:
        """All controllers but those of reviews."""
        shared = http_parts(self.db, self.clock, self.audit, self.unit_of_work)
        payouts = PayoutContext(**shared, rails=self.rails, assets=ASSETS, vault=self.vault, types=self.types)
        quotes = QuoteContext(
            **shared, vault=self.vault, quoting=self.quoting, assets=ASSETS, asked=self.quotes_asked
        )
        approval = ApprovalContext(
            **shared,
            policy=self.policy,
            rails=self.rails,
            assets=ASSETS,
            resume_by_another=self.resume_by_another,
        )
        return [
            methods_controller(
                MethodContext(
                    **shared,
                    vault=self.vault,
                    types=self.types,
                    served=served_types(self.rails),
                    cool_down=self.cool_down,
                )
            ),
            verification_controller(
                VerificationContext(
                    **shared,
                    vault=self.vault,
                    owners=TypedOwners(installed_method_types()),
                    mail=self.mail if self.mail.reachable else None,
                )
            ),
            quotes_controller(quotes),
            legal_controller(LegalContext(**shared, rails=self.rails)),
            payouts_controller(payouts),
            pauses_controller(approval),
            payment_reviews_controller(PaymentReviewContext(**shared, rails=self.rails, schedule=SCHEDULE)),
            by_hand_controller(ByHandContext(**shared, rails=self.rails)),
            tax_list_controller(TaxListContext(**shared)),
            admin_controller(payouts),
            approvals_controller(approval),
            batches_controller(approval),
            batch_decisions_controller(approval),
            announcing_controller(payouts),
            retries_controller(payouts),
            known_controller(payouts),
        ]

    def require_verified(self, rail: str, *method_types: str) -> None:
        """Let a rail pay methods of these types only once they are verified."""
        found = next(one for one in self.rails if one.name == rail)
        capabilities = replace(found.capabilities, verified_methods=frozenset(method_types))
        self.workers[rail] = self.worker(replace(found, capabilities=capabilities))

    def require_legal_approval(self, rail: str) -> None:
        """Let a rail pay only with a legal approval."""
        number, found = next((n, one) for n, one in enumerate(self.rails) if one.name == rail)
        capabilities = replace(found.capabilities, needs_legal_approval=True)
        self.rails[number] = replace(found, capabilities=capabilities)
        self.workers[rail] = self.worker(self.rails[number])

    async def run(self, work: Callable[["Storages"], Awaitable[T]]) -> T:
        """Do something over the storages of one unit of work."""
        return await run_over(self.db, self.unit_of_work, work)

    async def method(
        self, player: str = "ana", *, kind: str = "fake", default: bool = False, **details: str
    ) -> Method:
        """A registered method; an account of the player's own name where no details are given."""
        given = details or ({"account": f"account of {player}"} if kind == "fake" else {"address": ADDRESS})
        terms = self.types.read(method_type=kind, details=given)

        async def work(storages: Storages) -> Method:
            found = await register(
                storages.methods,
                method_id=uuid4(),
                player=player,
                terms=terms,
                rail_types=served_types(self.rails)[kind],
                default=default,
                vault=self.vault,
                actor=player,
                now=self.clock.now(),
                cool_down=self.cool_down,
            )
            return found.method

        return await self.run(work)

    def intent(
        self, method: Method, *, amount: str = "12.50", payout_id: UUID | None = None, **changes: Any
    ) -> Intent:
        """What rewards would sign for this method."""
        now = int(self.clock.now().timestamp())
        values: dict[str, Any] = {
            "v": 2,
            "network": NETWORK,
            "payout_id": str(payout_id or uuid4()),
            "correlation_id": "corr-1",
            "player": method.player,
            "campaign": "11111111-1111-4111-8111-111111111111",
            "competition": "spring-cup",
            "source": "/games/arena",
            "quote": None,
            "funding_account": None,
            "debit_asset": "EURC",
            "debit_amount": amount,
            "pay_asset": "EURC",
            "pay_amount": amount,
            "allowed": (
                *(
                    AllowedWay(
                        rail=rail_type,
                        destination=method.address,
                        commitment=method.commitment,
                        memo=method.memo,
                        amount_max=amount,
                    )
                    for rail_type in method.rail_types
                ),
            ),
            "issued_at": now,
            "expires_at": now + 3600,
            "key_id": make_key("rewards").keyid,
        }
        return Intent(**{**values, **changes})

    def requested(
        self,
        method: Method,
        intent: Intent,
        /,
        *,
        signer: str = "rewards",
        version: int = 1,
        key: MessageKey | None = None,
        filed_by: str = "rewards",
        subject: str | None = None,
        correlation_id: str = "corr-1",
        **changes: Any,
    ) -> bytes:
        """A ``payout.requested`` event; ``signer`` signs the intent, rewards the event."""
        data = {
            "payout_id": intent.payout_id,
            "player": intent.player,
            "reward_ids": [],
            "method_id": str(method.method_id),
            "method_version": method.version,
            "intent": intent_json(intent),
            "intent_signature": make_key(signer).sign(intent.signing_bytes()),
            "filed_by": filed_by,
            **changes,
        }
        return self.event(
            "payout.requested", data, version=version, correlation_id=correlation_id, key=key, subject=subject
        )

    def cancel_asked(
        self, payout_id: UUID | str, *, version: int = 2, reason: str = "stop", **changes: Any
    ) -> bytes:
        """The player's request to cancel a payout, as rewards publishes it, but for ``changes``."""
        data = {"payout_id": str(payout_id), "by": "ana", "reason": reason, **changes}
        return self.event("payout.cancel_requested", data, version=version)

    def renewal(self, intent: Intent) -> bytes:
        """The intent of a payout, signed again by rewards."""
        data = {
            "payout_id": intent.payout_id,
            "intent": intent_json(intent),
            "intent_signature": make_key("rewards").sign(intent.signing_bytes()),
        }
        return self.event("payout.intent_renewed", data, version=2)

    def event(
        self,
        kind: str,
        data: Mapping[str, Any],
        *,
        version: int,
        correlation_id: str = "corr-1",
        key: MessageKey | None = None,
        subject: str | None = None,
    ) -> bytes:
        """An event of rewards about a payout."""
        name = f"prizewire.{kind}.v1"
        payout_id = str(data["payout_id"])
        return event_bytes(
            topic=REWARDS.name,
            kind=name,
            source="/prizewire/rewards",
            subject=subject or payout_id,
            data=dict(data),
            key=key or make_key("rewards"),
            id=f"{payout_id}/{kind}/{version}",
            correlationid=correlation_id,
            aggregateversion=version,
            time=self.clock.now().isoformat(),
        )

    async def feed(self, *events: bytes) -> None:
        """Consume these events in one batch."""
        start = next(self._offsets) * 1000
        await self.processor.process(self.spec, records(*events, topic=REWARDS.name, start=start))

    async def request(self, method: Method, *, amount: str = "12.50", **changes: Any) -> UUID:
        """A payout, as rewards would ask for it."""
        intent = self.intent(method, amount=amount, **changes)
        await self.feed(self.requested(method, intent))
        return UUID(intent.payout_id)

    async def submit(self, rail: str = "fake") -> None:
        """Submit what is due on a rail, and store the answers."""
        while await self.workers[rail].submit():
            continue

    async def watch(self, rail: str = "fake", *, after: timedelta = timedelta(minutes=1)) -> None:
        """Let time pass, and ask the rail about what is under way."""
        self.clock.advance(after)
        while await self.workers[rail].watch():
            continue

    async def payout(self, payout_id: UUID) -> Payout:
        found = await self.run(lambda storages: storages.queries.find(payout_id))
        assert found is not None
        return found

    async def attempts(self, payout_id: UUID) -> list[Attempt]:
        return await self.run(lambda storages: storages.queries.attempts(payout_id))

    async def rows(self, query: str, **parameters: Any) -> list[Any]:
        async with self.db.transaction() as tx:
            return list(await tx.execute(text(query), parameters))

    async def spoil_details(self, method_id: UUID) -> None:
        """Change the encrypted details of a method, as a person with the database's login could."""
        await self.rows(
            "UPDATE payout_methods SET details = details || CAST('x' AS bytea) WHERE method_id = :id RETURNING method_id",
            id=method_id,
        )

    async def stuck(self) -> list[tuple[str, str]]:
        """(state, reason) of every stuck event."""
        return [(row.state, row.reason) for row in await self.rows("SELECT * FROM stuck_events ORDER BY id")]

    async def events(self, subject: UUID) -> list[Event]:
        """The published events about a payout or method, in order."""
        found = []
        for row in await self.rows("SELECT topic, value FROM outbox ORDER BY id"):
            raw = orjson.loads(bytes(row.value))
            if raw["subject"] == str(subject):
                found.append(
                    Event(
                        row.topic,
                        raw["type"].removeprefix("prizewire.").removesuffix(".v1"),
                        raw["aggregateversion"],
                        raw["correlationid"],
                        raw["data"],
                        raw,
                    )
                )
        return found

    async def event_types(self, subject: UUID) -> list[str]:
        """The types of the published events about a payout or method."""
        return [event.type for event in await self.events(subject)]

    async def breaches(self) -> list[str]:
        """Every breach of an invariant."""
        found: list[str] = []
        macs = self.vault.row_mac, self.vault.former_row_macs
        for check in (*CHECKS, attempts_check(*macs), rail_rows_check(*macs), evidence_check(*macs)):
            async with self.db.transaction() as tx:
                found += await check.run(tx)
        return found


def renewed(intent: Intent, *, hours: int) -> Intent:
    """The same terms with a later expiry."""
    return replace(intent, issued_at=intent.issued_at + 60, expires_at=intent.expires_at + hours * 3600)


def _rail(provider: RewardPayoutProvider) -> Rail:
    capabilities = provider.capabilities()
    return Rail(name=capabilities.rail, capabilities=capabilities, provider=provider)


def intent_json(intent: Intent) -> Any:
    """An intent as it stands in an event."""
    return orjson.loads(orjson.dumps(asdict(intent)))
