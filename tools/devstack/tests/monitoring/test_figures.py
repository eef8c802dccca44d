"""The figures of `prizewire status --watch`: the same from Prometheus and from the services' own answers."""

import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from rich.console import Console

from prizewire_devstack.cli import figures as cli
from prizewire_devstack.errors import NotRunningError
from prizewire_devstack.home import Home, ProcessRecord, RunRecord, repository_root
from prizewire_devstack.monitoring import figures
from prizewire_devstack.monitoring.dashboards import DASHBOARDS
from prizewire_devstack.monitoring.exposition import parsed
from prizewire_devstack.monitoring.figures import FIGURES, Figure, from_services
from prizewire_devstack.monitoring.panels import Unit
from prizewire_devstack.monitoring.query import Prometheus, PrometheusError, Series
from prizewire_devstack.ports import LOOPBACK
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack.replicas import service_of

NOBODY = "http://127.0.0.1:9"
"""The discard port, where nobody listens."""
REWARDS = """# TYPE prizewire_rewards_pool_remaining gauge
prizewire_rewards_pool_remaining{campaign="c1",name="cup",asset="USDC"} 12.5
# TYPE prizewire_consumer_lag_messages gauge
prizewire_consumer_lag_messages{consumer="rewards.settlements"} 3
# TYPE prizewire_payouts gauge
prizewire_payouts{rail="fake",asset="USDC",state="held"} 2
prizewire_payouts{rail="fake",asset="EURC",state="held"} 1
# TYPE prizewire_stuck_events gauge
prizewire_stuck_events{state="dead"} 1
prizewire_stuck_events{state="parked"} 0
"""


