"""Rules for what Compose files define: each yields a sentence for each breach."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import click
import yaml

from prizewire_devstack.cli.main import group
from prizewire_devstack.components.postgres import SETTINGS, connections_max
from prizewire_devstack.provision.keys import PUBLIC, SECRETS, STATE
from prizewire_devstack.routes import SERVICES, SERVICES_WITH_API
from prizewire_devstack.service_settings import settings_of
from tests.deploy.compose import ROOT, Definition, ends, environment, image, mounts, part

Rule = Callable[[Mapping[str, Any]], Iterator[str]]

SECRETS_PATH: Final = "/run/secrets/prizewire"
PUBLIC_PATH: Final = "/etc/prizewire"
SIGNER: Final = "signer"
CAPABILITIES: Final = {"keys": {"CHOWN"}, "monitoring-keys": {"CHOWN"}, "gateway": {"NET_BIND_SERVICE"}}
"""All capabilities that a container may have, with the reason in its definition."""
ROOT_USERS: Final = frozenset({"keys", "monitoring-keys"})
LOOSE: Final = frozenset({"quickstart"})
"""Containers that no hardening holds for. They are in no file that is used without naming it."""
MONITORS: Final = frozenset({"prometheus", "alertmanager", "grafana"})
"""Containers of others that keep their own state, and get secrets that `keys` does not write."""
OUTSIDE: Final = {
    "gateway": "edge",
    "webhooks": "outside",
    "prometheus": "monitoring",
    "alertmanager": "monitoring",
    "grafana": "monitoring",
}
"""The networks with a way out of the machine, by the only containers that may be in them."""
PORTS: Final = {"gateway": "8080", "prometheus": "9090", "alertmanager": "9093", "grafana": "3000"}
"""The ports that are published."""
TESTED: Final = {"postgres": "5432", "kafka": "9094", **dict.fromkeys(("stellar", *SERVICES), "8080")}
"""The ports that are published for tests, each by a network of its container alone."""
ALONE: Final = "tests-"
"""The names of these networks begin with it, and end with the container's."""
KEY_FILES: Final = "keys"
PLAIN_SECRET: Final = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY|_URL$")
"""A variable that may hold a secret, unless its name ends in FILE."""
NO_SECRETS: Final = frozenset({"SOROBAN_RPC_URL", "SIGNER_ALLOW_HOT_KEY"})


def images_are_pinned(found: Mapping[str, Any]) -> Iterator[str]:
    """Every image is one of ours, built from a part that exists, or one that third-party.yaml pins."""
    parts = tomllib.loads((ROOT / "deploy/images/parts.toml").read_text())
    listed = yaml.safe_load((ROOT / "deploy/images/third-party.yaml").read_text())["images"]
    pinned = {one["image"] for one in listed}
    project = tomllib.loads((ROOT / "tools/devstack/pyproject.toml").read_text())["project"]
    for name, one in found["services"].items():
        own, (_, version) = part(one), image(one)
        if version in {"", "latest"}:
            yield f"{name}: the image {one['image']} has no version"
        if own is None and one["image"] not in pinned:
            yield f"{name}: the image {one['image']} is not in third-party.yaml"
        if own is not None and own not in parts:
            yield f"{name}: there is no part {own}"
        if own is not None and version != project["version"]:
            yield f"{name}: names version {version}, this is {project['version']}"
        if (build := one.get("build")) is None:
            continue
        if build["args"].get("PART") != own:
            yield f"{name}: builds {build['args'].get('PART')} for {one['image']}"
        dockerfile = (ROOT / build["dockerfile"]).read_text()
        for argument in build["args"]:
            if not re.search(rf"^ARG {argument}\b", dockerfile, re.MULTILINE):
                yield f"{name}: the Dockerfile has no argument {argument}"
        if not re.search(rf"^FROM \w+ AS {own}$", dockerfile, re.MULTILINE):
            yield f"{name}: the Dockerfile has no stage for {own}"


def own_images_are_asked_of_no_registry(found: Mapping[str, Any]) -> Iterator[str]:
    """An image of ours is built or loaded on this machine: in a registry, its name may belong to somebody else."""
    for name, one in found["services"].items():
        if part(one) is not None and one.get("pull_policy") != "never":
            yield f"{name}: a registry is asked for {one['image']}"


