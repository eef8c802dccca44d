"""The outcome of the demonstration: good only if all services agree."""

import copy
import io
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

import httpx
import pytest
from click.testing import CliRunner
from rich.console import Console

from prizewire_devstack.api import Api
from prizewire_devstack.cli import demo as demo_command
from prizewire_devstack.demo import onchain, report
from prizewire_devstack.demo.following import Standing, standing
from prizewire_devstack.demo.onchain import Payment, TreasuryLedger, chain_sums
from prizewire_devstack.demo.outcome import Outcome, Seen, judge
from prizewire_devstack.demo.refusals import Refusals
from prizewire_devstack.demo.tournaments import Tournament, load
from prizewire_devstack.demo.ways import Way, Ways
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import repository_root
from prizewire_devstack.routes import SERVICES
from prizewire_money import Asset, AssetRegistry

NOW = datetime.now(UTC)
ASSETS = AssetRegistry({"USDC": Asset("USDC", 2, redeemable=True)})
PRIZES = {"ada": "106.25", "boris": "63.75", "chiyo": "42.50"}
CLUB = "blitz-club"
ROUND = {"round_id": "r-1", "settlement_version": 1, "campaign": "c-1", "asset": "USDC", "gross": "250.00"}
HEAD = {
    **ROUND,
    "platform_fee": "25.00",
    "organizer_fee": "12.50",
    "organizer_player": CLUB,
    "unclaimed": "0.00",
}
AT = "2026-05-01T12:00:00+00:00"
HASH = "ab" * 32
OTHER = "cd" * 32


@pytest.fixture
def cup() -> Tournament:
    return load(repository_root() / "examples" / "small-round", run="r1", now=NOW)


