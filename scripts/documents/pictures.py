"""The pictures of docs/concepts.md and docs/architecture.md: services and topics, a match on its way, layers, money."""

from typing import Final

from prizewire_contracts import topics
from prizewire_contracts.topics import Topic
from scripts.documents.drawing import Arrow, Box, Message, graph, sequence

_SERVICES: Final = {
    "game-server": Box(lines=("game servers",), x=90, y=60, look="outside"),
    "identity": Box(lines=("identity sources",), x=90, y=330, look="outside"),
    "settlement": Box(lines=("settlement", "rounds, rules, prize lines"), x=320, y=60),
    "rewards": Box(lines=("rewards", "ledger, pools, wallets"), x=320, y=330),
    "payouts": Box(lines=("payouts", "approval, attempts, rails"), x=640, y=330),
    "signer": Box(lines=("signer", "keys, slots, policy"), x=960, y=330),
    "webhooks": Box(lines=("webhooks", "subscriptions, deliveries"), x=640, y=60),
    "rails": Box(lines=("rails",), x=640, y=450, look="outside"),
    "subscribers": Box(lines=("subscribers",), x=960, y=60, look="outside"),
}
_BENDS: Final = {
    ("rewards", "settlement"): 60,
    ("payouts", "rewards"): 42,
    ("rewards", "payouts"): 42,
    ("payouts", "signer"): 42,
    ("signer", "payouts"): 42,
    ("payouts", "webhooks"): 70,
    ("webhooks", "payouts"): 70,
    ("identity", "payouts"): 130,
}


def _name(topic: Topic) -> str:
    return topic.name.removeprefix("prizewire.").rpartition(".")[0]


def _services() -> str:
    """Who writes which topic for whom, from the table of topics; the audit topic, which no service reads, is left out."""
    arrows = [
        Arrow(start=producer, end=consumer, text=_name(topic), bend=_BENDS.get((producer, consumer), 0))
        for topic in topics.TOPICS
        for producer in sorted(topic.producers)
        for consumer in sorted(topic.consumers)
    ]
    arrows += [
        Arrow(start="payouts", end="rails", text="payments, look-ups"),
        Arrow(start="webhooks", end="subscribers", text="signed webhooks"),
    ]
    return graph(title="Services and topics", boxes=_SERVICES, arrows=arrows, size=(1070, 490))


def _match() -> str:
    columns = (
        ("G", "game server"),
        ("S", "settlement"),
        ("R", "rewards"),
        ("P", "payouts"),
        ("K", "signer"),
        ("C", "Stellar"),
        ("W", "webhooks"),
    )
    steps = (
        ("G", "S", "match.completed"),
        ("S", "R", "round.settled"),
        ("R", "R", "pool → reserved → wallets"),
        ("R", "P", "payout.requested, intent"),
        ("P", "P", "approve, attempt, lease a slot, build"),
        ("P", "K", "signing.requested"),
        ("K", "K", "decode, compare, bind slot, record digest"),
        ("K", "P", "signing.completed"),
        ("P", "C", "the same bytes, until proved"),
        ("C", "P", "ledger result"),
        ("P", "R", "payout.paid, proof"),
        ("P", "W", "payout.paid"),
        ("R", "R", "payout_pending → treasury"),
    )
    return sequence(
        title="From match to paid prize",
        columns=columns,
        messages=[Message(start=start, end=end, text=text) for start, end, text in steps],
    )


def _layers() -> str:
    boxes = {
        "app": Box(lines=("app", "builds everything, reads settings"), x=330, y=40),
        "edges": Box(lines=("http, consumers, jobs",), x=200, y=130),
        "outside": Box(lines=("storage, messages, adapters",), x=460, y=130),
        "handlers": Box(lines=("handlers", "load → decide → save"), x=330, y=220),
        "ports": Box(lines=("ports",), x=330, y=300),
        "domain": Box(lines=("domain", "pure; states as tables"), x=330, y=380),
    }
    arrows = [
        ("app", "edges"),
        ("app", "outside"),
        ("edges", "outside"),
        ("edges", "handlers"),
        ("outside", "handlers"),
        ("handlers", "ports"),
        ("ports", "domain"),
    ]
    return graph(
        title="The layers of a feature",
        boxes=boxes,
        arrows=[Arrow(start=start, end=end) for start, end in arrows],
        size=(660, 420),
    )


def _money() -> str:
    boxes = {
        "outside": Box(lines=("funding",), x=80, y=60, look="outside"),
        "pool": Box(lines=("pool", "of a campaign"), x=240, y=60),
        "reserved": Box(lines=("reserved", "for one round"), x=430, y=60),
        "pending": Box(lines=("pending", "not final yet"), x=640, y=60),
        "fees": Box(lines=("fees",), x=430, y=180),
        "winnings": Box(lines=("winnings", "of a player"), x=640, y=180),
        "payout_pending": Box(lines=("payout_pending", "a requested payout"), x=860, y=180),
        "treasury": Box(lines=("treasury", "left over a rail"), x=860, y=60, look="final"),
    }
    arrows = [
        Arrow(start="outside", end="pool", text="fund"),
        Arrow(start="pool", end="reserved", text="settle", bend=22),
        Arrow(start="reserved", end="pool", text="void, unclaimed", bend=22),
        Arrow(start="reserved", end="pending", text="prize"),
        Arrow(start="reserved", end="fees", text="at finality"),
        Arrow(start="pending", end="winnings", text="at finality"),
        Arrow(start="winnings", end="payout_pending", text="request", bend=22),
        Arrow(start="payout_pending", end="winnings", text="give back", bend=22),
        Arrow(start="payout_pending", end="treasury", text="paid, proved"),
    ]
    return graph(title="How money moves", boxes=boxes, arrows=arrows, size=(970, 230))


def pictures() -> dict[str, str]:
    """File name below docs → the picture."""
    return {
        "pictures/services.svg": _services(),
        "pictures/match-to-prize.svg": _match(),
        "pictures/layers.svg": _layers(),
        "pictures/money.svg": _money(),
    }
