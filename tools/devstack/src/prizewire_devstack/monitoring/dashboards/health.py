"""The dashboard of the services themselves: whether they run, answer, check and hold valid credentials."""

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
_BACKUP: Final = "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp"
_API: Final = f'{_SERVICE},route=~"/api/.*"'
# Prometheus calls the label `job` of a metric `task`, since the targets have a label `job` of their own.

_NOW: Final = Row(
    title="Now",
    panels=(
        number(
            "Processes that answer",
            f'sum by (service) (up{{job="prizewire",{_SERVICE}}})',
            legend="{{service}}",
            alert="PrizewireServiceDown",
            least=True,
            columns=10,
            shows="Processes of each service whose metrics Prometheus reads.",
            normal="It is the number of replicas.",
            act="Look at the log of the missing one, and start it again.",
        ),
        number(
            "Broken invariants",
            total("prizewire_invariant_breaches", of=("service", "name"), where=_SERVICE),
            alert="PrizewireInvariantBroken",
            columns=7,
            shows="Breaches that the last checks found in all services.",
            normal="It is zero.",
            act="Pause payouts, then find the breach: `prizewire verify`.",
        ),
        number(
            "First credential that ends",
            f"min (prizewire_credential_expires_timestamp_seconds{{{_SERVICE}}}) - time()",
            legend="from now",
            unit=Unit.SECONDS,
            alert="PrizewireCredentialExpiring",
            least=True,
            columns=7,
            shows="Time until the first certificate, token or legal approval ends.",
            normal="It is above fourteen days.",
            act="Renew it: the table below names it.",
        ),
    ),
)

_HTTP: Final = Row(
    title="HTTP",
    panels=(
        lines(
            "Requests a second",
            (per_second("prizewire_http_requests_total", "service", where=_SERVICE), "{{service}}"),
            unit=Unit.PER_SECOND,
            shows="HTTP requests that each service answered.",
            normal="It follows the players' day.",
            act="If it is many times the usual number, look for a script.",
        ),
        lines(
            "Share of requests with status 5xx",
            (
                share_of(
                    risen(
                        "prizewire_http_requests_total", "service", where=f'{_API},status=~"5.."', within="5m"
                    ),
                    risen(
                        "prizewire_http_requests_total", "service", where=f'{_API},status!~"4.."', within="5m"
                    ),
                ),
                "{{service}}",
            ),
            unit=Unit.SHARE,
            alert="PrizewireApiErrors",
            shows="Answers of the API with status 500 to 599, divided by all but the refused ones (4xx), of the last five minutes.",
            normal="There is no line, or it is below 0.001.",
            act="Read the service's log at the time of the errors.",
        ),
        lines(
            "Time to answer, 95th percentile",
            (quantile(0.95, "prizewire_http_request_seconds", "service", where=_SERVICE), "{{service}}"),
            unit=Unit.SECONDS,
            shows="The time that 95 % of answers did not exceed.",
            normal="It is below half a second.",
            act="Look at the database, then at the routes in the table.",
        ),
        compared(
            "Requests by route, 24 h",
            (
                "topk(20, "
                + risen(
                    "prizewire_http_requests_total",
                    "service",
                    "method",
                    "route",
                    "status",
                    where=_SERVICE,
                    within="24h",
                )
                + ")",
                "requests",
            ),
            kind=Kind.TABLE,
            shows="The twenty most frequent requests by route and status.",
            normal="Statuses of 400 and above are few.",
            act="Look at the client of a route that answers 4xx often.",
        ),
        lines(
            "Requests refused an hour",
            (
                risen("prizewire_http_refused_total", "service", "code", where=_SERVICE),
                "{{service}} {{code}}",
            ),
            shows="Requests and connections that were refused before a route was called.",
            normal="It is near zero.",
            act="Many refusals are an attack or a faulty client: find its address at the gateway.",
        ),
        lines(
            "Open connections",
            (summed("prizewire_http_connections", "service", where=_SERVICE), "{{service}}"),
            shows="Open connections of each service's HTTP server.",
            normal="It is steady.",
            act="If it only rises, a client does not close connections.",
        ),
    ),
)

