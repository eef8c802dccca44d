"""Every measurement with its target, as a table or as JSON: ``prizewire bench [PART …]``.

.venv/bin/prizewire bench                       # all parts, about a quarter of an hour
.venv/bin/prizewire bench wallet --prizes 1 --prizes 8 --prizes 100
.venv/bin/prizewire bench ledger latency --json
"""

import argparse
import os
import platform
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from bench import decimals, history, latency, ledger, match_to_wallet, payouts, resources

PARTS = ("wallet", "ledger", "latency", "history", "decimals", "payouts", "resources")


class Row(NamedTuple):
    """One line of the table: what was measured, against what, and the target for their ratio."""

    what: str
    ours: str
    beside: str
    ratio: float
    target: str
    met: bool
    command: str


RATE_MIN = 0.2
"""The target for the services' rate, as a part of the floor's."""
CPU_MS_MAX = 0.30
"""The target for the milliseconds of processor time of a credit over a history."""
SHARE_MIN = 0.9
"""The target for payouts' rate, as a part of what the rail's concurrency allows."""
LOG_BYTES_MAX = 3_500
"""The target for the bytes of write-ahead log of a credit over a history."""


def _wallet(options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[Row]]:
    found, rows = [], []
    for prizes in options.prizes or (8, 1, 100):
        count = options.matches if prizes <= 8 else max(options.matches * 8 // prizes, 100)
        variants = [(False, 0), (False, options.past), (True, 0)] if prizes == 8 else [(False, 0)]
        if options.signed:
            variants = [(True, 0)]
        for signed, past in dict.fromkeys(variants):
            one = match_to_wallet.measure(
                count=count, prizes=prizes, runs=options.runs, signed=signed, history=past
            )
            found.append(one)
            rows.append(_wallet_row(one, options=options))
    return found, rows


def _wallet_row(one: dict[str, Any], *, options: argparse.Namespace) -> Row:
    prizes, signed, history = one["prizes_per_match"], one["signed_matches"], one["history"]
    ours = one["medians"]["services"]
    target, met = "", True
    if prizes == 8 and not signed:
        target, met = f"at least {RATE_MIN}", one["ratio"] >= RATE_MIN
        if history:
            target += f", at most {CPU_MS_MAX} ms and {LOG_BYTES_MAX:,} bytes a credit"
            met &= ours["cpu_ms_per_credit"] <= CPU_MS_MAX and ours["log_bytes_per_credit"] <= LOG_BYTES_MAX
    what = f"match event to wallet credits, {prizes} prizes"
    what += ", signed by the game server" if signed else ""
    what += f", over a history of {history:,} matches" if history else ""
    flags = f"--prizes {prizes}{' --signed' if signed else ''} --past {history}"
    return Row(
        what,
        _costs(one, "services"),
        f"{_costs(one, 'floor')} raw floor\n          {_costs(one, 'chain')} raw chain",
        one["ratio"],
        target,
        met,
        f"prizewire bench wallet {flags} --matches {one['matches']} --runs {options.runs}",
    )


def _costs(one: dict[str, Any], side: str) -> str:
    """The rate of a side, and what a credit costs there."""
    figures = one["medians"][side]
    return (
        f"{_rates(one['runs'][side], 'credits_per_s')}; a credit: {figures['cpu_ms_per_credit']:.3f} ms of processor time, "
        f"{figures['log_bytes_per_credit']:,.0f} bytes of log ({figures['log_page_bytes_per_credit']:,.0f} of whole pages), "
        f"{figures['rows_inserted_per_credit']:.1f} rows, {figures['rows_updated_per_credit']:.1f} updates, "
        f"{figures['index_entries_per_credit']:.1f} index entries; start {figures['start_cpu_s']:.1f} s"
    )


def _ledger(options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[Row]]:
    found = ledger.measure(transfers=options.postings, runs=options.runs)
    runs = found["runs"]
    command = f"prizewire bench ledger --postings {options.postings} --runs {options.runs}"
    return [found], [
        Row(
            "ledger transfers",
            _plain(runs["ours"]),
            f"{_plain(runs['calls'])} PL/pgSQL, a call each",
            found["ratio_to_calls"],
            "at least 10",
            found["ratio_to_calls"] >= 10,
            command,
        ),
        Row(
            "ledger transfers",
            _plain(runs["ours"]),
            f"{_plain(runs['batches'])} PL/pgSQL, in batches",
            found["ratio_to_batches"],
            "at least 3",
            found["ratio_to_batches"] >= 3,
            command,
        ),
    ]


def _latency(options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[Row]]:
    found = latency.measure(rate=options.rate, seconds=options.seconds, runs=options.runs)
    runs = found["runs"]
    command = (
        f"prizewire bench latency --rate {options.rate:g} --seconds {options.seconds:g} --runs {options.runs}"
    )

    def row(name: str, quantile: str, ratio: str, most: float | None) -> Row:
        of = {side: _spread([one[quantile] for one in turns]) for side, turns in runs.items()}
        return Row(
            f"{name} from publish to credit at {options.rate:g} matches/s, ms",
            of["services"],
            f"{of['chain']} raw chain, {of['bare']} bare loop",
            found[ratio],
            "" if most is None else f"at most {most}",
            most is None or found[ratio] <= most,
            command,
        )

    return [found], [row("median", "p50_ms", "ratio", 2.5), row("p99", "p99_ms", "p99_ratio", None)]


def _history(options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[Row]]:
    found = history.measure(transfers=options.transfers, runs=options.runs)
    loss = 1 - found["ratio"]
    return [found], [
        Row(
            f"ledger transfers/s over a history of {found['sizes']['long']:,}",
            _plain(found["runs"]["long"]),
            f"{_plain(found['runs']['short'])} over {found['sizes']['short']:,}",
            found["ratio"],
            f"loses less than 10 % beyond the spread ({found['spread']:.0%})",
            loss <= 0.1 + found["spread"],
            f"prizewire bench history --transfers {options.transfers} --runs {options.runs}",
        )
    ]


def _decimals(options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[Row]]:
    found = decimals.measure(transfers=options.postings, runs=options.runs)
    runs, width = found["runs"], found["bytes"]
    return [found], [
        Row(
            "ledger transfers in bigint",
            f"{_plain(runs['bigint'])}, {width['bigint']} bytes each",
            f"{_plain(runs['numeric'])}, {width['numeric']} bytes each in numeric(38)",
            found["ratio"],
            "",
            True,
            f"prizewire bench decimals --postings {options.postings} --runs {options.runs}",
        )
    ]


def _payouts(options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[Row]]:
    found, rows = [], []
    for concurrency in options.concurrency or (8,):
        one = payouts.measure(payouts=options.payouts, concurrency=concurrency, runs=options.runs)
        found.append(one)
        rows.append(
            Row(
                f"payouts on a rail of {concurrency} calls at one time, {one['call_ms']} ms each",
                f"{_plain([turn['rate'] for turn in one['runs']['ours']])}, {one['share_of_allowed']:.1%} of the "
                f"{one['allowed_per_s']}/s that the rail allows; a payout: {one['service_ms_per_payout']:.2f} ms of payouts' "
                f"processor time after its approval, {one['request_ms_per_payout']:.2f} ms before it, "
                f"{one['postgres_ms_per_payout']:.2f} ms of PostgreSQL's",
                f"{_plain(one['runs']['bare'])} bare loop, {one['bare_share_of_allowed']:.1%}; load of the machine "
                f"{one['load_1min']} on {one['processors']} processors",
                one["share_of_allowed"],
                f"at least {SHARE_MIN}",
                one["share_of_allowed"] >= SHARE_MIN,
                f"prizewire bench payouts --payouts {options.payouts} --concurrency {concurrency} --runs {options.runs}",
            )
        )
    return found, rows


def _resources(options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[Row]]:
    found = resources.measure(count=options.matches, demonstrations=options.runs)
    command = f"prizewire bench resources --matches {options.matches} --runs {options.runs}"
    return [found], [
        Row(
            f"memory of {name} in MiB, and processors in the mean (highest)",
            f"{_use(phases['matches'])} under matches, {_use(phases['demonstration'])} in the demonstration",
            f"{_use(phases['rest'])} at rest",
            max(one["memory_mib"] for one in phases.values()) / phases["rest"]["memory_mib"],
            "",
            True,
            command,
        )
        for name, phases in found["services"].items()
    ]


def _use(figures: dict[str, float]) -> str:
    return (
        f"{figures['memory_mib']:.0f} MiB, {figures['processor_mean']:.2f} ({figures['processor_max']:.2f})"
    )


MEASURES: dict[str, Callable[[argparse.Namespace], tuple[list[dict[str, Any]], list[Row]]]] = {
    "wallet": _wallet,
    "ledger": _ledger,
    "latency": _latency,
    "history": _history,
    "decimals": _decimals,
    "payouts": _payouts,
    "resources": _resources,
}


def _rates(runs: list[dict[str, float]], name: str) -> str:
    return _plain([one[name] for one in runs])


def _plain(rates: list[float]) -> str:
    middle = sorted(rates)[len(rates) // 2]
    return f"{middle:,.0f}/s ({min(rates):,.0f}-{max(rates):,.0f})"


def _spread(values: list[float]) -> str:
    return f"{sorted(values)[len(values) // 2]:.1f} ({min(values):.1f}-{max(values):.1f})"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. The exit code says only that everything was measured, not that targets were met."""
    parser = argparse.ArgumentParser(
        prog="prizewire bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--runs", type=int, default=5, help="runs of every side (5)")
    parser.add_argument("--matches", type=int, default=6_000, help="wallet: matches of 8 in each run (6000)")
    parser.add_argument("--prizes", type=int, action="append", help="wallet: prizes in a match (8, 1, 100)")
    parser.add_argument(
        "--past",
        type=int,
        default=50_000,
        help="wallet: matches of the history, at 8 prizes (50000); 0 for none",
    )
    parser.add_argument(
        "--signed", action="store_true", help="wallet: only matches signed by the game server"
    )
    parser.add_argument(
        "--postings", type=int, default=40_000, help="ledger, decimals: transfers in each run (40000)"
    )
    parser.add_argument("--rate", type=float, default=200, help="latency: matches per second (200)")
    parser.add_argument("--seconds", type=float, default=15, help="latency: seconds of each turn (15)")
    parser.add_argument("--transfers", type=int, default=1_000_000, help="history: the shorter one (1000000)")
    parser.add_argument("--payouts", type=int, default=1_000, help="payouts: payouts in each run (1000)")
    parser.add_argument(
        "--concurrency",
        type=int,
        action="append",
        help="payouts: calls that the rail takes at one time (8)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    machine = {
        "processors": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    report: dict[str, Any] = {"machine": machine, "parts": {}, "table": []}
    for part in options.parts or PARTS:
        print(f"measuring {part} …", file=sys.stderr, flush=True)
        found, rows = MEASURES[part](options)
        report["parts"][part] = found
        report["table"] += [row._asdict() for row in rows]
        if not options.json:
            for row in rows:
                print(_line(row), flush=True)
    if options.json:
        print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    else:
        print(f"machine: {machine['processors']} processors, {machine['system']}, Python {machine['python']}")
    return 0


def _line(row: Row) -> str:
    verdict = f"{row.target}: {'met' if row.met else 'MISSED'}" if row.target else ""
    return (
        f"{row.what}\n  ours    {row.ours}\n  beside  {row.beside}\n"
        f"  ratio   {row.ratio:.3f}  {verdict}\n  command {row.command}"
    )


if __name__ == "__main__":
    sys.exit(main())
