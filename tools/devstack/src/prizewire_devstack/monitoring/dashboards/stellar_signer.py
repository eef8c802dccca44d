"""The dashboard of payments on Stellar and of the signer."""

from typing import Final

from prizewire_devstack.monitoring.dashboards.making import compared, lines, number
from prizewire_devstack.monitoring.expressions import largest, quantile, risen, total
from prizewire_devstack.monitoring.panels import Dashboard, Kind, Row, Unit

_NOW: Final = Row(
    title="Now",
    panels=(
        number(
            "Slots that are not done",
            total("prizewire_stellar_slots", of=("state",), where='state!~"done|released"'),
            columns=6,
            shows="Slots of Stellar transactions that have not ended.",
            normal="It is near the number of channels in use.",
            act="If it stays while nothing is paid, look at the states below.",
        ),
        number(
            "Channels in use",
            largest("prizewire_stellar_channels", where='state="in_use"'),
            columns=6,
            shows="Channel accounts that a transaction uses now.",
            normal="It is below the number of channels.",
            act="If all are in use for long, the network does not confirm: look at the time to confirm.",
        ),
        number(
            "Oldest signing request",
            largest("prizewire_signer_oldest_seconds"),
            unit=Unit.SECONDS,
            alert="PrizewireSigningSlow",
            columns=6,
            shows="Age of the oldest signing request without an answer.",
            normal="It is below a few seconds.",
            act="Look whether the key backend answers.",
        ),
        number(
            "Refusals of the signer, 24 h",
            risen("prizewire_signer_refusals_total", within="24h"),
            alert="PrizewireSignerRefusal",
            columns=6,
            shows="Signing requests that the signer refused in the last day.",
            normal="It is near zero.",
            act="Read the codes below.",
        ),
    ),
)

_STELLAR: Final = Row(
    title="Stellar",
    panels=(
        lines(
            "Slots by state",
            (largest("prizewire_stellar_slots", "state"), "{{state}}"),
            shows="Slots of Stellar transactions by state.",
            normal="Most of those that have not ended wait for the ledger.",
            act="A slot in review waits for a person: look at its payouts.",
        ),
        lines(
            "Channels",
            (largest("prizewire_stellar_channels", "state"), "{{state}}"),
            shows="Channel accounts that are idle or in use.",
            normal="Some are idle.",
            act="Add channels if none is idle for long and payouts wait.",
        ),
        lines(
            "Steps of transactions an hour",
            (risen("prizewire_stellar_steps_total", "state"), "{{state}}"),
            shows="Steps of Stellar transactions by the state they led to.",
            normal="None leads to review.",
            act="`review` means that a person must look at the transaction.",
        ),
        lines(
            "Trouble an hour",
            (risen("prizewire_stellar_voids_total"), "voided slots"),
            (risen("prizewire_stellar_signer_waits_total"), "waits for an earlier slot"),
            (risen("prizewire_stellar_unknown_answers_total", "kind"), "unknown answers {{kind}}"),
            (risen("prizewire_stellar_contradictions_total"), "contradictions"),
            shows="Voided slots, waits, answers to unknown requests, and ends that the ledger contradicts.",
            normal="All are near zero.",
            act="Contradictions and unknown answers may be an attack: pause the rail and look.",
        ),
        lines(
            "Time to confirm on Stellar, median and 95th percentile",
            (
                quantile(0.5, "prizewire_payout_confirmation_seconds", where='rail="stellar"', within="1h"),
                "median",
            ),
            (
                quantile(0.95, "prizewire_payout_confirmation_seconds", where='rail="stellar"', within="1h"),
                "95th percentile",
            ),
            unit=Unit.SECONDS,
            shows="The time from the first send to the proof of payment that half and 95 % of payouts did not exceed.",
            normal="It is about two ledgers: ten seconds.",
            act="If it rises, the network is busy: look at fees.",
        ),
        compared(
            "Treasury on Stellar",
            (largest("prizewire_treasury_balance", "asset", where='rail="stellar"'), "balance"),
            (largest("prizewire_treasury_needed", "asset", where='rail="stellar"'), "needed"),
            kind=Kind.TABLE,
            unit=Unit.MONEY,
            shows="What the treasury has, and what approved payouts that are not sent need.",
            normal="The balance is several times what is needed.",
            act="Send money to the treasury account.",
        ),
    ),
)

_SIGNER: Final = Row(
    title="Signer",
    panels=(
        lines(
            "Signatures an hour",
            (risen("prizewire_signer_signatures_total", "kind"), "{{kind}}"),
            (risen("prizewire_signer_closings_total", "outcome"), "closings {{outcome}}"),
            shows="Transactions that were signed, and closings of payouts and slots.",
            normal="They follow the payouts.",
            act="If there are signatures and no payouts, stop the signer and look.",
        ),
        lines(
            "Refusals an hour",
            (risen("prizewire_signer_refusals_total", "code"), "{{code}}"),
            alert="PrizewireSignerRefusal",
            shows="Refused requests by the first code of the answer.",
            normal="All are near zero.",
            act="The runbook says for each code whether it is a limit, a fault or an attack.",
        ),
        lines(
            "Requests without an answer",
            (largest("prizewire_signer_waiting"), "waiting"),
            (largest("prizewire_signer_not_free_yet"), "payouts of closed slots"),
            shows="Signing requests that wait, and payouts of closed slots that a signature might still pay.",
            normal="Both fall to zero.",
            act="If requests wait, look at the key backend.",
        ),
        lines(
            "Oldest request without an answer",
            (largest("prizewire_signer_oldest_seconds"), "oldest"),
            unit=Unit.SECONDS,
            alert="PrizewireSigningSlow",
            shows="Age of the oldest signing request without an answer.",
            normal="It is below a few seconds.",
            act="Look whether the key backend answers.",
        ),
        lines(
            "Time to sign, 95th percentile",
            (quantile(0.95, "prizewire_signer_sign_seconds", within="1h"), "95th percentile"),
            unit=Unit.SECONDS,
            shows="The time from a stored digest to its answer that 95 % did not exceed.",
            normal="It is below a second.",
            act="Ask the operators of the key backend.",
        ),
        lines(
            "Failures of the key backend an hour",
            (risen("prizewire_signer_backend_failures_total", "code"), "{{code}}"),
            alert="PrizewireSignerBackendFailing",
            shows="Signatures that the key backend did not give, by code.",
            normal="All are zero.",
            act="Look whether the backend is sealed, unreachable, or refuses the token.",
        ),
        lines(
            "Used part of the day's limit",
            (largest("prizewire_signer_limit_used_ratio", "scope", "asset"), "{{scope}} {{asset}}"),
            unit=Unit.SHARE,
            alert="PrizewireLimitNear",
            shows="Used part of the UTC day's limit of the signer, by scope and asset.",
            normal="It stays below 0.8.",
            act="At 1 the signer refuses until the next UTC day: two persons may raise the limit.",
        ),
        compared(
            "The day's limits",
            (largest("prizewire_signer_limit_ceiling", "scope", "asset"), "limit"),
            kind=Kind.TABLE,
            unit=Unit.MONEY,
            shows="The signer's limits of the present UTC day, in units of the asset.",
            normal="They change only when two persons change them.",
            act="Ask who changed a limit.",
        ),
    ),
)

STELLAR_SIGNER: Final = Dashboard(
    uid="prizewire-stellar-signer",
    title="Prizewire: Stellar and signer",
    description="Slots, channels and transactions on Stellar, and what the signer signs and refuses.",
    rows=(_NOW, _STELLAR, _SIGNER),
    procedures=("key-rotation",),
)
