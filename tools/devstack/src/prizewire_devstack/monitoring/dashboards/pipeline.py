"""The dashboard of events on their way: consumers, outboxes, stuck events, parts of large results."""

from typing import Final

from prizewire_devstack.monitoring.dashboards.making import compared, lines, number
from prizewire_devstack.monitoring.expressions import (
    largest,
    per_second,
    quantile,
    risen,
    share_of,
    summed,
    total,
)
from prizewire_devstack.monitoring.panels import Dashboard, Kind, Row, Unit, Variable

_SERVICE: Final = 'service=~"$service"'
_KEY: Final = ("service", "consumer")
_CONSUMER: Final = "{{service}} {{consumer}}"

_NOW: Final = Row(
    title="Now",
    panels=(
        number(
            "Messages that wait",
            summed("prizewire_consumer_lag_messages", where=_SERVICE),
            columns=6,
            shows="Messages in Kafka that no consumer has processed yet; no number while no broker answers.",
            normal="It is near zero.",
            act="Look below which consumer is behind.",
        ),
        number(
            "Stuck events",
            total("prizewire_stuck_events", of=("service", "state"), where=_SERVICE),
            alert="PrizewireStuckEvent",
            columns=6,
            shows="Dead and parked events that wait for a person.",
            normal="It is zero.",
            act="`prizewire stuck list` lists them with their reasons.",
        ),
        number(
            "Parked subjects",
            total("prizewire_parked_subjects", of=("service",), where=_SERVICE),
            alert="PrizewireSubjectParked",
            columns=6,
            shows="Subjects whose events wait behind a parked event.",
            normal="It is zero.",
            act="Replay or discard the first parked event: the others follow.",
        ),
        number(
            "Oldest event in an outbox",
            largest("prizewire_outbox_age_seconds", where=_SERVICE),
            unit=Unit.SECONDS,
            alert="PrizewireOutboxOld",
            columns=6,
            shows="Age of the oldest event that a service has committed and not published.",
            normal="It is below a second or two.",
            act="Look whether Kafka takes messages.",
        ),
    ),
)

