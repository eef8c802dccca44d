"""The stack of containers with processes in their place: what it asks of Docker is done to a process."""

import shutil
import subprocess
import sys
from pathlib import Path

from prizewire_devstack.containers.stack import STATE_OF_PAYOUTS, ContainerStack
from prizewire_devstack.home import Home
from tests.deploy.container_processes import ContainerProcesses


class ProcessesAsStack(ContainerStack):
    """Running processes, which stay when it is left."""

    def __init__(self, processes: ContainerProcesses, home: Home) -> None:
        super().__init__(home=home)
        self._processes = processes
        self.ports = {**processes.ports, "kafka": processes.kafka_outside}

    def __enter__(self) -> "ProcessesAsStack":
        """Copy the keys out of their volume, and connect."""
        self.home.create()
        shutil.copytree(self._processes.volume("keys"), self.home.root, dirs_exist_ok=True)
        self._connect()
        return self

    def _docker(self, verb: str, part: str, *_: str) -> str:
        supervisor = self._processes.supervisor
        if verb == "inspect":
            return "running" if supervisor.is_running(part) else "exited"
        {"kill": supervisor.kill, "stop": supervisor.stop, "start": supervisor.restart}[verb](part)
        return ""

    def _python(self, service: str, script: str, argument: str) -> str:
        assert argument == STATE_OF_PAYOUTS
        folder: Path = self._processes.volume(f"state-{service}")
        command = (sys.executable, "-I", "-c", script, str(folder))
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
