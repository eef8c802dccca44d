"""An outage is logged, and does not fill the disk with logs."""

import json
from typing import Any

from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync

LINES_MAX = 150
"""The most lines of one service from the end of Kafka until its first sums; without sums there are thousands."""
SUMMED_DEADLINE_S = 600


def test_an_outage_of_kafka_does_not_fill_the_logs(full_stack: RunningStack) -> None:
    """Each service's client libraries retry without end: few log lines stand for the repeated ones."""
    began_at = {service: len(full_stack.log(service)) for service in SERVICES}

    def lines(service: str) -> list[dict[str, Any]]:
        said = full_stack.log(service)[began_at[service] :]
        return [json.loads(line) for line in said.splitlines() if line.endswith("}")]

    def summed() -> bool:
        return all(any("repeated" in line for line in lines(service)) for service in SERVICES)

    full_stack.kill("kafka")
    try:
        eventually_sync(summed, deadline_s=SUMMED_DEADLINE_S, poll_s=1)
        logged = {service: lines(service) for service in SERVICES}
    finally:
        full_stack.restart("kafka")
    assert {service: len(said) for service, said in logged.items() if len(said) > LINES_MAX} == {}
    for service, said in logged.items():
        assert sum(line.get("repeated", 0) for line in said) > len(said), service