def containers_are_hardened(found: Mapping[str, Any]) -> Iterator[str]:
    """No container gains privileges, writes to its root file system, or takes more than its limits."""
    for name, one in found["services"].items():
        if name in LOOSE:
            continue
        if one.get("security_opt") != ["no-new-privileges:true"]:
            yield f"{name}: may gain privileges"
        if one.get("cap_drop") != ["ALL"] or set(one.get("cap_add", ())) != CAPABILITIES.get(name, set()):
            yield f"{name}: has other capabilities than it may have"
        if not one.get("read_only"):
            yield f"{name}: has a writable root file system"
        if not any(text.startswith("/tmp:size=") for text in one.get("tmpfs", ())):  # noqa: S108 - of a container
            yield f"{name}: has no /tmp of limited size"
        for limit in ("mem_limit", "pids_limit", "stop_grace_period", "logging"):
            if limit not in one:
                yield f"{name}: has no {limit}"
        user = str(one.get("user", ""))
        if not re.fullmatch(r"\d+:\d+", user) or (user.startswith("0:") and name not in ROOT_USERS):
            yield f"{name}: runs as {user or 'the user of its image'}"
        if one.get("privileged") or one.get("pid") or one.get("ipc"):
            yield f"{name}: shares a namespace with the machine"


def containers_are_watched(found: Mapping[str, Any]) -> Iterator[str]:
    """What runs has a health check and is started again; what others wait for ends with 0 or is healthy first."""
    services = found["services"]
    for name, one in services.items():
        if not ends(one) and (one["restart"] != "unless-stopped" or "healthcheck" not in one):
            yield f"{name}: has no health check, or is not started again"
        for other, how in one.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if ends(services[other]) else "service_healthy"
            if how["condition"] != wanted:
                yield f"{name}: does not wait until {other} is {wanted}"
        if part(one) in SERVICES and not ends(one):
            needs = {f"{name}-migrate", "topics"} | (
                {"chain"} if "PAYOUT_SOURCE_ACCOUNT_FILE" in environment(one) else set()
            )
            if not needs <= one["depends_on"].keys():
                yield f"{name}: does not wait for {', '.join(sorted(needs - one['depends_on'].keys()))}"
    waited = {other for one in services.values() for other in one.get("depends_on", {})}
    for name, one in services.items():
        if ends(one) and "profiles" not in one and name not in waited:
            yield f"{name}: nobody waits for it, so `up --wait` would fail when it ends"


def ports_are_on_loopback(found: Mapping[str, Any]) -> Iterator[str]:
    """Only the listed containers publish a port, on the loopback interface, and it is the one that they listen on."""
    for name, one in found["services"].items():
        published = one.get("ports", [])
        port = TESTED.get(name) if ALONE + name in one.get("networks", ()) else PORTS.get(name)
        if port is None:
            if published:
                yield f"{name}: publishes {published}"
            continue
        if len(published) != 1 or not re.fullmatch(rf"127\.0\.0\.1:\d+:{port}/tcp", published[0]):
            yield f"{name}: publishes {published}, not its port {port} on the loopback interface"


def networks_separate(found: Mapping[str, Any]) -> Iterator[str]:
    """Each container is in the networks that it needs and in no other; nobody but its database, Kafka and Prometheus shares a
    network with the signer.
    """
    services: Mapping[str, Definition] = found["services"]
    networks = {name: set(one.get("networks", ())) for name, one in services.items()}
    for name in services:
        if not networks[name] and services[name].get("network_mode") != "none":
            yield f"{name}: is in the default network"
    internal = {name for name, one in found["networks"].items() if _has_no_way_out(one or {})}
    for network in (name for name in found["networks"] if name.startswith(ALONE)):
        members = {name for name, own in networks.items() if network in own}
        if members != {network.removeprefix(ALONE)}:
            yield f"{network}: its members are {sorted(members)}"
    for name, own in networks.items():
        if (own - internal) != ({OUTSIDE[name]} if name in OUTSIDE else set()):
            yield f"{name}: has {sorted(own - internal)} as a way out"
    with_signer = {name for name, own in networks.items() if own & networks.get(SIGNER, set())}
    if not with_signer <= {SIGNER, f"{SIGNER}-migrate", "postgres", "kafka", "prometheus"}:
        yield f"the signer shares a network with {sorted(with_signer)}"
    if "kafka" in services:
        yield from _needed_networks(networks)


def _has_no_way_out(network: Mapping[str, Any]) -> bool:
    """An internal network, and one whose members' addresses are not translated to the machine's."""
    translates = network.get("driver_opts", {}).get("com.docker.network.bridge.enable_ip_masquerade", "true")
    return bool(network.get("internal")) or translates == "false"