class Services:
    """The four services after a small round was paid; tests change their answers."""

    def __init__(self, cup: Tournament) -> None:
        self.cup = cup
        self.stuck: dict[str, list[dict[str, Any]]] = {service: [] for service in SERVICES}
        self.settled = True
        self.owed = dict(PRIZES)
        self.sheet = dict.fromkeys(
            ("payout_pending", "organizer_fees", "claimable", "reserved", "withdrawn", "unfunded"), "0.00"
        ) | {
            "funded": "400.00",
            "available": "150.00",
            "platform_fees": "25.00",
            "wallets": "12.50",
            "paid": "212.50",
        }
        entry = {"asset": "USDC", "correlation_id": cup.correlation_id, "type": "prize_credited"}
        self.history: dict[str, list[dict[str, Any]]] = {player: [] for player in cup.players}
        for player, value in PRIZES.items():
            self.history[player] = [
                {**entry, "amount": value, "direction": "credit"},
                {**entry, "amount": value, "direction": "debit"},
            ]
        self.history[CLUB] = [
            {**entry, "amount": "3.00", "direction": "credit", "correlation_id": "an-earlier-match"},
            {**entry, "amount": "12.50", "direction": "credit"},
        ]
        self.held = dict.fromkeys(cup.players, "0.00") | {CLUB: "15.50"}
        self.checks = [{"name": "balances", "ok": True, "breaches": []}]
        self.payouts = [
            {
                "player": player,
                "payee": None,
                "payout_id": f"payout-of-{player}",
                "correlation_id": cup.correlation_id,
                "state": "paid",
                "rail": cup.players[player].rail,
                "asset": "USDC",
                "pay_amount": value,
                "requested_at": AT,
                "changed_at": AT,
                "stored_at": AT,
                "tx_hash": HASH if cup.players[player].rail == "stellar" else None,
                "ledger": 7,
                "proof": {"reference": "r-1"},
            }
            for player, value in PRIZES.items()
        ]
        self.elsewhere: list[dict[str, Any]] = []

    def alive(self, service: str) -> None:
        """Every service answers."""

    def get_long(self, service: str, path: str, *, within_s: float) -> dict[str, Any]:
        del service, within_s
        return self.get(path)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        match path.split("/")[2:]:
            case ["campaigns", _, "balance-sheet"]:
                return self.sheet
            case ["wallet"]:
                zero = {"topup": "0.00", "pending": "0.00", "payout_pending": "9.99"}
                return {"balances": [{"asset": "USDC", "winnings": self.held[query["player"]], **zero}]}
            case ["services", service, "checks"]:
                return {"checks": self.checks if service == "payouts" else []}
            case ["services", _, "audit", "head"]:
                return {"published": 0}
            case ["services", service, "stuck-events"]:
                return {"items": self.stuck[service], "next_cursor": None}
            case ["rewards", "rounds"]:
                total = sum((Decimal(value) for value in self.owed.values()), Decimal(0))
                booked = {
                    "state": "booked",
                    "final": True,
                    "prizes": len(self.owed),
                    "prizes_total": f"{total}",
                }
                return {"items": [{**ROUND, **booked}]}
            case ["rounds", "settled"]:
                return {"items": [{**HEAD, "digest": HASH, "state": "FINALIZED", "lowered": "0.00"}]}
            case ["rewards", "payouts"] | ["admin", "payouts", "known"]:
                return {"items": self.payouts}
            case ["rounds", _]:
                fees = {"platform": "25.00", "organizer": "12.50", "organizer_player": CLUB}
                lines = [
                    {"player": player, "place": place, "amount": value}
                    for place, (player, value) in enumerate(PRIZES.items(), 1)
                ]
                settled = {"fees": fees, "net": "212.50", "unclaimed": "0.00", "lines_total": len(lines)}
                return {"settlement": settled, "lines": lines}
        raise AssertionError(path)

    def items(self, path: str, **query: Any) -> Iterable[dict[str, Any]]:
        match path.split("/")[2:]:
            case ["wallet", "transactions"]:
                return self.history[query["player"]]
            case ["services", _, "audit"] | ["services", _, "audit", "published"]:
                return []
            case ["services", service, "stuck-events"]:
                wanted = query["correlation_id"]
                return [item for item in self.stuck[service] if item["correlation_id"] == wanted]
            case ["rounds", "ended"]:
                ended = {"ended_at": AT, "refused": False, "disowned": False, "state": "FINALIZED"}
                return iter([{**ended, **ROUND, "prizes": 3, "prizes_total": "212.50"}])
            case ["rewards", "rounds", "booked"]:
                return iter(
                    [
                        {
                            **HEAD,
                            "digest": HASH,
                            "lines_digest": HASH,
                            "taken_back": "0.00",
                            "state": "booked",
                            "final": True,
                            "changed_at": AT,
                        }
                    ]
                )
            case ["rewards", "payouts", "asked"]:
                return iter(self.payouts)
            case ["rounds"]:
                return [{"id": "r-1", "state": "SETTLED"}] if self.settled else []
            case ["rewards"]:
                return [
                    {
                        "player": player,
                        "state": "credited",
                        "amount": value,
                        "payout_id": f"payout-of-{player}",
                    }
                    for player, value in self.owed.items()
                ]
            case ["rewards", "rounds", "entries"] | ["admin", "payouts", "known", "changed"]:
                return iter([])
            case ["admin", "payouts"]:
                return iter(self.elsewhere if "state" in query else self.payouts)
        raise AssertionError(path)


@pytest.fixture
def services(cup: Tournament) -> Services:
    return Services(cup)


DESTINATIONS = {player: f"G{player.upper()}" for player in PRIZES}
PAYMENTS = [Payment(HASH, "GADA", "USDC", 1_062_500_000), Payment(HASH, "GBORIS", "USDC", 637_500_000)]


WAYS = Ways(
    wanted=frozenset({"stellar", "fake"}),
    ways=(
        Way(payout_id="1", player="ada", rail="stellar", held_for=("limit",), approvers=("kim", "lee")),
        Way(payout_id="2", player="chiyo", rail="fake", was_unknown=True),
    ),
)


def judged(services: Services, *, payments: list[Payment] | None = None, ways: Ways | None = None) -> Outcome:
    api = cast("Api", services)
    found = standing(api, services.cup, refusals=Refusals(api))
    return judge(
        api,
        (services.cup,),
        Seen(
            standings=(found,),
            delivered=3,
            deliveries_refused=0,
            traced={services.cup.correlation_id: SERVICES},
            payments=PAYMENTS if payments is None else payments,
            destinations=DESTINATIONS,
            paid_after_s=0.5,
            ways=WAYS if ways is None else ways,
        ),
        campaigns={services.cup.campaign: "c-1"},
        assets=ASSETS,
        seconds=1.0,
        deadline_s=0.0,
    )


def printed(outcome: Outcome) -> str:
    console = Console(file=io.StringIO(), width=200)
    report.sums(console, outcome)
    return cast("io.StringIO", console.file).getvalue()


