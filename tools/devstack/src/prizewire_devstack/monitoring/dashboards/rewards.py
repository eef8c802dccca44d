"""The dashboard of campaigns, pools, prizes, claims and holds."""

from typing import Final

from prizewire_devstack.monitoring.dashboards.making import compared, lines, number
from prizewire_devstack.monitoring.expressions import largest, risen, share_of, total
from prizewire_devstack.monitoring.panels import Dashboard, Kind, Row, Unit, Variable

_CHOSEN: Final = 'name=~"$campaign"'
_POOL: Final = "{{name}} {{asset}} {{campaign}}"
_KEY: Final = ("name", "asset", "campaign")

_NOW: Final = Row(
    title="Now",
    panels=(
        number(
            "Active campaigns",
            largest("prizewire_rewards_campaigns", where='state="active"'),
            legend="active",
            shows="Campaigns that take rounds now.",
            normal="It is the number of campaigns that you run.",
            act="Ask who paused or ended a campaign if one is missing: GET /api/campaigns lists all.",
        ),
        number(
            "Failed payouts, 24 h",
            risen("prizewire_rewards_payouts_ended_total", where='state="failed"', within="24h"),
            legend="failed",
            shows="Payouts that failed in the last day; their money is back in the wallets.",
            normal="A few fail because details of players are wrong.",
            act="Read the codes on the dashboard Payouts by rail.",
        ),
        number(
            "Held claims",
            total("prizewire_rewards_claims_held", of=("class",)),
            legend="held",
            shows="Claims that wait for a person's decision.",
            normal="It falls to zero each day.",
            act="Decide them: `prizewire claims list --state held`.",
        ),
        number(
            "Abuse holds, 24 h",
            risen("prizewire_rewards_abuse_holds_total", within="24h"),
            legend="holds",
            shows="Claims and prize lines that rules against abuse held in the last day.",
            normal="It is a small part of all claims.",
            act="Compare the classes below, and look at the claims of the class that rose.",
        ),
        number(
            "Provider errors, 24 h",
            risen(
                "prizewire_rail_calls_total", "outcome", where='outcome=~"unknown|no_effect"', within="24h"
            ),
            legend="{{outcome}}",
            shows="Calls to rails in the last day: unknown got no answer, no_effect was refused or did not reach the provider.",
            normal="Unknown is near zero. A few have no effect because details of players are wrong.",
            act="Open the dashboard Payouts by rail, and find the rail.",
        ),
        number(
            "Duplicate payments stopped, 24 h",
            risen("prizewire_payout_duplicates_stopped_total", within="24h"),
            legend="stopped",
            alert="PrizewireDuplicatePayoutAttempt",
            shows="Second payments of the same prize that a guard stopped in the last day.",
            normal="It is zero.",
            act="Follow the runbook: something tried to pay twice.",
        ),
    ),
)

