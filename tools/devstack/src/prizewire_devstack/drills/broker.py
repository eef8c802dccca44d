"""The drill about Kafka: no broker answers."""

from collections.abc import Mapping
from typing import Final

from prizewire_devstack.drills.drill import Drill, Step
from prizewire_devstack.drills.world import World


def _kill(world: World) -> Mapping[str, str]:
    world.stack.kill("kafka")
    return {"part": "kafka"}


BROKER: Final = Drill(
    name="broker-lost",
    title="No broker of Kafka answers",
    alert="PrizewireKafkaLost",
    page="broker-lost",
    factor=10.0,
    cause=_kill,
    steps=(
        Step(command="prizewire status", codes=(0, 1)),
        Step(command="prizewire restart kafka"),
        Step(command="prizewire status --watch --once"),
        Step(command="prizewire stuck list"),
        Step(command="prizewire verify --all"),
    ),
)
