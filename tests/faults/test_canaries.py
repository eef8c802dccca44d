"""No secret, personal detail or threshold against abuse is in a metric, a log, an alert, a dashboard or a runbook."""

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from prizewire_devstack.api import ApiError
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync
from tests.crowd import Crowd

DEADLINE_S: Final = 600
SECRET_LENGTH_MIN: Final = 16
"""Shorter values of a file of secrets are names and numbers, which are no secrets."""
WRITTEN: Final = ("deploy/monitoring", "docs/runbooks", "docs/metrics.md")
"""What people write or generate for operators, relative to the repository."""
PLANTED: Final = {
    "iban": "DE89370400440532013000",
    "holder": "Canaria Vogelsang",
    "e-mail": "canaria.vogelsang@canary.example",
    "device": "canary-device-7f3a9c",
    "address": "77 Canary Wharf Alley",
    "account": "canary-account-55e1",
    "wrong bearer token": "canary-bearer-0d91ab77",
    "signature of a webhook": "canary-signature-41c2",
    "amount held": "4321.09",
    "identity above": "8765.43",
    "new account": "271829",
    "velocity window": "314159",
}
"""Values that occur nowhere else. The last four are thresholds of rules against abuse."""


def secrets_of(stack: RunningStack) -> Iterator[tuple[str, str]]:
    """Every private value of the stack's files of keys, with the name of its file."""
    for file in sorted(stack.home.keys.rglob("*")):
        if not file.is_file() or "trust" in file.name or "jwks" in file.name or "sources" in file.name:
            continue
        text = file.read_text(errors="replace").strip()
        try:
            values = list(_texts(json.loads(text)))
        except ValueError:
            values = [text, *(line for line in text.splitlines() if not line.startswith("-----"))]
        for value in values:
            if len(value) >= SECRET_LENGTH_MIN:
                yield f"{file.name}", value


def _texts(document: Any, name: str = "") -> Iterator[str]:
    """The texts of a document whose member is no public key, id or name."""
    if isinstance(document, dict):
        for key, value in document.items():
            if not re.search(r"public|keyid|^id$|service|issuer|_id$", key):
                yield from _texts(value, key)
    elif isinstance(document, list):
        for value in document:
            yield from _texts(value, name)
    elif isinstance(document, str) and not re.fullmatch(r"G[A-Z2-7]{55}", document):
        yield document


def plant(crowd: Crowd) -> tuple[str, ...]:
    """Give each value to the service that needs it, also in requests that are refused; returns the secrets that a service made."""
    made: list[str] = []
    with crowd.api() as api:
        api.put(
            f"/api/campaigns/{crowd.campaign}/settings",
            {
                "risk": {
                    "amount": PLANTED["amount held"],
                    "kyc_above": PLANTED["identity above"],
                    "new_account_s": int(PLANTED["new account"]),
                    "velocity": {"count": 1, "window_s": int(PLANTED["velocity window"])},
                }
            },
        )
        for player in crowd.players[:3]:
            api.put(
                f"/api/players/{player.id}",
                {"device": PLANTED["device"], "address": PLANTED["address"], "kyc_state": "pending"},
            )
        hook = api.post("/api/webhooks", {"url": "http://127.0.0.1:9/hook", "event_types": ["payout.paid"]})
        made.append(hook["secret"])
    holder = {"holder": PLANTED["holder"], "iban": PLANTED["iban"]}
    for player, details, refused in (
        (crowd.players[0].id, holder, False),
        (crowd.players[1].id, {**holder, "iban": PLANTED["iban"][:-1] + "9"}, True),
        (crowd.players[2].id, {**holder, "email": PLANTED["e-mail"]}, True),
    ):
        with (
            crowd.api("player", subject=player) as api,
            pytest.raises(ApiError) if refused else nullcontext(),
        ):
            api.post("/api/payout-methods", {"type": "bank", "details": details}, key=f"canary:{player}")
    return tuple(made)