_POOLS: Final = Row(
    title="Campaigns and pools",
    panels=(
        compared(
            "Pools",
            (largest("prizewire_rewards_pool_funded", *_KEY, where=_CHOSEN), "funded"),
            (largest("prizewire_rewards_pool_remaining", *_KEY, where=_CHOSEN), "remaining"),
            (largest("prizewire_rewards_pool_reserved", *_KEY, where=_CHOSEN), "reserved"),
            (largest("prizewire_rewards_pool_paid", *_KEY, where=_CHOSEN), "credited"),
            (largest("prizewire_rewards_pool_unfunded", *_KEY, where=_CHOSEN), "unfunded"),
            (largest("prizewire_rewards_pool_missing", *_KEY, where=_CHOSEN), "missing"),
            kind=Kind.TABLE,
            unit=Unit.MONEY,
            columns=14,
            shows="What each pool got, still has, has reserved for rounds, and has credited to winnings for good, and what it lacks for rounds.",
            normal="Remaining and reserved money together cover the rounds to come.",
            act="Fund a pool before its remaining money is gone: POST /api/campaigns/{id}/fund.",
        ),
        compared(
            "Share of the pool that remains",
            (
                share_of(
                    largest("prizewire_rewards_pool_remaining", *_KEY, where=_CHOSEN),
                    largest("prizewire_rewards_pool_funded", *_KEY, where=_CHOSEN),
                ),
                _POOL,
            ),
            kind=Kind.BAR,
            unit=Unit.SHARE,
            columns=10,
            shows="Remaining money divided by all money that the pool got.",
            normal="It falls slowly while rounds are paid.",
            act="Fund the pool when it nears zero.",
        ),
        lines(
            "Pool remaining",
            (largest("prizewire_rewards_pool_remaining", *_KEY, where=_CHOSEN), _POOL),
            unit=Unit.MONEY,
            shows="Money of each pool that no round has reserved.",
            normal="It falls with each round, and rises when somebody funds the pool.",
            act="Fund the pool when it falls faster than planned, or ask which rounds took the money.",
        ),
        lines(
            "Money missing in pools",
            (largest("prizewire_rewards_pool_missing", *_KEY, where=_CHOSEN), _POOL),
            unit=Unit.MONEY,
            alert="PrizewirePoolExhausted",
            shows="What rounds that wait need, less what the pool has: the amount to fund.",
            normal="It is zero.",
            act="Fund the campaign with it: the prizes are then paid without another step.",
        ),
        lines(
            "Pools below their low-water mark",
            (largest("prizewire_rewards_pool_low", *_KEY, where=_CHOSEN), _POOL),
            unit=Unit.YES_NO,
            alert="PrizewirePoolLow",
            shows="1 while a pool has less than the mark that its campaign sets, or nothing where it sets none.",
            normal="It is 0.",
            act="Fund the pool, or inform the organizer that prizes will wait.",
        ),
        lines(
            "Campaigns by state",
            (largest("prizewire_rewards_campaigns", "state"), "{{state}}"),
            shows="Campaigns in each state.",
            normal="Few are exhausted.",
            act="Look at a campaign whose state you did not change: its audit says who did.",
        ),
    ),
)

_PRIZES: Final = Row(
    title="Prizes",
    panels=(
        lines(
            "Prizes credited an hour",
            (risen("prizewire_rewards_prizes_paid_total", "asset"), "{{asset}}"),
            shows="Prize lines whose money was credited to winnings for good, by asset. A payout may follow; it is counted below.",
            normal="It follows the end of rounds.",
            act="If rounds end and nothing is credited, look at claims and the pipeline.",
        ),
        lines(
            "Amount of prizes credited an hour",
            (risen("prizewire_rewards_prizes_paid_amount_total", "asset"), "{{asset}}"),
            unit=Unit.MONEY,
            shows="The money of those prizes, in units of the asset.",
            normal="It follows the end of rounds.",
            act="Pause payouts if far more is credited than the campaigns planned.",
        ),
        lines(
            "Rounds an hour",
            (risen("prizewire_rewards_rounds_booked_total"), "booked"),
            (risen("prizewire_rewards_rounds_unfunded_total"), "unfunded"),
            (risen("prizewire_rewards_rounds_corrected_total"), "corrected"),
            (risen("prizewire_rewards_rounds_voided_total"), "voided"),
            shows="Rounds that rewards booked, could not fund, corrected or voided.",
            normal="Most rounds are booked at once.",
            act="Fund pools if rounds wait for money; ask the game's operators about many corrections.",
        ),
        lines(
            "Prize lines an hour",
            (risen("prizewire_rewards_lines_booked_total"), "lines"),
            shows="Prize lines that were credited or made pending.",
            normal="It follows the end of rounds.",
            act="If rounds are booked and no line is, look at the work of large rounds on the dashboard Pipeline.",
        ),
    ),
)