_CHECKS: Final = Row(
    title="Checks and jobs",
    panels=(
        lines(
            "Broken invariants by name",
            (
                largest("prizewire_invariant_breaches", "service", "name", where=_SERVICE),
                "{{service}} {{name}}",
            ),
            alert="PrizewireInvariantBroken",
            shows="Breaches that the last run of each invariant's check found.",
            normal="All are zero.",
            act="Pause payouts, then find the breach: `prizewire verify`.",
        ),
        lines(
            "Time since the oldest check",
            (
                f"time() - min by (service) (max by (service, name) (prizewire_invariant_checked_timestamp_seconds{{{_SERVICE}}}))",
                "{{service}}",
            ),
            unit=Unit.SECONDS,
            alert="PrizewireChecksNotRun",
            shows="Time since the invariant that was not checked for longest was checked.",
            normal="It is below the interval of the checks.",
            act="Look at the failures of jobs.",
        ),
        compared(
            "Slowest checks",
            (
                "topk(10, "
                + largest("prizewire_invariant_check_seconds", "service", "name", where=_SERVICE)
                + ")",
                "{{service}} {{name}}",
            ),
            kind=Kind.BAR,
            unit=Unit.SECONDS,
            shows="How long the last run of each of the ten slowest checks took.",
            normal="It is below a few seconds.",
            act="Look at the database if one needs minutes.",
        ),
        lines(
            "Failures of jobs an hour",
            (
                risen("prizewire_job_failures_total", "service", "task", where=_SERVICE),
                "{{service}} {{task}}",
            ),
            alert="PrizewireJobFailing",
            shows="Runs of periodic jobs that raised an error.",
            normal="All are zero.",
            act="Read the service's log: the job's name stands in it.",
        ),
        lines(
            "Rows postponed",
            (
                largest("prizewire_rows_postponed", "service", "task", where=_SERVICE),
                "{{service}} {{task}}",
            ),
            alert="PrizewireRowsPostponed",
            shows="Rows that a job leaves out, because it failed on each of them alone.",
            normal="All are zero.",
            act="Read the service's log: each row's reason stands in it.",
        ),
        lines(
            "Ledger checks of rewards",
            (risen("prizewire_rewards_invariant_looked_at_total"), "items looked at"),
            (risen("prizewire_rewards_invariant_whole_total"), "whole passes"),
            (largest("prizewire_rewards_ledger_behind"), "transfers after the checkpoint"),
            (risen("prizewire_rewards_ledger_rolled_up_total"), "movements added to balances"),
            shows="How far the continuous checks of the ledger have come, an hour.",
            normal="Items are looked at all the time.",
            act="If nothing is looked at, the job does not run.",
        ),
    ),
)

_TRUST: Final = Row(
    title="Credentials, versions, refused facts",
    panels=(
        compared(
            "Credentials",
            (
                f"min by (service, kind, name) (prizewire_credential_expires_timestamp_seconds{{{_SERVICE}}}) - time()",
                "ends in",
            ),
            kind=Kind.TABLE,
            unit=Unit.SECONDS,
            alert="PrizewireCredentialExpiring",
            least=True,
            shows="Time until each certificate, token and legal approval ends.",
            normal="All are above fourteen days.",
            act="Renew the first: docs/runbooks/key-rotation.md.",
        ),
        compared(
            "Versions",
            (f"count by (service, version) (prizewire_build_info{{{_SERVICE}}})", "processes"),
            kind=Kind.TABLE,
            shows="Processes of each service by version.",
            normal="Each service has one version, except during a release.",
            act="If two versions stay, the release did not finish: docs/runbooks/bad-release.md.",
        ),
        lines(
            "Spans lost an hour",
            (
                risen("prizewire_spans_lost_total", "service", "reason", where=_SERVICE),
                "{{service}} {{reason}}",
            ),
            shows="Spans of traces that did not reach the collector.",
            normal="It is 0, also without a collector.",
            act="If it rises, the collector is away or too slow: docs/tracing.md. Payments do not depend on it.",
        ),
        lines(
            "Keys of access tokens",
            (f"min by (service) (prizewire_token_keys{{{_SERVICE}}})", "{{service}} keys"),
            (
                risen("prizewire_token_key_reads_total", "service", "outcome", where=_SERVICE),
                "{{service}} reads {{outcome}}",
            ),
            shows="Public keys that access tokens are checked with, and reads of them in an hour.",
            normal="No read fails.",
            act="If reads fail, the identity provider does not answer: the former keys serve.",
        ),
        lines(
            "Refused facts of players, 24 h",
            (
                risen("prizewire_rewards_player_events_refused_total", "code", within="24h"),
                "rewards {{code}}",
            ),
            (
                risen("prizewire_payouts_player_events_refused_total", "code", within="24h"),
                "payouts {{code}}",
            ),
            shows="Facts of players that were refused, since their source may not report them or did not sign them.",
            normal="All are zero.",
            act="Ask the owner of the source; a forged fact is an attack.",
        ),
        lines(
            "Events that do not fit, 24 h",
            (risen("prizewire_rewards_refused_total", "code", within="24h"), "rewards {{code}}"),
            (risen("prizewire_rewards_rounds_refused_total", "code", within="24h"), "rounds {{code}}"),
            (risen("prizewire_rewards_disowned_events_total", within="24h"), "of disowned rounds"),
            shows="Authentic events that rewards could not book.",
            normal="All are zero.",
            act="Settlement shows the rounds; a person must resettle or void them.",
        ),
        lines(
            "Decisions of admins, 24 h",
            (
                risen("prizewire_rewards_fee_withdrawals_total", "outcome", within="24h"),
                "fee withdrawals {{outcome}}",
            ),
            (
                risen("prizewire_rewards_payee_assignments_total", "outcome", within="24h"),
                "payee assignments {{outcome}}",
            ),
            (
                risen("prizewire_rewards_disownments_total", "outcome", within="24h"),
                "disownments {{outcome}}",
            ),
            (
                risen("prizewire_payouts_rotated_rows_total", "table", within="24h"),
                "rows encrypted again {{table}}",
            ),
            shows="Withdrawals of fees, payee assignments, disowned rounds, and rows that a new key encrypted.",
            normal="You know each of them.",
            act="The audit says who decided.",
        ),
        lines(
            "Wallets, 24 h",
            (risen("prizewire_rewards_entries_total", "state", within="24h"), "entries {{state}}"),
            (risen("prizewire_rewards_topups_total", "what", within="24h"), "top-ups {{what}}"),
            (
                risen("prizewire_rewards_auto_withdrawals_total", "outcome", within="24h"),
                "automatic withdrawals {{outcome}}",
            ),
            (risen("prizewire_rewards_payout_retries_total", "outcome", within="24h"), "retries {{outcome}}"),
            (risen("prizewire_rewards_receivables_opened_total", within="24h"), "debts opened"),
            (risen("prizewire_rewards_receivables_netted_total", within="24h"), "debts recovered"),
            (
                risen("prizewire_rewards_claims_overdue_total", "rule", within="24h"),
                "claims overdue {{rule}}",
            ),
            shows="Entries, top-ups, automatic withdrawals, retries, debts and overdue claims of the last day.",
            normal="Disputes, debts and overdue claims are few.",
            act="Ask players' support about disputes; decide held claims in time.",
        ),
    ),
)