@pytest.fixture
def serve() -> Iterator[Any]:
    """A function that serves answers by path on loopback, and returns the address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answers: Mapping[str, tuple[int, str]]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.answer()

            def answer(self) -> None:
                status, text = answers.get(self.path, (404, ""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                """Write no log lines."""

        server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://{LOOPBACK}:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def run_of(**urls: str) -> RunRecord:
    return RunRecord(supervisor=ProcessRecord(pid=1, started_at_s=0.0), ports={}, urls=urls, ready=True)


def figure(metric: str) -> Figure:
    return next(one for one in FIGURES if one.metric == metric)


def test_replicas_show_the_same_gauge_once_and_their_own_lag_each(serve: Any) -> None:
    """What the database says is the largest value of the processes; the lag of their partitions is summed."""
    url = serve({"/metrics": (200, REWARDS)})
    reading = from_services({"rewards": url, "rewards-2": url, "gateway": url}, service_of=service_of)
    values = {one.metric: found for one, found in reading.values}
    assert values["prizewire_rewards_pool_remaining"] == {("cup", "USDC", "c1"): 12.5}
    assert values["prizewire_consumer_lag_messages"] == {("rewards", "rewards.settlements"): 6}
    assert values["prizewire_payouts"] == {("fake", "held"): 3}
    assert reading.silent == {}


def test_the_labels_of_the_process_win() -> None:
    """As in Prometheus, a metric cannot pretend to be of another service."""
    [sample] = parsed('prizewire_build_info{service="signer"} 1\n', {"service": "rewards"})
    assert sample.labels["service"] == "rewards"


def test_a_silent_process_is_named(serve: Any) -> None:
    """The others are shown."""
    url = serve({"/metrics": (200, REWARDS)})
    reading = cli.read(run_of(rewards=url, payouts=NOBODY))
    assert reading.silent == {"payouts": "payouts"}
    assert "These processes do not answer: payouts." in printed(reading)


def test_a_figure_of_a_silent_service_is_unknown(serve: Any) -> None:
    """It is not `none`, which says that there is nothing; figures of services that answer stay."""
    url = serve({"/metrics": (200, REWARDS)})
    lines = printed(cli.read(run_of(rewards=url, payouts=NOBODY))).splitlines()
    assert word_of(lines, "circuit") == "unknown"
    assert word_of(lines, "held as unfunded") == "none"
    reading = cli.read(run_of(rewards=url, payouts=NOBODY))
    assert {"title": "circuit", "metric": "prizewire_rail_circuit", "service": "payouts"} in cli.document(
        reading
    )["unknown"]


def test_what_is_unknown_is_red(serve: Any) -> None:
    """As every value that needs somebody."""
    reading = cli.read(run_of(rewards=serve({"/metrics": (200, REWARDS)}), payouts=NOBODY))
    console = Console(width=160, force_terminal=True, color_system="standard")
    with console.capture() as captured:
        console.print(cli.shown(reading))
    [line] = [line for line in captured.get().splitlines() if "circuit" in line]
    assert "\x1b[31munknown" in line


def test_a_figure_of_several_services_names_the_silent_one(serve: Any) -> None:
    """The figures of the others stand beside it."""
    urls = dict.fromkeys(SERVICES, serve({"/metrics": (200, REWARDS)}))
    lines = printed(cli.read(run_of(**{**urls, "signer": NOBODY}))).splitlines()
    place = next(place for place, line in enumerate(lines) if "stuck events" in line)
    found = [line.split() for line in lines[place : place + 5]]
    assert [words[-2:] for words in found] == [
        ["dead", "1"], ["dead", "1"], ["dead", "1"], ["dead", "1"], ["signer", "unknown"]
    ]  # fmt: skip


def test_a_silent_replica_hides_only_what_is_of_each_process(serve: Any) -> None:
    """The other process of the service gives what the database says; the lag of the silent one is unknown."""
    url = serve({"/metrics": (200, REWARDS)})
    reading = from_services({**dict.fromkeys(SERVICES, url), "rewards-2": NOBODY}, service_of=service_of)
    unknown = {(one.metric, service) for one, _ in reading.values for service in reading.unknown(one)}
    assert unknown == {("prizewire_consumer_lag_messages", "rewards")}


def test_a_figure_is_of_the_services_that_have_its_metric() -> None:
    """docs/metrics.md, which is generated, lists each metric under its service."""
    text = (repository_root() / "docs/metrics.md").read_text()
    sections = {part.split("\n", 1)[0]: part for part in text.split("\n## ")}
    for one in FIGURES:
        name = f"`{one.metric}`"
        found = [service for service in SERVICES if name in sections[service]]
        assert list(one.services) == (list(SERVICES) if name in sections["Every service"] else found)


def test_a_program_that_is_no_service_is_silent(serve: Any) -> None:
    """A port may have been taken by another program, whose answer is no list of metrics."""
    url = serve({"/metrics": (200, "<html>")})
    assert from_services({"rewards": url}, service_of=service_of).silent == {"rewards": "rewards"}


def test_watching_goes_on_while_the_stack_starts_again(monkeypatch: pytest.MonkeyPatch, serve: Any) -> None:
    """The sentence stands instead of the figures, and the figures come back."""
    url = serve({"/metrics": (200, REWARDS)})
    runs: list[RunRecord | None] = [run_of(rewards=url), None, run_of(rewards=NOBODY), run_of(rewards=url)]
    seen: list[str] = []

    def running(_: Home) -> RunRecord:
        if not runs:
            raise KeyboardInterrupt
        if (run := runs.pop(0)) is None:
            raise NotRunningError("The stack is still starting.")
        return run

    class Screen:
        def __init__(self, first: Any, **_: Any) -> None:
            self.update(first, refresh=True)

        def __enter__(self) -> "Screen":
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing is to be put back."""

        def update(self, what: Any, *, refresh: bool) -> None:
            assert refresh
            console = Console(width=160)
            with console.capture() as captured:
                console.print(what)
            seen.append(captured.get())

    monkeypatch.setattr(Home, "running", running)
    monkeypatch.setattr(cli, "Live", Screen)
    with pytest.raises(KeyboardInterrupt):
        cli.watch(once=False, as_json=False, every_s=0.0)
    assert ["12.50" in text for text in seen] == [True, False, False, True]
    assert "The stack is still starting." in seen[1]
    assert "Neither Prometheus nor a service answers" in seen[2]


def word_of(lines: list[str], title: str) -> str:
    """The value in the line of a figure."""
    [line] = [line for line in lines if title in line]
    return line.split()[-1]