_CLAIMS: Final = Row(
    title="Claims and holds",
    panels=(
        lines(
            "Held claims by class of reason",
            (largest("prizewire_rewards_claims_held", "class"), "{{class}}"),
            shows="Claims that wait for a decision, by the class of the rule that held them.",
            normal="Each class falls to zero each day.",
            act="Decide them: `prizewire claims list --state held`.",
        ),
        lines(
            "Abuse holds an hour",
            (risen("prizewire_rewards_abuse_holds_total", "class"), "{{class}}"),
            shows="Claims and prize lines that a rule against abuse held, by class.",
            normal="It is a small part of all claims.",
            act="Look at the claims of the class that rose: one group of players may share devices or accounts.",
        ),
        lines(
            "Claims an hour",
            (risen("prizewire_rewards_claims_made_total"), "made"),
            (risen("prizewire_rewards_claims_total", "state"), "{{state}}"),
            alert="PrizewireClaimVolumeAbnormal",
            shows="Claims that players made in the last hour, and claims that reached a state.",
            normal="It follows the rounds, at the usual times of the day.",
            act="If it is many times the usual number, look for forged results or a script that claims.",
        ),
        lines(
            "Share of claims rejected",
            (
                share_of(
                    risen("prizewire_rewards_claims_total", where='state="rejected"', within="1h"),
                    risen("prizewire_rewards_claims_total", where='state=~"approved|rejected"', within="1h"),
                ),
                "rejected",
            ),
            unit=Unit.SHARE,
            alert="PrizewireRejectionRateHigh",
            shows="Rejected claims divided by all claims that were decided, of the last hour.",
            normal="It is near its own usual value.",
            act="Read the rules of the rejected claims, and ask who changed a rule.",
        ),
        lines(
            "Claims that wait",
            (largest("prizewire_rewards_claims_waiting", "state"), "{{state}}"),
            (largest("prizewire_rewards_claims_past_deadline", "state"), "{{state}}, past deadline"),
            shows="Claims that are open for their players or held, and those whose deadline has passed.",
            normal="None stays past its deadline.",
            act="If claims stay past their deadline, look at the jobs of rewards on the dashboard Service health.",
        ),
        lines(
            "Held prizes by cap",
            (largest("prizewire_rewards_prizes_held", "cap"), "{{cap}}"),
            shows="Prize lines that wait for a person's decision, by the cap that holds them.",
            normal="Each falls to zero each day.",
            act="Decide them: `prizewire prizes list --state held`.",
        ),
        lines(
            "Money of held prizes",
            (largest("prizewire_rewards_prizes_held_amount", "asset"), "{{asset}}"),
            unit=Unit.MONEY,
            shows="The money of these prize lines, in units of the asset.",
            normal="It falls to zero each day.",
            act="Decide the largest first: `prizewire prizes list --state held`.",
        ),
        lines(
            "Oldest held prize",
            (largest("prizewire_rewards_prizes_held_oldest_seconds"), "oldest"),
            unit=Unit.SECONDS,
            alert="PrizewirePrizesHeld",
            shows="Time since the round of the oldest held prize line was booked.",
            normal="It is below a day.",
            act="Decide it: no deadline does.",
        ),
        compared(
            "Findings of risk rules, 24 h",
            (risen("prizewire_rewards_risk_findings_total", "rule", "verdict", within="24h"), "findings"),
            (risen("prizewire_rewards_lines_held_total", "cap", within="24h"), "lines held"),
            kind=Kind.TABLE,
            shows="Findings in claims by rule and verdict, and prize lines that a cap held.",
            normal="Most claims pass every rule.",
            act="Look at the rule that rose.",
        ),
    ),
)

_PAYOUTS: Final = Row(
    title="Payouts out of wallets",
    panels=(
        lines(
            "Payouts requested an hour",
            (risen("prizewire_rewards_payouts_requested_total", "by"), "{{by}}"),
            shows="Payouts that rewards requested, by the kind of requester.",
            normal="It follows prizes and withdrawals.",
            act="Ask who requests them if one kind rises alone.",
        ),
        lines(
            "Payouts that ended an hour",
            (risen("prizewire_rewards_payouts_ended_total", "state"), "{{state}}"),
            shows="Payouts whose end rewards booked, by state. Money of paid ones left the system.",
            normal="Most are paid.",
            act="Read the codes on the dashboard Payouts by rail.",
        ),
    ),
)

REWARDS: Final = Dashboard(
    uid="prizewire-rewards",
    title="Prizewire: Rewards",
    description="Campaigns, their pools, the prizes that were credited, and what is held.",
    rows=(_NOW, _POOLS, _PRIZES, _CLAIMS, _PAYOUTS),
    variables=(
        Variable(name="campaign", label="Campaign", metric="prizewire_rewards_pool_funded", of="name"),
    ),
    procedures=("reward-pool-recovery", "over-allocation"),
)
