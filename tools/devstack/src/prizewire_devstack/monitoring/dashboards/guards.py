"""The row of the dashboard of rails about persons, guards and money."""

from typing import Final

from prizewire_devstack.monitoring.dashboards.making import compared, lines, number
from prizewire_devstack.monitoring.expressions import largest, risen
from prizewire_devstack.monitoring.panels import Kind, Row, Unit

_RAIL: Final = 'rail=~"$rail"'

GUARDS: Final = Row(
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
            "Readings of the treasury that failed",
            (risen("prizewire_treasury_read_failures_total", "rail", where=_RAIL), "{{rail}}"),
            shows="Readings of a rail's account that failed in the last hour; the balance is not shown then.",
            normal="All are zero.",
            act="Look whether the network of the rail answers.",
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
            "Evidence of persons, 24 h",
            (risen("prizewire_payout_evidence_total", "state", within="24h"), "{{state}}"),
            (largest("prizewire_payout_evidence_waiting"), "waiting for a second person"),
            shows="Evidence of persons about payments, by the state it reached, and what waits.",
            normal="None waits for long.",
            act="Ask a second person to decide.",
        ),
        lines(
            "Contradicted evidence an hour",
            (risen("prizewire_payout_evidence_contradicted_total"), "lines"),
            alert="PrizewireEvidenceContradicted",
            shows="Lines of answer files that report another end than was proved.",
            normal="It is zero.",
            act="Compare the bank's statement with the payout before anybody decides.",
        ),
        lines(
            "Age of the deny list",
            ("time() - (" + largest("prizewire_deny_list_written_timestamp_seconds") + " > 0)", "age"),
            unit=Unit.SECONDS,
            alert="PrizewireDenyListStale",
            shows="Time since the file of the deny list was written; nothing where no list is configured.",
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