def refused_calls(stack: RunningStack) -> None:
    """Calls that services refuse, each with planted values in its token, query, headers or body."""
    body = json.dumps({"iban": PLANTED["iban"], "holder": PLANTED["holder"], "email": PLANTED["e-mail"]})
    with httpx.Client(base_url=stack.url, trust_env=False, timeout=60) as client:
        for service in ("settlement", "rewards", "payouts", "webhooks"):
            answer = client.get(
                f"/api/services/{service}/checks",
                headers={"Authorization": f"Bearer {PLANTED['wrong bearer token']}"},
            )
            assert answer.status_code == 401
            unknown = client.get(f"/api/services/{service}/checks", params={"email": PLANTED["e-mail"]})
            assert unknown.status_code in (400, 401)
        hook = client.post(
            "/api/payments/webhook/fake",
            content=body,
            headers={
                "webhook-signature": PLANTED["signature of a webhook"],
                "content-type": "application/json",
            },
        )
        assert hook.status_code in (400, 401)


def found_in(text: str, values: list[tuple[str, str]], where: str) -> list[str]:
    """A sentence for each value that is in a text."""
    return [f"{name} is in {where}" for name, value in values if value in text]


def test_no_canary_is_where_operators_look(full_stack: RunningStack) -> None:
    """Claims are held, methods, tokens and webhooks are refused, an unreadable message gets stuck, and payouts crashes, all with planted
    values: none of them, and no key or password of the stack, is in a log, a metric or a document.
    """
    crowd = Crowd(full_stack, "canary", 6, delivery="claim")
    crowd.set_up()
    made = plant(crowd)
    refused_calls(full_stack)
    match_id, players = crowd.match(0)
    crowd.publish(crowd.result(match_id, players))
    crowd.publish(
        {
            **crowd.result(f"{match_id}-bad", players),
            "data": {"holder": PLANTED["holder"], "iban": PLANTED["iban"]},
        }
    )
    eventually_sync(lambda: len(crowd.rewards()) == len(players), deadline_s=DEADLINE_S)
    eventually_sync(lambda: len(crowd.stuck("settlement")) > 0, deadline_s=DEADLINE_S)
    for reward in crowd.rewards():
        with crowd.api("player", subject=reward["player"]) as api:
            claim = api.post(f"/api/claims/{reward['reward_id']}", {}, key=f"canary:{reward['reward_id']}")
            assert claim["state"] == "held", claim
    full_stack.kill("payouts")
    full_stack.start_again("payouts")
    full_stack.wait_ready("payouts")

    def measured() -> dict[str, str] | None:
        try:
            return {
                service: httpx.get(
                    f"{full_stack.service_url(service)}/metrics", trust_env=False, timeout=30
                ).text
                for service in SERVICES
            }
        except httpx.TransportError:
            return None

    metrics = eventually_sync(measured, deadline_s=DEADLINE_S)
    values = [*PLANTED.items(), *(("a webhook's secret", one) for one in made), *secrets_of(full_stack)]
    assert len(values) > len(PLANTED) + 10, "the files of keys were not read"
    found: list[str] = []
    for service in SERVICES:
        assert len(full_stack.log(service)) > 0
        found += found_in(full_stack.log(service), values, f"the log of {service}")
        found += found_in(metrics[service], values, f"the metrics of {service}")
    for path in written(full_stack.root):
        found += found_in(path.read_text(errors="replace"), values, str(path.relative_to(full_stack.root)))
    assert found == []


def written(root: Path) -> Iterator[Path]:
    """Every file of alerts, dashboards, runbooks and metrics that there is."""
    for place in WRITTEN:
        path = root / place
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from sorted(one for one in path.rglob("*") if one.is_file())


def test_a_canary_would_be_found(tmp_path: Path) -> None:
    """The search sees a planted value in a text, and reads each kind of document."""
    for place in ("deploy/monitoring/rules/a.yaml", "docs/runbooks/A.md", "docs/metrics.md"):
        file = tmp_path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"held above {PLANTED['amount held']}")
    values = list(PLANTED.items())
    texts = [path.read_text() for path in written(tmp_path)]
    assert [found_in(text, values, "it") for text in texts] == [["amount held is in it"]] * 3
    hidden = {"password": "s" * 20, "keys": [{"keyid": "k" * 20, "private_key": "p" * 20}]}
    assert list(_texts(hidden)) == ["s" * 20, "p" * 20]
