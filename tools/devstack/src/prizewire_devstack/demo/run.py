"""One run of the demonstration, step by step."""

import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from prizewire_contracts.text import counted
from prizewire_devstack import acl, declarations, game_server, tracing
from prizewire_devstack.api import SUBJECT, Api
from prizewire_devstack.components.kafka import KafkaLogin
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.stellar import StellarChain, assets
from prizewire_devstack.demo import report, sums
from prizewire_devstack.demo.by_hand import PaidByHand
from prizewire_devstack.demo.following import Approvers, Standing, standing
from prizewire_devstack.demo.onchain import TreasuryLedger
from prizewire_devstack.demo.outcome import Outcome, Seen, judge
from prizewire_devstack.demo.players import PlayerBook, create_accounts, register_methods
from prizewire_devstack.demo.projection import MethodsProjection
from prizewire_devstack.demo.receiver import Receiver, subscribed
from prizewire_devstack.demo.refusals import Refusals
from prizewire_devstack.demo.tournaments import RAIL_DEFAULT, Tournament, load_all
from prizewire_devstack.demo.ways import Ways, ways_of
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import Home, RunRecord
from prizewire_devstack.ports import LOOPBACK
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.waiting import NotInTimeError, eventually_sync

PAID_DEADLINE_S: Final = 90.0
STEP_DEADLINE_S: Final = 30.0
POLL_S: Final = 0.25
TRACED: Final = "small-round"
"""The tournament whose trace is printed: the shortest one."""