def _needed_networks(networks: Mapping[str, set[str]]) -> Iterator[str]:
    def meet(one: str, other: str) -> bool:
        return bool(networks[one] & networks[other])

    needed = {
        *((service, "postgres") for service in SERVICES),
        *((f"{service}-migrate", "postgres") for service in SERVICES),
        *((service, "kafka") for service in SERVICES),
        *((service, "gateway") for service in SERVICES_WITH_API),
        *(("databases", "postgres"), ("topics", "kafka"), ("chain", "stellar"), ("payouts", "stellar")),
        *((("chain", "quickstart"), ("payouts", "quickstart")) if "quickstart" in networks else ()),
        *(("tools", "gateway"), ("tools", "kafka")),
    }
    for one, other in sorted(needed):
        if not meet(one, other):
            yield f"{one}: cannot reach {other}"
    servers = {"postgres", "kafka", "stellar", "quickstart"} & networks.keys()
    for name in networks:
        for server in sorted(servers - {name}):
            if meet(name, server) and (name, server) not in needed and name not in servers:
                yield f"{name}: reaches {server}, which it does not need"


def secrets_are_apart(found: Mapping[str, Any]) -> Iterator[str]:
    """Each container sees its own secrets only, and cannot change them; no variable and no command holds one."""
    for name, one in found["services"].items():
        own = f"secrets-{name}"
        for mount in mounts(one):
            if name in ROOT_USERS or mount.is_file_of_the_repository:
                continue
            misplaced = mount.target != SECRETS_PATH and name not in MONITORS
            if mount.source.startswith("secrets-") and (mount.source != own or misplaced):
                yield f"{name}: sees {mount.source} at {mount.target}"
            if mount.source == KEY_FILES:
                yield f"{name}: sees all keys"
            if mount.source.startswith(("secrets-", "public")) and not mount.read_only:
                yield f"{name}: may change {mount.source}"
            if mount.source.startswith("state-") and mount.source.removeprefix("state-") != name:
                yield f"{name}: has the state of {mount.source}"
        for variable, value in environment(one).items():
            secret = PLAIN_SECRET.search(variable) and not variable.endswith("FILE")
            if secret and variable not in NO_SECRETS:
                yield f"{name}: {variable} may hold a secret"
            if re.search(r"\bS[A-Z2-7]{55}\b|PRIVATE KEY|://[^/\s]*:[^/\s]*@", value):
                yield f"{name}: {variable} holds a secret"


def keys_writes_what_is_mounted(found: Mapping[str, Any]) -> Iterator[str]:
    """Every volume of secrets, public files and state is one that `keys` writes, at the place where it writes it."""
    writers = [one for name, one in found["services"].items() if name in ROOT_USERS]
    written = {mount.source: mount.target for one in writers for mount in mounts(one)}
    for name, one in found["services"].items():
        if name in ROOT_USERS or name in MONITORS:
            continue
        for mount in mounts(one):
            if not mount.is_file_of_the_repository and mount.source not in written:
                yield f"{name}: nobody writes {mount.source}"
    for source, target in written.items():
        kind, _, reader = source.partition("-")
        folder = {
            "secrets": f"{SECRETS}/{reader}",
            "state": f"{STATE}/{reader}",
            "public": PUBLIC,
            KEY_FILES: KEY_FILES,
        }
        if not source.startswith("/") and target != f"/provision/{folder[kind]}":
            yield f"{source} is written at {target}"


def mounted_files_exist(found: Mapping[str, Any]) -> Iterator[str]:
    """What is mounted from this repository is in it, and cannot be changed by a container."""
    for name, one in found["services"].items():
        for mount in filter(lambda one: one.is_file_of_the_repository, mounts(one)):
            if not Path(mount.source).exists() or not Path(mount.source).is_relative_to(ROOT):
                yield f"{name}: there is no {mount.source}"
            if not mount.read_only:
                yield f"{name}: may change {mount.source}"


@cache
def _settings(service: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in settings_of(service)}


def settings_exist(found: Mapping[str, Any]) -> Iterator[str]:
    """Every variable of a service is one of its settings, and every setting without a default is set."""
    for name, one in found["services"].items():
        service = part(one)
        if service not in SERVICES:
            continue
        known = _settings(service)
        names = {
            variable if variable in known else variable.removesuffix("_FILE") for variable in environment(one)
        }
        for variable in sorted(names - known.keys()):
            yield f"{name}: {service} has no setting {variable}"
        if ends(one):
            required = {"DATABASE_URL", "DATABASE_MIGRATION_URL"}
        else:
            required = {variable for variable, row in known.items() if row["required"]}
        for variable in sorted(required - names):
            yield f"{name}: {variable} is not set"


