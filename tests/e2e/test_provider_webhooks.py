"""A rail's signed webhook arrives, is stored and published, and payouts looks the payment up at the rail."""

import httpx

from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync
from tests.crowd import Crowd

HOOK = "/api/payments/webhook/fake"


def ask(stack: RunningStack, database: str, query: str) -> list[str]:
    return stack.postgres.run_sql(query, database=database).split()


def test_a_lost_answer_is_made_good_by_a_webhook(full_stack: RunningStack) -> None:
    """Three prizes are paid on the fake rail and the answers get lost: the stand-in sends a webhook for each, payouts
    looks each one up, and every prize is proved paid, once.
    """
    crowd = Crowd(full_stack, "hooks", 6, delivery="direct")
    crowd.set_up()
    match_id, players = crowd.match(0)
    for player in players:
        with crowd.api("player", subject=player) as api:
            api.post(
                "/api/payout-methods",
                {"type": "fake", "details": {"account": f"lost_answer+{player}"}, "default": True},
                key=f"hooks:{player}",
            )
    crowd.publish(crowd.result(match_id, players))
    mine = "SELECT payout_id FROM payouts WHERE player LIKE 'hooks-%'"
    eventually_sync(
        lambda: (
            ask(full_stack, "payouts", f"SELECT state FROM payouts WHERE payout_id IN ({mine})")
            == ["paid"] * 3
        ),
        deadline_s=600,
    )
    keys = ask(full_stack, "payouts", f"SELECT provider_key FROM attempts WHERE payout_id IN ({mine})")
    assert len(keys) == 3
    listed = ", ".join(f"'{key}'" for key in keys)

    def reported() -> list[str]:
        return ask(
            full_stack,
            "webhooks",
            f"SELECT rail || ':' || event_type FROM provider_events WHERE provider_key IN ({listed})",
        )

    eventually_sync(lambda: reported() == ["fake:payment.paid"] * 3, deadline_s=600)
    events = ask(
        full_stack,
        "webhooks",
        "SELECT convert_from(value, 'UTF8')::jsonb ->> 'id' FROM outbox "
        f"WHERE convert_from(value, 'UTF8')::jsonb -> 'data' ->> 'provider_key' IN ({listed})",
    )
    assert len(events) == 3
    ids = ", ".join(f"'{event}'" for event in events)
    taken_in = (
        f"SELECT event_id FROM inbox WHERE consumer = 'payouts.provider-webhooks' AND event_id IN ({ids})"
    )
    eventually_sync(lambda: len(ask(full_stack, "payouts", taken_in)) == 3, deadline_s=600)
    assert crowd.breaches() == []


def test_an_unsigned_webhook_is_refused(full_stack: RunningStack) -> None:
    """Through the gateway: the route needs no token, and refuses everything without the rail's own signature."""
    with httpx.Client(base_url=full_stack.url, trust_env=False, timeout=600) as anybody:
        forged = anybody.post(HOOK, content=b"{}", headers={"authorization": "Basic dXNlcjp3b3Jk"})
        assert (forged.status_code, forged.json()["code"]) == (401, "signature_invalid")
        for rail in ("stellar", "nothing"):
            answer = anybody.post(f"/api/payments/webhook/{rail}", content=b"{}")
            assert (answer.status_code, answer.json()["code"]) == (404, "rail_unknown")