_CONSUMERS: Final = Row(
    title="Consumers",
    panels=(
        lines(
            "Lag in messages",
            (summed("prizewire_consumer_lag_messages", *_KEY, where=_SERVICE), _CONSUMER),
            shows="Messages in the topic after those that the consumer has processed; no line while no broker answers.",
            normal="It rises with a large round and falls within seconds.",
            act="If it only rises, look at the retries and at the service's log.",
        ),
        lines(
            "Lag in seconds",
            (largest("prizewire_consumer_lag_seconds", *_KEY, where=_SERVICE), _CONSUMER),
            unit=Unit.SECONDS,
            alert="PrizewireConsumerLag",
            shows="How long the oldest message that waits has been waiting; no line while no broker answers.",
            normal="It is 0 or a few seconds.",
            act="If it rises as fast as the clock, the consumer stands still: follow the runbook.",
        ),
        lines(
            "Time since a poll",
            (largest("prizewire_consumer_poll_age_seconds", *_KEY, where=_SERVICE), _CONSUMER),
            unit=Unit.SECONDS,
            alert="PrizewireConsumerStalled",
            shows="Time since a consumer last polled Kafka without an error.",
            normal="It is a few seconds.",
            act="Look whether the broker answers; then restart the service.",
        ),
        lines(
            "Time since any consumer got an answer",
            ("min (prizewire_consumer_poll_age_seconds)", "newest"),
            unit=Unit.SECONDS,
            alert="PrizewireKafkaLost",
            shows="Time since a broker last answered a consumer of any service.",
            normal="It is below a second or two.",
            act="If it rises, no service reaches Kafka: follow the runbook.",
        ),
        lines(
            "Events a second",
            (
                per_second("prizewire_events_total", *_KEY, "outcome", where=_SERVICE),
                _CONSUMER + " {{outcome}}",
            ),
            unit=Unit.PER_SECOND,
            shows="Events consumed, by outcome.",
            normal="Almost all are applied.",
            act="If many are dead or parked, read their reasons below.",
        ),
        lines(
            "Batch time, 95th percentile",
            (quantile(0.95, "prizewire_batch_seconds", *_KEY, where=_SERVICE), _CONSUMER),
            unit=Unit.SECONDS,
            shows="The time from a batch to its commit that 95 % of batches did not exceed.",
            normal="It is below a second.",
            act="If it rises, look at the database: locks, disk, processors.",
        ),
        lines(
            "Events in a batch, median",
            (quantile(0.5, "prizewire_batch_events", *_KEY, where=_SERVICE), _CONSUMER),
            shows="The number of events that half of the batches did not exceed.",
            normal="It is small without load, and large under load.",
            act="Small batches and a growing lag mean that Kafka is slow.",
        ),
        lines(
            "Retries of batches an hour",
            (risen("prizewire_batch_retries_total", *_KEY, "kind", where=_SERVICE), _CONSUMER + " {{kind}}"),
            shows="Batches that were tried again, by kind of failure.",
            normal="Transient ones appear while a database restarts.",
            act="Unexpected ones are faults of the code or data: read the service's log.",
        ),
        lines(
            "Offsets that were wrong",
            (
                risen("prizewire_consumer_offsets_wrong_total", *_KEY, "reason", where=_SERVICE),
                _CONSUMER + " {{reason}}",
            ),
            (risen("prizewire_consumer_rewound_total", *_KEY, where=_SERVICE), _CONSUMER + " messages again"),
            alert="PrizewireOffsetsWrong",
            shows="Partitions whose stored offset does not fit the topic, and messages that were processed again, in an hour.",
            normal="All are zero.",
            act="Somebody restored a database or a topic: follow the runbook.",
        ),
    ),
)

_STUCK: Final = Row(
    title="Stuck events",
    panels=(
        lines(
            "Stuck events by state",
            (largest("prizewire_stuck_events", "service", "state", where=_SERVICE), "{{service}} {{state}}"),
            alert="PrizewireStuckEvent",
            shows="Dead and parked events that wait for a person, by service.",
            normal="All are zero.",
            act="`prizewire stuck list` lists them with their reasons.",
        ),
        lines(
            "Oldest stuck event",
            (
                largest("prizewire_stuck_oldest_seconds", "service", "state", where=_SERVICE),
                "{{service}} {{state}}",
            ),
            unit=Unit.SECONDS,
            shows="How long the oldest stuck event has been waiting for a person.",
            normal="It is 0.",
            act="Decide the oldest first: `prizewire stuck show REF`.",
        ),
        lines(
            "Parked subjects by service",
            (largest("prizewire_parked_subjects", "service", where=_SERVICE), "{{service}}"),
            alert="PrizewireSubjectParked",
            shows="Subjects whose events wait behind a parked event.",
            normal="All are zero.",
            act="Replay or discard the first parked event of the subject.",
        ),
        compared(
            "Refused messages, 24 h",
            (
                risen(
                    "prizewire_events_refused_total",
                    "service",
                    "state",
                    "reason",
                    where=_SERVICE,
                    within="24h",
                )
                + " > 0",
                "messages",
            ),
            kind=Kind.TABLE,
            shows="Messages that were not applied, by state and reason.",
            normal="The table is short.",
            act="docs/stuck-reasons.md says what each reason means and what to do.",
        ),
        lines(
            "Discarded events, 24 h",
            (
                risen(
                    "prizewire_stuck_events_discarded_total",
                    "service",
                    "holds_money",
                    where=_SERVICE,
                    within="24h",
                ),
                "{{service}}, holds money: {{holds_money}}",
            ),
            shows="Stuck events that a person discarded.",
            normal="None that holds money is discarded.",
            act="Ask who discarded an event that holds money, and what pays the prize now.",
        ),
    ),
)