def files_of_settings_are_written(found: Mapping[str, Any], written: Mapping[str, set[str]]) -> Iterator[str]:
    """Every variable that names a file names one that `keys` writes for this container. `written` has the files' names by volume."""
    for name, one in found["services"].items():
        at = {mount.target: mount.source for mount in mounts(one)}
        for variable, value in environment(one).items():
            if not variable.endswith("_FILE") or name == "grafana":
                continue
            folder, _, file = value.rpartition("/")
            if file not in written.get(at.get(folder, ""), set()):
                yield f"{name}: {variable} names {value}, which is not written for it"


def commands_exist(found: Mapping[str, Any]) -> Iterator[str]:
    """Every command of our images is one that the program has, with these options."""
    for name, one in found["services"].items():
        own, command = part(one), list(one.get("command", ()))
        if own == "tools":
            yield from (f"{name}: {sentence}" for sentence in _refused_by_click(command))
        elif own is not None:
            module = "prizewire_stellar_sandbox" if own == "sandbox" else f"prizewire_{own}"
            for sentence in _refused_by_module(module, tuple(command)):
                yield f"{name}: {sentence}"


def _refused_by_click(command: list[str]) -> Iterator[str]:
    """Parse a command as `prizewire` does, without running it."""
    context: click.Context = click.Context(group, info_name="prizewire")
    one: click.Command = group
    rest = command
    while isinstance(one, click.Group):
        if rest[:1] == ["--help"]:
            return
        found = one.get_command(context, rest[0]) if rest else None
        if found is None:
            yield f"there is no command {' '.join(command)}"
            return
        one, rest = found, rest[1:]
    try:
        one.make_context(one.name, rest, parent=context)
    except click.BadParameter as error:
        # files of the container are not here
        if "does not exist" not in error.message:
            yield error.format_message()
    except click.ClickException as error:
        yield error.format_message()


@cache
def _refused_by_module(module: str, command: tuple[str, ...]) -> tuple[str, ...]:
    done = subprocess.run(
        (sys.executable, "-m", module, *command, "--help"), capture_output=True, text=True, check=False
    )
    usage = done.stdout
    unknown = [one for one in command if one.startswith("--") and one.partition("=")[0] not in usage]
    if done.returncode != 0 or unknown:
        return (f"`{' '.join((module, *command))}` is no command {unknown} {done.stderr.strip()[-200:]}",)
    return ()


def postgres_is_set_as_on_the_local_stack(found: Mapping[str, Any]) -> Iterator[str]:
    """PostgreSQL has the settings of the local stack, but for those of its address."""
    command = found["services"]["postgres"]["command"]
    given = dict(one.split("=", 1) for one in command[2::2])
    addresses = {"listen_addresses", "unix_socket_directories"}
    wanted = {name: value for name, value in SETTINGS.items() if name not in addresses}
    wanted["max_connections"] = str(connections_max(1))
    for name in sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name)):
        yield f"postgres: {name} is {given.get(name)}, on the local stack {wanted.get(name)}"


def proxies_are_those_of_the_gateway(found: Mapping[str, Any]) -> Iterator[str]:
    """Services believe what proxies of the gateway's network say of a client's address, and nobody else."""
    [config] = found["networks"]["api"]["ipam"]["config"]
    for name in SERVICES_WITH_API:
        trusted = environment(found["services"][name]).get("HTTP_TRUSTED_PROXIES")
        if trusted != config["subnet"]:
            yield f"{name}: trusts {trusted}, the gateway's network is {config['subnet']}"


EVERYWHERE: Final[tuple[Rule, ...]] = (
    images_are_pinned,
    containers_are_hardened,
    containers_are_watched,
    ports_are_on_loopback,
    networks_separate,
    secrets_are_apart,
    keys_writes_what_is_mounted,
    mounted_files_exist,
    settings_exist,
    commands_exist,
)
"""The rules that hold for every file."""
OF_ONE_FILE: Final[tuple[Rule, ...]] = (own_images_are_asked_of_no_registry,)
"""The rules of files that are read alone: where Debian's docker-compose 1.29 reads several, it drops `pull_policy`."""
OF_THE_SYSTEM: Final[tuple[Rule, ...]] = (
    postgres_is_set_as_on_the_local_stack,
    proxies_are_those_of_the_gateway,
)
"""The rules that hold where the whole system is defined."""