class Demonstration:
    """A run against the running local stack."""

    def __init__(self, *, home: Home, run: RunRecord, root: Path, console: Console) -> None:
        self._home = home
        self._run = run
        self._console = console
        self._keyring = Keyring(home=home)
        self._chain = StellarChain(url=run.urls["stellar"])
        self._tokens = {one.code: one for one in assets(self._keyring.stellar())}
        self._assets = sums.load_assets(root / "assets.yaml")
        now = datetime.now(UTC)
        self._tournaments = load_all(root / "examples", run=secrets.token_hex(3), now=now)

    def perform(self) -> Outcome:
        """Make players, campaigns and matches; follow every prize; check every sum.

        Raises:
            DevstackError: a step before the matches failed; later failures are part of the outcome.
        """
        began = time.monotonic()
        with self._api(SUBJECT, "operator", "admin") as api, subscribed(api) as receiver:
            with ThreadPoolExecutor(2) as pool:
                setting_up = pool.submit(self._declare, api)
                preparing = pool.submit(self._prepare_players)
                campaigns = setting_up.result()
                preparing.result()
            ledger = TreasuryLedger(
                url=self._run.urls["stellar"], treasury=self._keyring.stellar().treasury.public_key
            )
            cursor = ledger.end()
            sent_at = self._publish()
            standings = self._follow(api)
            paid_after_s = time.monotonic() - sent_at
            self._await_deliveries(receiver, sum(one.paid for one in standings))
            traced = {
                tournament.correlation_id: self._traced(api, tournament, one)
                for tournament, one in zip(self._tournaments, standings, strict=True)
            }
            for tournament, one in zip(self._tournaments, standings, strict=True):
                report.prize_list(self._console, tournament, one)
            self._show_trace(api)
            outcome = judge(
                api,
                self._tournaments,
                Seen(
                    standings=standings,
                    delivered=sum(
                        receiver.paid[tournament.correlation_id] for tournament in self._tournaments
                    ),
                    deliveries_refused=receiver.refused,
                    traced=traced,
                    payments=ledger.since(cursor),
                    destinations=self._destinations(),
                    paid_after_s=paid_after_s,
                    ways=self._ways(api),
                ),
                campaigns=campaigns,
                assets=self._assets,
                seconds=time.monotonic() - began,
                signer_url=self._run.urls["signer"],
            )
        report.ways(self._console, outcome.ways)
        report.sums(self._console, outcome)
        self._verdict(outcome)
        return outcome

    def _api(self, subject: str, *roles: str) -> Api:
        token = self._keyring.token(*roles, subject=subject)
        return Api(base_url=self._run.urls["gateway"], token=token)

    def _login(self, principal: str) -> KafkaLogin:
        return KafkaLogin(
            bootstrap_servers=f"{LOOPBACK}:{self._run.ports['kafka']}",
            username=principal,
            password=self._keyring.kafka_passwords()[principal],
        )

    def _declare(self, api: Api) -> dict[str, str]:
        """Apply campaigns and competitions; return campaign ids by name."""
        ids: dict[str, str] = {}
        for tournament in self._tournaments:
            changes = declarations.apply(
                api, tournament.declaration, local_key=self._keyring.game_server_key()
            )
            ids |= {change.name: change.id for change in changes if change.kind == "campaign"}
        self._say(f"{counted(len(ids), 'campaign')} funded, their competitions declared")
        return ids

    def _prepare_players(self) -> None:
        """Give every player an account and a payout method, and wait until rewards knows the methods."""
        book = PlayerBook(self._home)
        everybody = [player for tournament in self._tournaments for player in tournament.players.values()]
        addresses = [book.address(player) for player in book.unregistered(everybody)]
        if not addresses:
            self._say(f"{len(everybody)} players are known from an earlier run")
            return
        book.keep()
        projection = MethodsProjection(self._login(acl.ADMIN))
        published_before = projection.published()
        with ThreadPoolExecutor(1) as pool:
            on_chain = [address for address in addresses if address.player.rail == RAIL_DEFAULT]
            accounts = pool.submit(create_accounts, self._chain, on_chain, self._tokens)
            register_methods(lambda player: self._api(player, "player"), addresses)
            accounts.result()
        expected = published_before + len(addresses)
        _in_time(lambda: projection.published() >= expected, "payouts to publish the players' methods")
        seen = projection.published()
        _in_time(lambda: projection.applied() >= seen, "rewards to learn the players' methods")
        book.registered([address.player for address in addresses])
        self._say(
            f"{counted(len(addresses), 'player')}: payout methods registered, {len(on_chain)} with an account on the chain"
        )

    def _publish(self) -> float:
        """Send the match events; return the monotonic time before the first one was sent, in seconds."""
        key = game_server.local_key(self._home)
        messages = [
            game_server.message(event, key=key)
            for tournament in self._tournaments
            for event in tournament.events
        ]
        began = time.monotonic()
        game_server.send(self._login("game-server"), messages)
        self._say(f"{counted(len(messages), 'match event')} signed and sent by the game server")
        return began

    def _follow(self, api: Api) -> tuple[Standing, ...]:
        """Show every tournament's progress until all are done, or the deadline has passed."""
        latest: dict[str, Standing] = {}
        deadline = time.monotonic() + PAID_DEADLINE_S
        approvers = Approvers(lambda name: self._api(name, "approver"))
        by_hand = PaidByHand(lambda name: self._api(name, "operator", "approver"))
        refusals = Refusals(api)
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("prizes paid"),
            TimeElapsedColumn(),
            console=self._console,
            transient=False,
        ) as progress:
            bars = {one.name: progress.add_task(one.name, total=None) for one in self._tournaments}
            while time.monotonic() < deadline:
                waiting = [
                    one for one in self._tournaments if one.name not in latest or not latest[one.name].done
                ]
                if not waiting:
                    break
                for tournament in waiting:
                    found = standing(api, tournament, refusals=refusals)
                    latest[tournament.name] = found
                    report.refusals(self._console, tournament, found)
                    _advance(progress, bars[tournament.name], found)
                    approvers.approve(found.prizes)
                    by_hand.pay(found.prizes)
                time.sleep(POLL_S)
        for batch in by_hand.batches:
            self._say(
                f"{counted(len(batch.payout_ids), 'payout')} claimed and paid by hand out of {batch.exported}, "
                "proved by evidence of two persons"
            )
        return tuple(latest[tournament.name] for tournament in self._tournaments)

    def _await_deliveries(self, receiver: Receiver, paid: int) -> None:
        """Wait for the webhooks of paid prizes; missing ones are part of the outcome."""
        ids = [tournament.correlation_id for tournament in self._tournaments]
        try:
            eventually_sync(
                lambda: sum(receiver.paid[one] for one in ids) >= paid, deadline_s=STEP_DEADLINE_S
            )
        except NotInTimeError:
            self._console.print("[red]Not every webhook was delivered in time.[/]")

    def _traced(self, api: Api, tournament: Tournament, found: Standing) -> tuple[str, ...]:
        """The services in a tournament's trace; waits a moment until the last of them has recorded it."""

        def named() -> tuple[str, ...]:
            return tracing.services_named(tracing.trace(api, tournament.correlation_id))

        if not found.settled:
            return named()
        try:
            eventually_sync(lambda: len(named()) == len(SERVICES), deadline_s=5.0, poll_s=POLL_S)
        except NotInTimeError:
            self._console.print(f"[red]The trace of {tournament.name} does not name every service.[/]")
        return named()

    def _ways(self, api: Api) -> Ways:
        """The ways that the payouts took, as the traces of all tournaments have them."""
        steps = [
            step for tournament in self._tournaments for step in tracing.trace(api, tournament.correlation_id)
        ]
        players = [player for tournament in self._tournaments for player in tournament.players.values()]
        return ways_of(steps, wanted={player.rail for player in players})

    def _show_trace(self, api: Api) -> None:
        tournament = next(one for one in self._tournaments if one.name == TRACED)
        self._console.print(f"[bold]prizewire trace {tournament.correlation_id}[/]  ({tournament.title})")
        tracing.render(self._console, tracing.trace(api, tournament.correlation_id))
        self._console.print()

    def _destinations(self) -> dict[str, str]:
        """The players' addresses on the chain."""
        book = PlayerBook(self._home)
        return {
            player.id: book.address(player).keypair.public_key
            for tournament in self._tournaments
            for player in tournament.players.values()
        }

    def _say(self, sentence: str) -> None:
        self._console.print(f"{report.sign(good=True)} {sentence}", highlight=False)

    def _verdict(self, outcome: Outcome) -> None:
        deliveries = (
            f"{counted(outcome.delivered, 'webhook')} delivered, their signatures verified by the subscriber"
        )
        good = outcome.delivered == outcome.paid and not outcome.deliveries_refused
        self._console.print(f"{report.sign(good=good)} {deliveries}", highlight=False)
        colour = "green" if outcome.good else "red"
        unsettled = [
            tournament.name
            for tournament, one in zip(outcome.tournaments, outcome.standings, strict=True)
            if not one.settled
        ]
        self._console.print(
            f"\n[bold {colour}]{outcome.paid} of {counted(outcome.prizes, 'prize')} paid"
            f"{', every sum matches' if outcome.sums_match else '; a sum is wrong'}"
            f"{'; an invariant is broken' if outcome.broken else ''}"
            f"{'; not settled: ' + ', '.join(unsettled) if unsettled else ''}.[/]\n"
            f"{outcome.paid_after_s:.1f} s from the first match event to the last prize; {outcome.seconds:.1f} s for all steps, "
            "from the declaration of the campaigns to the checks.",
            highlight=False,
        )


def _advance(progress: Progress, bar: TaskID, found: Standing) -> None:
    if found.settled:
        progress.update(bar, total=len(found.prizes), completed=found.paid)


def _in_time(condition: Callable[[], bool], awaited: str) -> None:
    try:
        eventually_sync(condition, deadline_s=STEP_DEADLINE_S)
    except NotInTimeError as error:
        raise DevstackError(
            f"Waited {STEP_DEADLINE_S:.0f} s without success for {awaited}: look into the services' logs "
            "(`prizewire status` shows the directory)."
        ) from error