_OUTBOX: Final = Row(
    title="Outboxes",
    panels=(
        lines(
            "Events in outboxes",
            (largest("prizewire_outbox_waiting", "service", where=_SERVICE), "{{service}}"),
            shows="Events that a service has committed and not published.",
            normal="It is near zero.",
            act="Look whether Kafka takes messages.",
        ),
        lines(
            "Age of the oldest event in an outbox",
            (largest("prizewire_outbox_age_seconds", "service", where=_SERVICE), "{{service}}"),
            unit=Unit.SECONDS,
            alert="PrizewireOutboxOld",
            shows="Age of the oldest event that waits in the outbox.",
            normal="It is below a second or two.",
            act="Look whether Kafka takes messages.",
        ),
        lines(
            "Outbox blocked",
            (largest("prizewire_outbox_blocked", "service", where=_SERVICE), "{{service}}"),
            unit=Unit.YES_NO,
            alert="PrizewireOutboxBlocked",
            shows="1 while Kafka refuses the next event for what it is, and everything waits behind it.",
            normal="It is 0.",
            act="Follow the runbook: the event must not be deleted.",
        ),
        lines(
            "Events published a second",
            (per_second("prizewire_outbox_published_total", "service", where=_SERVICE), "{{service}}"),
            unit=Unit.PER_SECOND,
            shows="Events that services published to Kafka.",
            normal="It follows the rounds.",
            act="If it is zero while events wait, look at the broker.",
        ),
    ),
)

_ROUNDS: Final = Row(
    title="Rounds",
    panels=(
        lines(
            "Rounds that have not ended",
            (largest("prizewire_settlement_rounds", "state"), "{{state}}"),
            shows="Rounds by state: open, closed, resolved, settled.",
            normal="Settled ones become final after their dispute window.",
            act="If closed rounds grow, results are missing: ask the game server's operators.",
        ),
        lines(
            "Time to settle a round, median and 95th percentile",
            (quantile(0.5, "prizewire_settlement_round_resolution_seconds", within="1h"), "median"),
            (quantile(0.95, "prizewire_settlement_round_resolution_seconds", within="1h"), "95th percentile"),
            unit=Unit.SECONDS,
            shows="Time from the first report of a match's end to the settled round.",
            normal="It is below a second or two.",
            act="If it rises, look at settlement's lag.",
        ),
        lines(
            "Rounds an hour",
            (risen("prizewire_settlement_rounds_settled_total"), "settled"),
            (risen("prizewire_settlement_rounds_corrected_total"), "corrected"),
            (risen("prizewire_settlement_rounds_voided_total"), "voided"),
            (risen("prizewire_settlement_rounds_finalized_total"), "final"),
            shows="Rounds that settlement settled, corrected, voided and made final.",
            normal="Few are corrected or voided.",
            act="Ask the game server's operators about many corrections.",
        ),
        lines(
            "Reports refused an hour",
            (risen("prizewire_settlement_reports_refused_total", "reason"), "{{reason}}"),
            shows="Match reports that were not applied, by reason.",
            normal="All are near zero.",
            act="Reasons about signatures or sources may be an attack: ask the owner of the source.",
        ),
        lines(
            "Rounds that rewards refused",
            (largest("prizewire_settlement_rounds_refused"), "rounds"),
            alert="PrizewireRoundRefused",
            shows="Rounds whose newest settlement rewards can never book, or that two admins disowned.",
            normal="It is zero.",
            act="Resettle or void the round.",
        ),
        lines(
            "Parts of large results missing",
            (largest("prizewire_settlement_results_incomplete"), "results at settlement"),
            (largest("prizewire_rewards_parts_missing"), "settlements at rewards"),
            alert="PrizewireResultPartsMissing",
            shows="Results and settlements that wait for a part for longer than allowed.",
            normal="Both are zero.",
            act="Ask the game server's operators to send the result again.",
        ),
        lines(
            "Oldest part that waits",
            (largest("prizewire_settlement_results_incomplete_age_seconds"), "settlement"),
            (largest("prizewire_rewards_parts_oldest_seconds"), "rewards"),
            unit=Unit.SECONDS,
            shows="How long the oldest part of a large result has been waiting for the others.",
            normal="It is 0 most of the time.",
            act="Look for messages of the round that are stuck.",
        ),
        lines(
            "Work of large rounds",
            (largest("prizewire_rewards_round_work"), "steps"),
            shows="Steps of work that wait, on the lines of large rounds.",
            normal="It falls after each large round.",
            act="If it stays, look at the jobs of rewards on the dashboard Service health.",
        ),
        lines(
            "Prize lines an hour",
            (risen("prizewire_settlement_lines_total"), "settled lines"),
            shows="Prize lines of settled and corrected rounds.",
            normal="It follows the rounds.",
            act="Compare it with the lines that rewards booked.",
        ),
    ),
)

