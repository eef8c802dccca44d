"""Rules of claims: claim, release, refuse, and expire."""

from datetime import timedelta
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from prizewire_contracts import ids
from prizewire_rewards.claims.handlers.claims import (
    ClaimResult,
    EndedClaims,
    claim,
    decide_claim,
    expire_due,
    pass_deadlines,
)
from prizewire_rewards.storage import Ports
from services.rewards.tests.machine.base import Walk


def reward_of(walk: Walk, key: tuple[UUID, str]) -> UUID:
    """The id of a person's prize of a round."""
    return ids.reward_id(round_id=key[0], player=walk.name(key[1]))


class ClaimRules(Walk):
    """Actions of players and operators on claims, and deadlines."""

    @precondition(lambda self: self.prizes.claims)
    @rule(data=st.data(), by=st.sampled_from([None, None, None, None, None, "ann", "bob"]))
    def claim(self, data: st.DataObject, by: str | None) -> None:
        """Claim prizes: also of another player, a second time, too late, or after a refusal."""
        keys = st.sampled_from(list(self.prizes.claims))
        for key in data.draw(st.lists(keys, min_size=1, max_size=3)):
            self._claim(key, by=by or key[1])

    def _claim(self, key: tuple[UUID, str], *, by: str) -> None:
        now, player = self.tick(), self.name(by)
        known = self.prizes.claims[key]
        expected = None
        if by != key[1]:
            expected = "claim_unknown"
        elif known.state == "expired" or (known.state == "open" and now >= known.deadline):
            expected = "claim_expired"
        elif known.state == "rejected":
            expected = "claim_final"

        async def call(ports: Ports) -> ClaimResult:
            return await claim(reward_of(self, key), player=player, ports=ports, tools=self.tools, now=now)

        done, code = self.attempt(call)
        assert code == expected
        if code is None:
            assert done.changed is (known.state == "open")
            if done.changed:
                self.prizes.claim(key, now=now)
            assert done.claim.state == known.state
            self.run_jobs()

    @precondition(lambda self: self.prizes.claims)
    @rule(data=st.data(), release=st.booleans(), own=st.sampled_from([False, False, True]))
    def decide(self, data: st.DataObject, release: bool, own: bool) -> None:
        """Release or refuse a held claim as an operator; also an own claim, or one that is not held."""
        now = self.tick()
        claims = self.prizes.claims
        held = [key for key, known in claims.items() if known.state == "held"]
        key = data.draw(st.sampled_from(held or list(claims)))
        actor = self.name(key[1]) if own else "operator"

        async def call(ports: Ports) -> ClaimResult:
            return await decide_claim(
                reward_of(self, key), release=release, actor=actor, reason="r",
                ports=ports, now=now,
            )  # fmt: skip

        _, code = self.attempt(call)
        assert code == ("own_claim" if own else None if held else "claim_not_held")
        if code is not None:
            return
        if release:
            self.prizes.approve(key)
        else:
            self.prizes.return_to_pool(key, "rejected")
        self.run_jobs()

    @precondition(lambda self: self.prizes.claims)
    @rule(hours=st.sampled_from([8, 24]), jobs=st.sampled_from([True, True, False]))
    def wait(self, hours: int, jobs: bool) -> None:
        """Advance the clock. The jobs of deadlines may be late, but a claim after its deadline is refused even so."""
        self.now += timedelta(hours=hours)
        for key, known in self.prizes.claims.items():
            if known.state == "open" and known.deadline <= self.now:
                self._claim(key, by=key[1])
                break
        if not jobs:
            return
        ended: dict[str, int] = {}
        for job in (expire_due, pass_deadlines):
            done: EndedClaims | None
            while (done := self.job(job)) is not None:
                assert done.claims
                for one in done.claims:
                    ended[one.state] = ended.get(one.state, 0) + 1
        assert ended == self.prizes.end_claims(now=self.now)
        self.run_jobs()