def test_a_silent_process_makes_the_exit_code_one(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script sees that figures may be missing."""
    url = serve({"/metrics": (200, REWARDS)})
    for urls, code in (({"rewards": url}, 0), ({"rewards": url, "payouts": NOBODY}, 1)):
        monkeypatch.setattr(Home, "running", lambda _, urls=urls: run_of(**urls))
        assert cli.watch(once=True, as_json=False, every_s=1) == code
        assert cli.watch(once=True, as_json=True, every_s=1) == code


def test_an_empty_pool_is_shown_first(serve: Any) -> None:
    """Zeros are left out of other figures; of pools they matter most."""
    empty = REWARDS + 'prizewire_rewards_pool_remaining{campaign="c2",name="empty",asset="USDC"} 0\n'
    lines = printed(cli.read(run_of(rewards=serve({"/metrics": (200, empty)})))).splitlines()
    [first] = [line for line in lines if "pool remaining" in line]
    assert ("empty USDC" in first, "0.00" in first) == (True, True)


def test_two_campaigns_of_one_name_have_a_line_each(serve: Any) -> None:
    """Names are not unique: the id is what differs, and no pool hides behind the larger one."""
    twins = REWARDS + 'prizewire_rewards_pool_remaining{campaign="c2",name="cup",asset="USDC"} 7\n'
    lines = printed(cli.read(run_of(rewards=serve({"/metrics": (200, twins)})))).splitlines()
    assert [line.split()[-1] for line in lines if "cup USDC c" in line] == ["7.00", "12.50"]


def test_the_services_answer_where_prometheus_does_not(serve: Any) -> None:
    """A Prometheus that ended does not hide the figures."""
    url = serve({"/metrics": (200, REWARDS)})
    assert cli.read(run_of(rewards=url, prometheus=NOBODY)).source == "the services' /metrics"


def test_nobody_answers() -> None:
    """One sentence says what to do."""
    with pytest.raises(NotRunningError, match="Neither Prometheus nor a service answers"):
        cli.read(run_of(rewards=NOBODY, prometheus=NOBODY))


def test_prometheus_is_asked_first(serve: Any) -> None:
    """Its answer has the labels that divide a figure."""
    answer = {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [
                {"metric": {"service": "rewards", "state": "dead", "part": "rewards"}, "value": [1, "1"]}
            ],
        },
    }
    url = serve({"/api/v1/query": (200, json.dumps(answer))})
    reading = cli.read(run_of(prometheus=url))
    values = {one.metric: found for one, found in reading.values}
    assert values["prizewire_stuck_events"] == {("rewards", "dead"): 1}
    assert url in reading.source


def test_prometheus_says_who_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that it cannot read gives no figure. One that it does not know is not silent, and its figures are unknown."""
    up = {"settlement": 1.0, "rewards": 0.0, "payouts": 0.0, "payouts-2": 1.0, "signer": 1.0}

    class Asked:
        def __init__(self, url: str) -> None:
            assert url == NOBODY

        def __enter__(self) -> "Asked":
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing is open."""

        def now(self, expr: str) -> tuple[Series, ...]:
            return tuple(
                Series(labels={"part": part, "service": part.removesuffix("-2")}, points=((0.0, value),))
                for part, value in up.items()
                if expr == 'up{job="prizewire"}'
            )

    monkeypatch.setattr(figures, "Prometheus", Asked)
    reading = cli.read(run_of(prometheus=NOBODY))
    assert reading.silent == {"payouts": "payouts", "rewards": "rewards"}
    assert list(reading.answering) == ["payouts-2", "settlement", "signer"]
    assert reading.unknown(figure("prizewire_stuck_events")) == ("rewards", "webhooks")
    assert reading.unknown(figure("prizewire_rail_circuit")) == ()
    assert reading.unknown(figure("prizewire_rewards_pool_remaining")) == ("rewards",)


def test_a_refused_query_has_the_code_of_prometheus(serve: Any) -> None:
    """The sentence has the query and the reason."""
    answer = {"status": "error", "errorType": "bad_data", "error": "parse error"}
    url = serve({"/api/v1/query": (400, json.dumps(answer))})
    with Prometheus(url) as asked, pytest.raises(PrometheusError, match="parse error") as refused:
        asked.now("sum(")
    assert refused.value.code == "bad_data"


def crowded() -> figures.Reading:
    """A reading of many campaigns, all services but one, and one stuck event."""
    pools = {
        ("cup", "USDC", f"{number:08d}-0000-4000-8000-000000000000"): float(number) for number in range(20)
    }
    found: dict[str, figures.Values] = {
        "prizewire_rewards_pool_remaining": pools,
        "prizewire_rewards_pool_reserved": pools,
        "prizewire_stuck_events": {(service, "dead"): 1.0 for service in SERVICES[1:]},
        "prizewire_outbox_age_seconds": {(service,): 3.0 for service in SERVICES[1:]},
        "prizewire_consumer_lag_messages": {
            (service, f"{service}.provider-webhooks"): 5.0 for service in SERVICES[1:]
        },
        "prizewire_invariant_breaches": {("signer",): 1.0},
    }
    return figures.Reading(
        source="Prometheus at http://127.0.0.1:9090",
        values=tuple((one, found.get(one.metric, {})) for one in FIGURES),
        answering={service: service for service in SERVICES[1:]},
        silent={SERVICES[0]: SERVICES[0]},
    )


def fitted(height: int, width: int) -> list[str]:
    """What a terminal of that size shows, as `status --watch` prints it."""
    console = Console(width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(cli._fitting(crowded(), console))
    return captured.get().splitlines()


@pytest.mark.parametrize(("height", "width"), [(24, 80), (30, 80), (24, 200), (60, 100)])
def test_a_terminal_shows_every_figure(height: int, width: int) -> None:
    """Nothing is cropped: each figure has a line at least, and says how many more values there are."""
    lines = fitted(height, width)
    assert len(lines) < height
    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    assert [one.title for one in FIGURES if one.title not in text] == []
    [pool] = [line for line in lines if "pool remaining" in line]
    assert "0.00, and 19 more" in pool or height == 60
    assert ("cup USDC 00000000… " in pool) == (width < cli.WIDE_COLUMNS)
    assert f"These processes do not answer: {SERVICES[0]}." in text


def test_lines_that_are_free_go_to_what_needs_somebody() -> None:
    """All stuck events are shown before a second pool is."""
    lines = fitted(30, 80)
    stuck = next(place for place, line in enumerate(lines) if "stuck events" in line)
    assert sum("dead" in line for line in lines[stuck : stuck + 5]) > 1
    assert sum("USDC" in line for line in lines) == 2


def test_a_low_terminal_keeps_the_figures_that_need_somebody() -> None:
    """The others are counted."""
    lines = fitted(14, 80)
    text = "\n".join(lines)
    assert len(lines) < 14
    assert "stuck events" in text
    assert "broken invariants" in text
    assert "more figures: make the terminal higher." in text
    assert "channels" not in text


def test_zeros_are_left_out_and_trouble_is_red(serve: Any) -> None:
    """A person sees what needs somebody; the JSON has every value."""
    reading = cli.read(run_of(rewards=serve({"/metrics": (200, REWARDS)})))
    text = printed(reading)
    assert "rewards dead" in text
    assert "parked" not in text
    assert "12.50" in text
    assert {one["labels"].get("state") for one in cli.document(reading)["figures"]} >= {"dead", "parked"}


def printed(reading: Any) -> str:
    console = Console(width=160)
    with console.capture() as captured:
        console.print(cli.shown(reading))
    return captured.get()


@pytest.mark.parametrize("one", [pytest.param(one, id=one.title.replace(" ", "-")) for one in FIGURES])
def test_a_figure_is_on_the_dashboard_of_its_group(one: Figure) -> None:
    """The terminal shows nothing that the dashboards do not."""
    [dashboard] = [found for found in DASHBOARDS if found.title == f"Prizewire: {one.group}"]
    metrics = {name for panel in dashboard.panels() for query in panel.queries for name in query.metrics}
    assert one.metric in metrics
    assert one.unit in Unit