_WEBHOOKS: Final = Row(
    title="Webhooks to subscribers",
    panels=(
        lines(
            "Attempts an hour",
            (risen("prizewire_webhook_attempts_total", "outcome"), "{{outcome}}"),
            shows="Attempts to deliver, by outcome.",
            normal="Most are delivered at once.",
            act="Failed and refused ones are the subscriber's: ask the owner of the URL.",
        ),
        lines(
            "Share of attempts that failed, 1 h",
            (
                share_of(
                    risen("prizewire_webhook_attempts_total", where='outcome=~"refused|failed|gone"'),
                    risen("prizewire_webhook_attempts_total"),
                ),
                "failed",
            ),
            unit=Unit.SHARE,
            alert="PrizewireWebhookDeliveryFailure",
            shows="Attempts that a subscriber did not take, divided by all attempts of the last hour.",
            normal="It is below 0.1.",
            act="Ask the owner of the URL that fails.",
        ),
        lines(
            "Deliveries that have not ended",
            (largest("prizewire_webhook_deliveries_open", "state"), "{{state}}"),
            (summed("prizewire_webhook_in_flight"), "under way"),
            shows="Deliveries that have not ended, by state, and attempts under way.",
            normal="It falls to zero.",
            act="If it grows, one subscriber does not answer.",
        ),
        lines(
            "Oldest delivery",
            (largest("prizewire_webhook_oldest_seconds"), "oldest"),
            unit=Unit.SECONDS,
            shows="Age of the oldest delivery that has not ended.",
            normal="It is near 0.",
            act="Ask the subscriber; deliveries are tried for days.",
        ),
        lines(
            "Time to deliver, 95th percentile",
            (quantile(0.95, "prizewire_webhook_attempt_seconds", within="1h"), "one attempt"),
            (quantile(0.95, "prizewire_webhook_delivery_seconds", within="1h"), "event to answer"),
            unit=Unit.SECONDS,
            shows="The time that 95 % of attempts, and of whole deliveries, did not exceed.",
            normal="Both are below a second or two.",
            act="Ask the subscriber whose answers are slow.",
        ),
        lines(
            "Subscriptions",
            (largest("prizewire_webhook_subscriptions", "state"), "{{state}}"),
            shows="Subscriptions by state.",
            normal="They change when a person changes them, or when a subscriber answers 410.",
            act="Ask who disabled a subscription.",
        ),
    ),
)

PIPELINE: Final = Dashboard(
    uid="prizewire-pipeline",
    title="Prizewire: Pipeline",
    description="Whether events move from match result to payment: lag, outboxes, stuck events, rounds, webhooks.",
    rows=(_NOW, _CONSUMERS, _STUCK, _OUTBOX, _ROUNDS, _WEBHOOKS),
    variables=(Variable(name="service", label="Service", metric="prizewire_build_info"),),
    procedures=("parked-subject", "broker-lost"),
)
