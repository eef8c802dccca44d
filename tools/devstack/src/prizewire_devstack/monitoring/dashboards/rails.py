"""The dashboard of payouts, each rail by itself."""

from typing import Final

from prizewire_devstack.monitoring.dashboards.guards import GUARDS
from prizewire_devstack.monitoring.dashboards.making import compared, lines, number
from prizewire_devstack.monitoring.expressions import average, largest, quantile, risen, share_of, total
from prizewire_devstack.monitoring.panels import Dashboard, Kind, Row, Unit, Variable

_RAIL: Final = 'rail=~"$rail"'
_PAID: Final = f'{_RAIL},state="paid"'
_ENDED: Final = "prizewire_payouts_ended_total"
_ONCE: Final = f'{_RAIL},state!="returned"'
"""A returned payout was counted as paid before."""
_CIRCUIT: Final = {0: "closed", 1: "probing", 2: "open"}

_NOW: Final = Row(
    title="Now",
    panels=(
        compared(
            "Success over 24 h",
            (
                share_of(
                    risen(_ENDED, "rail", where=_PAID, within="24h"),
                    risen(_ENDED, "rail", where=_ONCE, within="24h"),
                ),
                "{{rail}}",
            ),
            kind=Kind.GAUGE,
            unit=Unit.SHARE,
            columns=8,
            shows="Payouts that were paid, also those that came back later, divided by all payouts that ended in the last day.",
            normal="It is above 0.95.",
            act="Read the codes of the failures below: the provider, or details of players.",
        ),
        compared(
            "Average time to confirm, 24 h",
            (average("prizewire_payout_confirmation_seconds", "rail", where=_RAIL), "{{rail}}"),
            kind=Kind.BAR,
            unit=Unit.SECONDS,
            columns=8,
            shows="Time from the first send to the proof of payment, on average over the last day.",
            normal="It is the time that the rail usually takes: seconds on a chain, hours at a bank.",
            act="If it rises, look at the time of answers and at payouts without proof.",
        ),
        compared(
            "Pending payouts",
            (total("prizewire_payouts", "rail", of=("asset", "state"), where=_RAIL), "{{rail}}"),
            kind=Kind.BAR,
            columns=8,
            shows="Payouts that have not ended, by rail.",
            normal="It falls to zero after each round.",
            act="If it stays, look at the states below: held ones wait for approvers, unknown ones for proof.",
        ),
        number(
            "Circuit",
            largest("prizewire_rail_circuit", "rail", where=_RAIL),
            legend="{{rail}}",
            unit=Unit.STATE,
            names=_CIRCUIT,
            alert="PrizewireProviderOutage",
            columns=12,
            shows="Whether payments are begun on a rail: closed (they are), probing (one tries it), open (none is).",
            normal="It is closed.",
            act="When it is open, ask the provider; payouts wait and are not lost.",
        ),
        compared(
            "Failures, 24 h",
            (
                risen(_ENDED, "rail", "asset", "code", where=f'{_RAIL},state!="paid"', within="24h") + " > 0",
                "payouts",
            ),
            kind=Kind.TABLE,
            shows="Payouts that ended unpaid in the last day, by rail, asset and code.",
            normal="A few have codes of wrong details.",
            act="docs/payout-codes.md says what each code means and what to do.",
        ),
    ),
)

_PAYOUTS: Final = Row(
    title="Payouts",
    panels=(
        lines(
            "Payouts by state",
            (total("prizewire_payouts", "rail", "state", of=("asset",), where=_RAIL), "{{rail}} {{state}}"),
            shows="Payouts that have not ended, by rail and state.",
            normal="Most are pending or submitting for a short time.",
            act="If one state grows, look at its oldest payouts: `prizewire payouts list --state STATE`.",
        ),
        lines(
            "Payouts that ended an hour",
            (risen(_ENDED, "rail", "state", where=_RAIL), "{{rail}} {{state}}"),
            shows="Payouts that ended, by rail and state.",
            normal="Most are paid.",
            act="Read the codes of the failures above.",
        ),
        lines(
            "Share that failed, 1 h",
            (
                share_of(
                    risen(_ENDED, "rail", where=f'{_RAIL},state="failed",cause!="payee"'),
                    risen(_ENDED, "rail", where=f'{_RAIL},state=~"failed|paid",cause!="payee"'),
                ),
                "{{rail}}",
            ),
            unit=Unit.SHARE,
            alert="PrizewirePayoutFailureRateHigh",
            shows="Payouts that failed in the last hour for a cause that is not the payee's, divided by these and the paid ones.",
            normal="It is below 0.05.",
            act="Pause the rail, and read the codes of the failures above.",
        ),
        lines(
            "Oldest payout without proof",
            (largest("prizewire_payout_unknown_age_seconds", "rail", where=_RAIL), "{{rail}}"),
            unit=Unit.SECONDS,
            alert="PrizewirePayoutUnknownTooLong",
            shows="How long the oldest payout of a rail has been waiting for proof of its outcome.",
            normal="It is 0 most of the time.",
            act="Never pay it by another way: look at the provider's records, and give evidence.",
        ),
        lines(
            "Time to confirm, median and 95th percentile",
            (
                quantile(0.5, "prizewire_payout_confirmation_seconds", "rail", where=_RAIL, within="1h"),
                "{{rail}} median",
            ),
            (
                quantile(0.95, "prizewire_payout_confirmation_seconds", "rail", where=_RAIL, within="1h"),
                "{{rail}} 95th percentile",
            ),
            unit=Unit.SECONDS,
            shows="The time from the first send to the proof of payment that half and 95 % of payouts did not exceed.",
            normal="Both lines stay near each other.",
            act="If the upper line rises alone, look for payouts without proof.",
        ),
        lines(
            "Time from request to paid, median and 95th percentile",
            (
                quantile(0.5, "prizewire_payout_duration_seconds", "rail", where=_RAIL, within="1h"),
                "{{rail}} median",
            ),
            (
                quantile(0.95, "prizewire_payout_duration_seconds", "rail", where=_RAIL, within="1h"),
                "{{rail}} 95th percentile",
            ),
            unit=Unit.SECONDS,
            shows="The time from the request to the payment that half and 95 % of payouts did not exceed.",
            normal="Approvals by persons make it longer than the time to confirm.",
            act="If it rises and the time to confirm does not, payouts wait for approvers or for money.",
        ),
        lines(
            "Waiting for a next attempt",
            (largest("prizewire_payouts_waiting", "code"), "{{code}}"),
            shows="Approved payouts whose next attempt is not due yet, by the code that ended the last one.",
            normal="It is zero or falls.",
            act="`signer_limit` waits for the next UTC day; docs/payout-codes.md has the other codes.",
        ),
        lines(
            "Steps an hour",
            (risen("prizewire_payout_steps_total", "to"), "payout {{to}}"),
            (risen("prizewire_attempt_steps_total", "to"), "attempt {{to}}"),
            shows="Steps that payouts and their attempts took, by the state reached.",
            normal="Each payout takes about five steps.",
            act="Many attempts for few payouts mean that a rail refuses them: look at the failures.",
        ),
    ),
)