_WATCHING: Final = Row(
    title="Monitoring and backups",
    panels=(
        lines(
            "Targets of Prometheus",
            (f'count by (service) (up{{job="prizewire",{_SERVICE}}})', "{{service}}"),
            alert="PrizewireTargetMissing",
            shows="Processes of each service that Prometheus knows, whether they answer or not.",
            normal="Each of the five services has a line, at its number of replicas.",
            act="A service without a line is watched by no other alert: follow the runbook.",
        ),
        lines(
            "Notifications that failed, 10 min",
            (
                risen("alertmanager_notifications_failed_total", "integration", within="10m"),
                "{{integration}}",
            ),
            (risen("prometheus_notifications_dropped_total", within="10m"), "dropped by Prometheus"),
            alert="PrizewireNotificationsFailing",
            shows="Notifications that a receiver did not take, and those that Prometheus could not give to Alertmanager.",
            normal="All are zero.",
            act="Read the log of Alertmanager: the secret of a receiver may have changed.",
        ),
        lines(
            "Configuration taken",
            ("min by (job) (alertmanager_config_last_reload_successful)", "{{job}}"),
            ("min by (job) (prometheus_config_last_reload_successful)", "{{job}}"),
            unit=Unit.YES_NO,
            alert="PrizewireMonitoringConfigRefused",
            least=True,
            shows="1 while Alertmanager and Prometheus work with their newest configuration.",
            normal="Both are 1.",
            act="Correct the file that the log names.",
        ),
        lines(
            "Evaluations of rules that failed, 10 min",
            (
                # the label is the path of the file, which is another one on each installation
                (
                    "sum by (rule_group) (label_replace(increase(prometheus_rule_evaluation_failures_total[10m]), "
                    '"rule_group", "$1", "rule_group", "(?:.*/)?(.*)"))'
                ),
                "{{rule_group}}",
            ),
            alert="PrizewireRuleEvaluationFailing",
            shows="Evaluations of alert rules that raised an error, by file and group.",
            normal="All are zero.",
            act="Prometheus shows the error of each rule at /rules.",
        ),
        lines(
            "Age of the newest base backup",
            (
                f'time() - max by (namespace) ({_BACKUP}{{namespace=~"prizewire.*"}})',
                "{{namespace}}",
            ),
            unit=Unit.SECONDS,
            alert="PrizewireBackupOld",
            shows="Time since the last base backup of the databases in a cluster; nothing outside of Kubernetes.",
            normal="It is below a day.",
            act="Look at the backups of the PostgreSQL clusters: follow the runbook.",
        ),
        lines(
            "Time since the log was archived",
            (
                'max by (namespace) (cnpg_pg_stat_archiver_seconds_since_last_archival{namespace=~"prizewire.*"})',
                "{{namespace}}",
            ),
            unit=Unit.SECONDS,
            alert="PrizewireBackupOld",
            shows="Time since write-ahead log of the databases was archived; nothing outside of Kubernetes.",
            normal="It is below five minutes.",
            act="Look whether the object storage takes files: follow the runbook.",
        ),
    ),
)

HEALTH: Final = Dashboard(
    uid="prizewire-health",
    title="Prizewire: Service health",
    description="Whether each service runs, answers, checks its invariants, and holds valid credentials.",
    rows=(_NOW, _HTTP, _CHECKS, _TRUST, _WATCHING),
    variables=(Variable(name="service", label="Service", metric="prizewire_build_info"),),
    procedures=("bad-release", "database-lost", "key-rotation"),
)
