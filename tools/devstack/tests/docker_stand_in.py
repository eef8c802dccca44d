"""A stand-in for the command `docker` with its plugin Compose. It writes down each call and answers as they do, for containers that do
not exist. `world.json` beside it has their states; the standard library is all that it needs.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORLD = HERE / "world.json"
CALLS = HERE / "calls.jsonl"
STATES = {"kill": "exited", "stop": "exited", "start": "running", "pause": "paused", "unpause": "running"}
OUTPUT = "written to the output\n"
ERRORS = "written to the errors\n"


def refuse(sentence: str, code: int = 1) -> None:
    sys.stderr.write(f"{sentence}\n")
    raise SystemExit(code)


def split(arguments: list[str]) -> tuple[list[str], str, list[str]]:
    """Files, verb and the rest of a call of Compose."""
    files: list[str] = []
    while arguments[:1] == ["-f"]:
        files.append(arguments[1])
        arguments = arguments[2:]
    return files, arguments[0], arguments[1:]


def named(service: str) -> str:
    """The name of a service's container."""
    return f"{os.environ['COMPOSE_PROJECT_NAME']}-{service}-1"


def change(world: dict, verb: str, name: str) -> None:
    """What starts, stops, kills, freezes and thaws do to one container."""
    found = world["containers"].get(name)
    if found is None:
        refuse(f"Error response from daemon: No such container: {name}")
    if verb == "unpause" and found["State"] != "paused":
        refuse(f"Error response from daemon: Container {name} is not paused")
    if verb == "kill" and found["State"] != "running":
        refuse(f"Error response from daemon: cannot kill container: {name}: container {name} is not running")
    found["State"] = STATES[verb]
    found["ExitCode"] = {"kill": 137}.get(verb, 0)


def up(world: dict, rest: list[str]) -> None:
    chosen = [one for one in rest if not one.startswith("--")]
    for name in chosen or world["services"]:
        once = name in world["once"]
        started = {
            "State": "exited" if once else "running",
            "Health": "" if once else "healthy",
            "ExitCode": 0,
        }
        world["containers"][named(name)] = {**started, **world["broken"].get(name, {})}
    if not chosen and world["broken"]:
        name = named(next(iter(world["broken"])))
        refuse(f" Container {name}  Starting\ncontainer {name} is unhealthy")


def ps(world: dict) -> None:
    for name in world["services"]:
        if (found := world["containers"].get(named(name))) is not None:
            print(json.dumps({"Service": name, "Name": named(name), "Publishers": [], **found}))


def run_in(world: dict, rest: list[str]) -> None:
    """`exec -T SERVICE python -c SCRIPT DIRECTORY`, with the folder of this machine that stands for the directory."""
    _, service, _, _, script, directory = rest
    if world["containers"][named(service)]["State"] != "running":
        refuse(f'service "{service}" is not running')
    done = subprocess.run([sys.executable, "-I", "-c", script, world["folders"][directory]], check=False)
    raise SystemExit(done.returncode)


def compose(world: dict, arguments: list[str]) -> None:
    if world["compose"] is None:
        refuse("docker: unknown command: docker compose\n\nRun 'docker --help' for more information")
    if arguments == ["version"]:
        print(f"Docker Compose version v{world['compose']}")
        return
    _, verb, rest = split(arguments)
    if verb == "up":
        up(world, rest)
    elif verb == "down":
        world["containers"].clear()
    elif verb == "ps":
        ps(world)
    elif verb == "cp":
        source, target = rest
        shutil.copytree(world["folders"][source], target, dirs_exist_ok=True)
    elif verb == "exec":
        run_in(world, rest)
    elif verb == "run":
        world["containers"][rest[rest.index("--name") + 1]] = {
            "State": "running",
            "Health": "",
            "ExitCode": 0,
        }
    else:
        refuse(f"unknown call: compose {verb}", 64)


def plain(world: dict, arguments: list[str]) -> None:
    verb, name = arguments[0], arguments[-1]
    if verb == "version":
        if world["engine"] is None:
            refuse(
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
            )
        print(world["engine"])
    elif verb == "logs":
        sys.stdout.write(OUTPUT)
        sys.stderr.write(ERRORS)
    elif verb == "inspect":
        print(world["containers"][name]["State"])
    elif verb == "rm":
        del world["containers"][name]
    elif verb in STATES:
        change(world, verb, name)
    else:
        refuse(f"unknown call: {' '.join(arguments)}", 64)


def main() -> None:
    arguments = sys.argv[1:]
    variables = {
        name: value for name, value in os.environ.items() if name.startswith(("COMPOSE_", "PRIZEWIRE_"))
    }
    with CALLS.open("a") as file:
        file.write(
            json.dumps({"arguments": arguments, "variables": variables, "directory": str(Path.cwd())}) + "\n"
        )
    world = json.loads(WORLD.read_text())
    try:
        if arguments[0] == "compose":
            compose(world, arguments[1:])
        else:
            plain(world, arguments)
    finally:
        WORLD.write_text(json.dumps(world))


if __name__ == "__main__":
    main()