_CALLS: Final = Row(
    title="Calls to providers",
    panels=(
        lines(
            "Calls an hour",
            (risen("prizewire_rail_calls_total", "rail", "outcome", where=_RAIL), "{{rail}} {{outcome}}"),
            shows="Calls to rails by outcome; `unknown` is a call that got no answer.",
            normal="Few are unknown.",
            act="If unknown ones grow, ask the provider, and look at the network.",
        ),
        lines(
            "Share of calls without answer",
            (
                share_of(
                    risen(
                        "prizewire_rail_calls_total", "rail", where=f'{_RAIL},outcome="unknown"', within="5m"
                    ),
                    risen("prizewire_rail_calls_total", "rail", where=_RAIL, within="5m"),
                ),
                "{{rail}}",
            ),
            unit=Unit.SHARE,
            shows="Calls that got no answer, divided by all calls of the last five minutes.",
            normal="It is below 0.05.",
            act="Follow the runbook; payouts that were sent are never sent again without proof.",
        ),
        lines(
            "Time of answers, 95th percentile",
            (quantile(0.95, "prizewire_rail_call_seconds", "rail", "call", where=_RAIL), "{{rail}} {{call}}"),
            unit=Unit.SECONDS,
            shows="The time that 95 % of a rail's answers did not exceed.",
            normal="It is below a second or two.",
            act="If it rises, an outage may follow: ask the provider.",
        ),
        lines(
            "Quotes an hour",
            (risen("prizewire_payout_quotes_total", "rail", "outcome", where=_RAIL), "{{rail}} {{outcome}}"),
            shows="Answers of rails that were asked for a quote.",
            normal="Most are offered.",
            act="`wrong` and `failed` are the provider's faults: ask the provider.",
        ),
        lines(
            "Provider webhooks an hour",
            (risen("prizewire_provider_webhooks_total", "rail", "outcome"), "{{rail}} {{outcome}}"),
            shows="Webhooks of providers by outcome.",
            normal="Almost all are accepted.",
            act="If none comes, payouts still looks for each payment, later: ask the provider.",
        ),
        lines(
            "Provider webhooks not accepted, 10 min",
            (
                risen(
                    "prizewire_provider_webhooks_total",
                    "rail",
                    "outcome",
                    where='outcome=~"failed|refused|conflict"',
                    within="10m",
                ),
                "{{rail}} {{outcome}}",
            ),
            alert="PrizewirePayoutWebhookFailure",
            shows="Webhooks that were not stored, by outcome: failed, refused, conflict.",
            normal="All are zero.",
            act="Refused ones have a wrong signature or time: compare the secret with the provider's.",
        ),
        lines(
            "Provider webhooks refused by code",
            (risen("prizewire_provider_webhooks_refused_total", "rail", "code"), "{{rail}} {{code}}"),
            shows="Webhooks of providers that were refused or contradict an earlier one, by code, in the last hour.",
            normal="All are zero.",
            act="The runbook of PrizewirePayoutWebhookFailure says what each code means.",
        ),
        lines(
            "Impossible answers",
            (risen("prizewire_rail_surprises_total", "rail", where=_RAIL), "{{rail}} surprises"),
            (risen("prizewire_rail_rows_not_authentic_total"), "rows not authentic"),
            (risen("prizewire_payouts_unproved_total"), "attempts not authentic"),
            alert="PrizewireRailRowsNotAuthentic",
            shows="Answers of rails that cannot be true, and rows that payouts did not write itself, in the last hour.",
            normal="All are zero.",
            act="Pause payouts, and look for a person who changed the database.",
        ),
    ),
)

RAILS: Final = Dashboard(
    uid="prizewire-rails",
    title="Prizewire: Payouts by rail",
    description="Whether each rail pays, how long it takes, what waits, and what a guard stopped.",
    rows=(_NOW, _PAYOUTS, _CALLS, GUARDS),
    variables=(Variable(name="rail", label="Rail", metric="prizewire_rail_circuit"),),
    procedures=("provider-retry", "payout-dispute"),
)