def test_a_run_in_which_everybody_agrees_is_good(services: Services) -> None:
    """Ledger, settlement, payouts, wallets and chain: an earlier run's fee in the club's wallet does not count."""
    outcome = judged(services)
    assert outcome.good, printed(outcome)
    assert outcome.to_json()["wallets_off"] == []
    assert (
        "7 of 7 wallets hold what their history and the prize lists say (6 players, 1 organizer)"
        in printed(outcome)
    )


@pytest.mark.parametrize(
    ("player", "held"), [("ada", "0.01"), (CLUB, "15.49"), (CLUB, "15.51"), ("dara", "0.01")]
)
def test_a_wallet_with_one_unit_too_many_fails_the_command(
    services: Services, player: str, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Books and chain match; one balance does not, and the command names its owner, with exit code 1."""
    services.held[player] = held
    outcome = judged(services)
    assert all(one.matches for one in (*outcome.booked, *outcome.chained))
    assert not outcome.sums_match
    assert f"✗ {player} holds {held} USDC" in printed(outcome)

    class Performed:
        def __init__(self, **_: object) -> None:
            pass

        def perform(self) -> Outcome:
            return outcome

    monkeypatch.setattr(demo_command, "Demonstration", Performed)
    monkeypatch.setattr(demo_command, "_stack", lambda *_, **__: nullcontext())
    done = CliRunner().invoke(demo_command.command, ["--json"], standalone_mode=False)
    assert done.return_value == 1
    assert '"sums_match": false' in done.stdout


def test_a_debt_of_a_player_moves_no_money(services: Services) -> None:
    """The entry that opens a debt changes no balance of the wallet, also if it is of this run's match."""
    debt = services.history["ada"][0] | {"type": "receivable_opened", "direction": "none", "amount": "5.00"}
    services.history["ada"].append(debt)
    assert judged(services).good


def test_a_transfer_without_a_prize_is_found(services: Services) -> None:
    """A wallet that equals its history is wrong if the history has a prize too many."""
    extra = copy.deepcopy(services.history["ada"][0]) | {"amount": "0.01"}
    services.history["dara"].append(extra)
    services.held["dara"] = "0.01"
    [off] = [one for one in judged(services).wallets if not one.matches]
    assert (off.player, off.of_run.to_wire(), off.expected.to_wire()) == ("dara", "0.01", "0.00")


@pytest.mark.parametrize(
    ("name", "value"),
    [("wallets", "12.49"), ("platform_fees", "25.01"), ("claimable", "0.01"), ("paid", "212.49")],
)
def test_a_wrong_balance_sheet_is_found(services: Services, name: str, value: str) -> None:
    """Each amount is compared with settlement, with payouts or with the sum, even if the pool's rest hides the difference."""
    services.sheet[name] = value
    assert not judged(services).sums_match
    if name != "claimable":
        moved = int(value.replace(".", "")) - {"wallets": 1250, "platform_fees": 2500, "paid": 21250}[name]
        services.sheet["available"] = f"{(15000 - moved) / 100:.2f}"
        assert not judged(services).sums_match


def test_a_broken_invariant_fails_the_run(services: Services) -> None:
    """The output names the service, the invariant and its breaches."""
    services.checks[0] |= {"ok": False, "breaches": ["payout 7 is paid twice"]}
    outcome = judged(services)
    assert outcome.sums_match
    assert not outcome.good
    assert "payouts: balances is broken: payout 7 is paid twice" in printed(outcome)


def test_prizes_that_are_not_those_settled_fail_the_run(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison fails even if both services report no breach."""
    monkeypatch.setattr("prizewire_devstack.agreement.AGREED_DEADLINE_S", 0.01)
    services.owed["ada"] = "106.24"
    outcome = judged(services)
    assert not outcome.good
    assert "settled 3 prizes of 212.50 USDC, rewards has 3 of 212.49 USDC" in printed(outcome)


def test_payments_of_other_runs_stand_in_a_line_of_their_own(services: Services) -> None:
    """Prizes of an interrupted run, paid later, do not count, even in the same transaction to the same player."""
    others = [Payment(OTHER, "GSOMEBODY", "USDC", 500), Payment(HASH, "GADA", "USDC", 700)]
    services.elsewhere = [
        {"correlation_id": "an-earlier-match", "tx_hash": OTHER, "pay_amount": "0.0000500"},
        {"correlation_id": "an-earlier-match", "tx_hash": HASH, "pay_amount": "0.0000700"},
        {"correlation_id": services.cup.correlation_id, "tx_hash": HASH, "pay_amount": "106.25"},
    ]
    outcome = judged(services, payments=[*PAYMENTS, *others])
    assert outcome.good, printed(outcome)
    assert "0.0001200 USDC left it for payouts of other matches" in printed(outcome)


@pytest.mark.parametrize(
    "payments",
    [
        PAYMENTS[:1],
        [PAYMENTS[0], PAYMENTS[1]._replace(units=637_500_001)],
        [PAYMENTS[0], PAYMENTS[1]._replace(destination="GEVE")],
        [PAYMENTS[0], PAYMENTS[1]._replace(tx_hash=OTHER)],
        [*PAYMENTS, PAYMENTS[1]],
        [*PAYMENTS, PAYMENTS[1]._replace(tx_hash=OTHER)],
    ],
    ids=[
        "missing",
        "one unit more",
        "to somebody else",
        "by another transaction",
        "twice",
        "twice, elsewhere",
    ],
)
def test_a_wrong_payment_is_found(services: Services, payments: list[Payment]) -> None:
    """Each prize is on the ledger once, and every other payment has a payout."""
    outcome = judged(services, payments=payments)
    assert not outcome.chained[0].matches
    assert not outcome.good


def test_a_payment_that_payouts_has_yet_to_prove_is_waited_for(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger has a payment a moment before payouts does."""
    answers = iter([{}, {}, {(OTHER, 500): 1}])
    monkeypatch.setattr(onchain, "eventually_sync", lambda ask, **_: any(ask() for _ in range(3)))
    api = cast("Api", services)
    found = standing(api, services.cup, refusals=Refusals(api))
    [one] = chain_sums(
        [(services.cup, found)],
        payments=[*PAYMENTS, Payment(OTHER, "GSOMEBODY", "USDC", 500)],
        destinations=DESTINATIONS,
        known=lambda _: onchain.Counter(next(answers)),
    )
    assert one.matches


def test_the_ledger_is_read_from_a_place_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are read in order; payments to the treasury are left out; no answer is an error with a sentence."""
    rows = [
        {
            "id": n,
            "tx_hash": HASH,
            "from": "GT" if n % 2 else "GX",
            "to": "GADA",
            "asset": "USDC:GI",
            "amount": "5",
        }
        for n in range(1, 8)
    ]

    def serve(request: httpx.Request) -> httpx.Response:
        after, limit = int(request.url.params["after"]), int(request.url.params["limit"])
        page = [row for row in rows if row["id"] > after][:limit]
        return httpx.Response(200, json={"payments": page, "next": page[-1]["id"] if page else after})

    monkeypatch.setattr(onchain, "PAGE", 3)
    client = httpx.Client(transport=httpx.MockTransport(serve))

    def get(url: str, *, params: dict[str, Any], timeout: float, trust_env: bool) -> httpx.Response:
        assert not trust_env, "the sandbox is on loopback: no proxy"
        return client.get(url, params=params, timeout=timeout)

    monkeypatch.setattr(onchain.httpx, "get", get)
    ledger = TreasuryLedger(url="http://sandbox", treasury="GT")
    assert ledger.end() == 7
    assert ledger.since(2) == [Payment(HASH, "GADA", "USDC", 5)] * 3
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(502)))
    with pytest.raises(DevstackError, match="does not list its payments"):
        ledger.end()


def stuck(cup: Tournament, **changed: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "source": cup.source,
        "subject": cup.match_id,
        "event_id": cup.events[0]["id"],
        "correlation_id": cup.correlation_id,
        "type": "prizewire.match.completed.v1",
        "reason": "signature_invalid",
        "detail": "it was not signed by local",
        **changed,
    }


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"correlation_id": None},
        {"correlation_id": None, "event_id": None},
        {"correlation_id": None, "source": None, "subject": None, "type": None},
    ],
    ids=["by correlation id", "by match", "by match alone", "by event id alone"],
)
def test_a_refused_match_is_known_at_once_with_its_reason(
    services: Services, changed: dict[str, Any]
) -> None:
    """However little of the message is readable, the run does not wait any more and shows the reason."""
    services.settled = False
    services.stuck["settlement"] = [stuck(services.cup, **changed)]
    api = cast("Api", services)
    found = standing(api, services.cup, refusals=Refusals(api))
    assert found.done
    assert len(found.refusals) == 1
    assert "signature_invalid (it was not signed by local)" in found.refusals[0]
    assert not judged(services).good


def test_refusals_elsewhere_and_of_others(services: Services) -> None:
    """Refusals of rewards for this match count; waiting events and those of other matches do not."""
    cup = services.cup
    services.settled = False
    services.stuck["settlement"] = [
        stuck(cup, correlation_id=None, event_id="x", subject="another"),
        stuck(cup, id=2, reason="version_gap"),
    ]
    api = cast("Api", services)
    assert standing(api, cup, refusals=Refusals(api)) == Standing(prizes=(), settled=False)
    services.stuck["rewards"] = [
        stuck(cup, reason="campaign_unknown", source="/prizewire/settlement", subject="r-1")
    ]
    [refusal] = standing(api, cup, refusals=Refusals(api)).refusals
    assert refusal.startswith("rewards refused prizewire.match.completed.v1: campaign_unknown")


def test_old_stuck_events_are_read_once(cup: Tournament) -> None:
    """An old stack has thousands of them; a refused match among them is found."""
    asked: list[str | None] = []

    class Long:
        def items(self, path: str, **_: Any) -> list[dict[str, Any]]:
            return []

        def get(self, path: str, *, limit: int, cursor: str | None) -> dict[str, Any]:
            asked.append(cursor)
            first = {"items": [stuck(cup, correlation_id=None)], "next_cursor": "page-2"}
            return first if cursor is None else {"items": [], "next_cursor": None}

    refusals = Refusals(cast("Api", Long()))
    assert len(refusals.of(cup)) == len(refusals.of(cup)) == 1
    assert asked == [None, "page-2", "page-2"]


def test_a_prize_on_its_way_is_in_no_wallet(services: Services) -> None:
    """The payout is requested and not yet known to payouts, or pending at a rail."""
    services.payouts[0] |= {"state": "pending"}
    del services.payouts[1]
    api = cast("Api", services)
    found = standing(api, services.cup, refusals=Refusals(api))
    assert [prize.status for prize in found.prizes] == ["pending", "requested", "paid"]
    assert all(one.matches for one in judged(services).wallets)


def test_a_prize_that_was_given_back_is_in_its_wallet(services: Services) -> None:
    """A failed payout's money is expected in the wallet."""
    services.payouts[0] |= {"state": "failed"}
    services.history["ada"].append(services.history["ada"][0])
    services.held["ada"] = "106.25"
    services.sheet |= {"paid": "106.25", "wallets": "118.75"}
    outcome = judged(services, payments=PAYMENTS[1:])
    assert outcome.sums_match, printed(outcome)
    assert not outcome.good


@pytest.mark.parametrize(
    "missing",
    [
        replace(WAYS, wanted=frozenset({"stellar", "fake", "manual"})),
        replace(WAYS, ways=WAYS.ways[:1]),
        replace(WAYS, ways=(replace(WAYS.ways[0], approvers=("kim", "kim")), WAYS.ways[1])),
        replace(WAYS, ways=(WAYS.ways[0], replace(WAYS.ways[1], rail=None))),
    ],
)
def test_a_way_that_no_payout_took_is_not_good(services: Services, missing: Ways) -> None:
    """A rail that paid nothing, no payout that came back from an unknown outcome, or none that two persons approved."""
    outcome = judged(services, ways=missing)
    assert not outcome.good
    console = Console(file=io.StringIO(), width=200)
    report.ways(console, missing)
    assert "✗" in cast("io.StringIO", console.file).getvalue()


def test_an_unsettled_match_is_never_good(services: Services) -> None:
    """A run without prizes is not good, even without a difference."""
    outcome = judged(services)
    bare = replace(outcome, standings=(Standing(prizes=(), settled=False),), delivered=0)
    assert not bare.good


def test_of_several_payouts_of_a_player_the_newest_one_stands(services: Services) -> None:
    """Payouts are listed newest first: an earlier failed one does not hide a later paid one."""
    services.payouts += [
        {**one, "payout_id": "earlier", "state": "failed", "tx_hash": None} for one in services.payouts
    ]
    api = cast("Api", services)
    found = standing(api, services.cup, refusals=Refusals(api))
    assert {prize.status for prize in found.prizes} == {"paid"}
    assert "earlier" not in {prize.payout_id for prize in found.prizes}
