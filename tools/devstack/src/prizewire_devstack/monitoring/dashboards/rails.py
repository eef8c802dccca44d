"""The dashboard of payouts, each rail by itself."""

from typing import Final

from prizewire_devstack.monitoring.dashboards.making import compared, lines, number
from prizewire_devstack.monitoring.expressions import average, largest, quantile, risen, share_of, total
from prizewire_devstack.monitoring.panels import Dashboard, Kind, Row, Unit, Variable

_RAIL: Final = 'rail=~"$rail"'
_PAID: Final = f'{_RAIL},state="paid"'
_ENDED: Final = "prizewire_payouts_ended_total"
_CIRCUIT: Final = {0: "closed", 1: "probing", 2: "open"}

_NOW: Final = Row(
    title="Now",
    panels=(
        compared(
            "Success over 24 h",
            (
                share_of(
                    risen(_ENDED, "rail", where=_PAID, within="24h"),
                    risen(_ENDED, "rail", where=_RAIL, within="24h"),
                ),
                "{{rail}}",
            ),
            kind=Kind.GAUGE,
            unit=Unit.SHARE,
            columns=8,
            shows="Payouts that were paid, divided by all payouts that ended in the last day.",
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
                    risen(_ENDED, "rail", where=f'{_RAIL},state="failed"'), risen(_ENDED, "rail", where=_RAIL)
                ),
                "{{rail}}",
            ),
            unit=Unit.SHARE,
            alert="PrizewirePayoutFailureRateHigh",
            shows="Failed payouts divided by all payouts that ended in the last hour.",
            normal="It is below 0.05.",
            act="Pause the rail if the failures are not of wrong details.",
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
            "Time to confirm",
            (
                quantile(0.5, "prizewire_payout_confirmation_seconds", "rail", where=_RAIL, within="1h"),
                "{{rail}} half",
            ),
            (
                quantile(0.95, "prizewire_payout_confirmation_seconds", "rail", where=_RAIL, within="1h"),
                "{{rail}} 95 %",
            ),
            unit=Unit.SECONDS,
            shows="The time from the first send to the proof of payment that half and 95 % of payouts did not exceed.",
            normal="Both lines stay near each other.",
            act="If the upper line rises alone, look for payouts without proof.",
        ),
        lines(
            "Time from request to paid",
            (
                quantile(0.5, "prizewire_payout_duration_seconds", "rail", where=_RAIL, within="1h"),
                "{{rail}} half",
            ),
            (
                quantile(0.95, "prizewire_payout_duration_seconds", "rail", where=_RAIL, within="1h"),
                "{{rail}} 95 %",
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
            alert="PrizewireProviderOutage",
            shows="Calls that got no answer, divided by all calls of the last five minutes.",
            normal="It is below 0.05.",
            act="Follow the runbook; payouts that were sent are never sent again without proof.",
        ),
        lines(
            "Time of answers, 95 %",
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
            alert="PrizewirePayoutWebhookFailure",
            shows="Webhooks of providers by outcome: accepted, repeated, conflict, refused.",
            normal="Almost all are accepted.",
            act="Refused ones have a wrong signature or time: compare the secret with the provider's.",
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

_GUARDS: Final = Row(
    title="Persons, guards and money",
    panels=(
        lines(
            "Duplicate payments stopped an hour",
            (risen("prizewire_payout_duplicates_stopped_total", "where"), "{{where}}"),
            alert="PrizewireDuplicatePayoutAttempt",
            shows="Second payments that a guard stopped, by the guard.",
            normal="All are zero.",
            act="Follow the runbook: something tried to pay twice.",
        ),
        lines(
            "Waiting for approvers",
            (largest("prizewire_payouts_awaiting_approval"), "payouts"),
            shows="Payouts that wait for a person's approval.",
            normal="It falls to zero each day.",
            act="`prizewire payouts list --state held` lists them.",
        ),
        lines(
            "Oldest payout that waits for approvers",
            (largest("prizewire_payouts_awaiting_approval_oldest_seconds"), "oldest"),
            unit=Unit.SECONDS,
            alert="PrizewireApprovalsWaiting",
            shows="How long the oldest payout has been waiting for a person's approval.",
            normal="It is below a working day.",
            act="Ask an approver.",
        ),
        lines(
            "Holds an hour",
            (risen("prizewire_payout_holds_total", "reason"), "{{reason}}"),
            shows="Payouts that were held, by reason.",
            normal="It follows the policy of approvals.",
            act="If one reason rises, read the payouts: `prizewire payouts list --state held`.",
        ),
        lines(
            "Money that the rail has per money needed",
            (largest("prizewire_treasury_cover_ratio", "rail", "asset", where=_RAIL), "{{rail}} {{asset}}"),
            unit=Unit.SHARE,
            alert="PrizewireTreasuryShort",
            least=True,
            shows="The balance of the rail's account, divided by what approved payouts that are not sent need.",
            normal="It is far above 1.",
            act="Send money to the rail's account.",
        ),
        compared(
            "Treasury",
            (largest("prizewire_treasury_balance", "rail", "asset", where=_RAIL), "balance"),
            (largest("prizewire_treasury_needed", "rail", "asset", where=_RAIL), "needed"),
            kind=Kind.TABLE,
            unit=Unit.MONEY,
            shows="What the rail's account has, and what approved payouts that are not sent need.",
            normal="The balance is several times what is needed.",
            act="Send money to the rail's account.",
        ),
        lines(
            "Used part of the automatic limit",
            (largest("prizewire_payouts_automatic_used_ratio", "asset"), "{{asset}}"),
            unit=Unit.SHARE,
            alert="PrizewireLimitNear",
            shows="Used part of the UTC day's limit for payouts without a person, by asset.",
            normal="It stays below 0.8.",
            act="Beyond 1 each payout waits for an approver: ask approvers to be ready.",
        ),
        lines(
            "Pauses in force",
            (largest("prizewire_payout_pauses", "scope"), "{{scope}}"),
            shows="Pauses by the kind of thing that they stop.",
            normal="It is zero, or what you decided.",
            act="docs/pausing.md says how to resume.",
        ),
        lines(
            "Screening",
            (risen("prizewire_payout_screenings_total", "verdict"), "{{verdict}}"),
            shows="Answers of the screening service in the last hour.",
            normal="Most are clear.",
            act="If they are unanswered, the service is down: approved payouts wait.",
        ),
        lines(
            "Oldest payout without screening",
            (largest("prizewire_payout_unscreened_age_seconds"), "oldest"),
            unit=Unit.SECONDS,
            shows="How long the oldest approved payout has been waiting for the screening service.",
            normal="It is 0.",
            act="Ask the operators of the screening service.",
        ),
        lines(
            "Evidence and answer files, 24 h",
            (risen("prizewire_payout_evidence_total", "state", within="24h"), "{{state}}"),
            (risen("prizewire_payout_evidence_contradicted_total", within="24h"), "contradicted"),
            (largest("prizewire_payout_evidence_waiting"), "waiting for a second person"),
            alert="PrizewireEvidenceContradicted",
            shows="Evidence of persons about payments, and lines of answer files that contradict a proof.",
            normal="None contradicts.",
            act="Compare the bank's statement with the payout before anybody decides.",
        ),
        lines(
            "Age of the deny list",
            ("time() - " + largest("prizewire_deny_list_written_timestamp_seconds"), "age"),
            unit=Unit.SECONDS,
            alert="PrizewireDenyListStale",
            shows="Time since the file of the deny list was written.",
            normal="It is below a day.",
            act="Look at the job that writes the file.",
        ),
        number(
            "Deny list refused",
            largest("prizewire_deny_list_refused"),
            legend="refused",
            unit=Unit.YES_NO,
            columns=12,
            shows="1 while the file of the deny list cannot be read.",
            normal="It is 0.",
            act="Correct the file: the last list that could be read is in force.",
        ),
        lines(
            "Work of operators, 24 h",
            (
                risen("prizewire_payout_batch_lines_total", "outcome", within="24h"),
                "lines of files {{outcome}}",
            ),
            (risen("prizewire_payout_retries_total", "step", within="24h"), "retries {{step}}"),
            (risen("prizewire_rewards_payout_batches_total", "outcome", within="24h"), "files {{outcome}}"),
            shows="Lines of payout files that persons decided about, retries of payouts, and files.",
            normal="It follows your work.",
            act="Ask who did what you do not know: `prizewire payouts list` has the names.",
        ),
        lines(
            "Payout methods, 24 h",
            (risen("prizewire_payout_methods_total", "change", within="24h"), "{{change}}"),
            (
                risen("prizewire_payout_method_verifications_total", "step", within="24h"),
                "verification {{step}}",
            ),
            shows="Changes of payout methods, and steps of their verification.",
            normal="Few verifications are wrong.",
            act="Many wrong answers mean that somebody guesses codes: look for one player or address.",
        ),
    ),
)

RAILS: Final = Dashboard(
    uid="prizewire-rails",
    title="Prizewire: Payouts by rail",
    description="Whether each rail pays, how long it takes, what waits, and what a guard stopped.",
    rows=(_NOW, _PAYOUTS, _CALLS, _GUARDS),
    variables=(Variable(name="rail", label="Rail", metric="prizewire_rail_circuit"),),
    procedures=("provider-retry", "payout-dispute"),
)
