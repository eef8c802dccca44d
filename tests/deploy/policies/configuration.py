"""Settings, secrets and what must not be in an environment."""

import re
from collections.abc import Iterator

import yaml

from prizewire_chassis.db.database import CONNECTIONS_MAX
from prizewire_chassis.settings import ServiceSettings
from prizewire_payouts.settings import PayoutSettings
from prizewire_rewards.settings import RewardsSettings
from prizewire_settlement.settings import Settings
from prizewire_signer.settings import SignerSettings
from prizewire_webhooks.settings import WebhooksSettings
from tests.deploy.policies.world import NAME, Pod, Policy, World

SECRET_NAME = re.compile(r"(PASSWORD|SECRET|SECRETS|TOKEN|_KEY|DATABASE_URL|MIGRATION_URL)$")
SECRET_TEXT = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bS[A-Z2-7]{55}\b|whsec_|sk_live_|://[^/\s:]+:[^@\s{]+@"
)
SECRETS_AT = "/run/secrets/prizewire/"
FILES_AT = "/etc/prizewire/"
OPTION_FILE = re.compile(r"\{file: ([^}\s]+)\}")
"""A file that a file of options names."""
OF_OTHERS = frozenset({"PGSSLROOTCERT"})
"""Variables that libraries read, and no setting describes."""
IN_MEMORY = frozenset({"payout_hot_signer_secret", "channel_signer_secrets"})
"""The secret files of keys in memory: production has none."""
KEYS_OF_BACKEND = {
    "hot_key": {*(name.upper() for name in IN_MEMORY), "SIGNER_ALLOW_HOT_KEY"},
    "openbao": {"OPENBAO_URL", "OPENBAO_KEYS", "OPENBAO_TOKEN"},
}
"""What the signer needs for each kind of keys, beside what it always needs."""
PUBLIC_NETWORK = "Public Global Stellar Network ; September 2015"
POSTGRES_RESERVES = 3 + 2
"""Connections that PostgreSQL keeps for superusers, and those of the operator and its metrics."""


SETTINGS: dict[str, type[ServiceSettings]] = {
    "settlement": Settings,
    "rewards": RewardsSettings,
    "payouts": PayoutSettings,
    "webhooks": WebhooksSettings,
    "signer": SignerSettings,
}


def described(service: str) -> dict[str, bool]:
    """The settings of a service by name, without `_FILE`; each with whether it is required."""
    return {
        name.upper().removesuffix("_FILE"): info.is_required()
        for name, info in SETTINGS[service].model_fields.items()
    }


def _service(pod: Pod) -> str:
    return pod.labels[NAME]


def _secret_files(world: World, pod: Pod) -> dict[str, str]:
    """The templates of the secrets in a pod's mount by their paths, out of the ExternalSecret that makes them."""
    for volume in pod.spec.get("volumes", ()):
        if "secret" in volume:
            made = world.get("ExternalSecret", pod.namespace, volume["secret"]["secretName"])
            if made is not None:
                made_of = made["spec"]["target"]["template"]["data"]
                return {SECRETS_AT + key: text for key, text in made_of.items()}
    return {}


def _public_files(world: World, pod: Pod) -> dict[str, str]:
    """The content of the files in a pod's mount of public configuration, by path."""
    found: dict[str, str] = {}
    for volume in pod.spec.get("volumes", ()):
        for source in volume.get("projected", {}).get("sources", ()):
            if "configMap" in source:
                configuration = world.get("ConfigMap", pod.namespace, source["configMap"]["name"]) or {}
                found |= {FILES_AT + key: text for key, text in configuration.get("data", {}).items()}
            for item in source.get("secret", {}).get("items", ()):
                found[FILES_AT + item["path"]] = ""
    return found


def no_secret_in_environment(world: World) -> Iterator[str]:
    """Secrets come as files: no variable and no ConfigMap holds one."""
    for pod in world.workloads:
        for container in pod.containers:
            sources = [one.get("valueFrom", {}) for one in container.get("env", ())]
            if any("secretKeyRef" in source for source in sources) or any(
                "secretRef" in source for source in container.get("envFrom", ())
            ):
                yield f"{pod.name} has a secret in its environment"
        for name, value in world.environment_of(pod).items():
            if SECRET_NAME.search(name) and value not in ("", "true", "false"):
                yield f"{pod.name} has {name} in its environment"
    for one in world.of("ConfigMap"):
        for key, text in one.get("data", {}).items():
            if SECRET_TEXT.search(text):
                yield f"ConfigMap {one['metadata']['name']} has a secret in {key}"
    if world.of("Secret"):
        yield "a Secret is written down"


def private_secret_files(world: World) -> Iterator[str]:
    """Secrets are mounted read-only, for the group alone."""
    for pod in world.workloads:
        volumes = {one["name"]: one for one in pod.spec.get("volumes", ()) if "secret" in one}
        for name, volume in volumes.items():
            mounts = [one for one in pod.spec["containers"][0]["volumeMounts"] if one["name"] == name]
            if volume["secret"].get("defaultMode") != 0o440:
                yield f"{pod.name}: {name} has another mode than 0440"
            if [(one["mountPath"], one.get("readOnly")) for one in mounts] != [(SECRETS_AT[:-1], True)]:
                yield f"{pod.name}: {name} is not mounted read-only at {SECRETS_AT[:-1]}"


def known_settings(world: World) -> Iterator[str]:
    """Every variable is a setting of the service that gets it."""
    for pod in world.workloads:
        if pod.component not in ("service", "migration"):
            continue
        known = described(_service(pod))
        for name in world.environment_of(pod):
            if name.removesuffix("_FILE") not in known and name not in OF_OTHERS:
                yield f"{pod.name}: {name} is no setting of {_service(pod)}"


def required_settings(world: World) -> Iterator[str]:
    """Every setting without a default is set, by itself or by a file."""
    for pod in world.services:
        given = {name.removesuffix("_FILE") for name, value in world.environment_of(pod).items() if value}
        missing = {name for name, required in described(_service(pod)).items() if required} - given
        if _service(pod) == "signer":
            missing |= KEYS_OF_BACKEND[world.environment_of(pod).get("SIGNER_BACKEND", "hot_key")] - given
        for name in sorted(missing):
            yield f"{pod.name}: {name} is not set"


def files_are_mounted(world: World) -> Iterator[str]:
    """Every file that a variable names is mounted there, and every secret that is mounted is read. A file of options may name others."""
    for pod in world.workloads:
        if pod.component not in ("service", "migration"):
            continue
        secrets, public = _secret_files(world, pod), _public_files(world, pod)
        named = {
            value
            for name, value in world.environment_of(pod).items()
            if name.endswith("_FILE") or name in OF_OTHERS
        }
        named |= {path for text in secrets.values() for path in OPTION_FILE.findall(text)}
        for path in sorted(named - set(secrets) - set(public)):
            yield f"{pod.name}: {path} is not mounted"
        for path in sorted(set(secrets) - named):
            yield f"{pod.name}: nothing reads {path}"


def environment_of_overlay(world: World) -> Iterator[str]:
    """Each service knows in which kind of installation it runs; a real network is for production only."""
    wanted = {"dev": "development"}.get(world.overlay, world.overlay)
    for pod in world.services:
        environment = world.environment_of(pod)
        if environment.get("PRIZEWIRE_ENVIRONMENT") != wanted:
            yield f"{pod.name}: PRIZEWIRE_ENVIRONMENT is not {wanted}"
        network = environment.get("STELLAR_NETWORK_PASSPHRASE")
        if network is not None and (network == PUBLIC_NETWORK) != (world.overlay == "production"):
            yield f"{pod.name}: the network is wrong for {world.overlay}"


def no_hot_key_in_production(world: World) -> Iterator[str]:
    """Production allows no key in memory and is given none."""
    if world.overlay != "production":
        return
    for pod in world.services:
        environment = world.environment_of(pod)
        for name in ("SIGNER_ALLOW_HOT_KEY", "SIGNER_ALLOW_HOT_KEY_ON_PUBLIC", "PAYOUTS_SIGN_WITH_HOT_KEY"):
            if name in environment:
                yield f"{pod.name}: {name} is set in production"
        if _service(pod) == "signer" and environment.get("SIGNER_BACKEND", "hot_key") == "hot_key":
            yield f"{pod.name}: SIGNER_BACKEND names no key server in production"
    for secret in world.of("ExternalSecret"):
        template = secret["spec"]["target"].get("template", {}).get("data", {})
        for name in sorted(IN_MEMORY & set(template)):
            yield f"{secret['metadata']['name']}: {name} is given in production"


def no_play_money_outside_dev(world: World) -> Iterator[str]:
    """The fake rail, the mock provider, the sandbox and development's permissions are in dev only."""
    if world.overlay == "dev":
        return
    for pod in world.workloads:
        if any("sandbox" in container["image"] for container in pod.containers):
            yield f"{pod.name} runs the sandbox"
        environment = world.environment_of(pod)
        for name in ("JWT_ALLOW_HS256_DEVELOPMENT", "WEBHOOKS_ALLOW_LOOPBACK"):
            if environment.get(name, "false") != "false":
                yield f"{pod.name}: {name} is for development"
        for path, text in _public_files(world, pod).items():
            if path.endswith("rails.yaml"):
                for rail in yaml.safe_load(text)["rails"]:
                    if rail["provider"] in ("fake", "mock"):
                        yield f"{pod.name}: the rail {rail['name']} pays nobody"


def connections_fit(world: World) -> Iterator[str]:
    """The pools of all replicas, and of one more during a roll-out, are below the limits of role and server."""
    for cluster in world.of("Cluster"):
        name, spec = cluster["metadata"]["name"], cluster["spec"]
        limits = {role["name"]: role["connectionLimit"] for role in spec["managed"]["roles"]}
        scaling = next(one for one in world.of("ScaledObject") if one["metadata"]["name"] == name)
        needed = (scaling["spec"]["maxReplicaCount"] + 1) * CONNECTIONS_MAX
        if limits.get(name, 0) < needed:
            yield f"Cluster {name}: the role may have {limits.get(name)} connections, its pools {needed}"
        room = int(spec["postgresql"]["parameters"]["max_connections"])
        if sum(limits.values()) + POSTGRES_RESERVES + 2 * spec["instances"] > room:
            yield f"Cluster {name}: its roles' limits do not fit into max_connections"


def databases_are_kept(world: World) -> Iterator[str]:
    """Every database has checksums, daily backups away from the cluster that are encrypted and kept for a time."""
    for cluster in world.of("Cluster"):
        namespace, name = cluster["metadata"]["namespace"], cluster["metadata"]["name"]
        spec = cluster["spec"]
        if spec["bootstrap"]["initdb"].get("dataChecksums") is not True:
            yield f"Cluster {name} has no checksums"
        if "hostnossl all all all reject" not in spec["postgresql"].get("pg_hba", ()):
            yield f"Cluster {name} takes connections without encryption"
        stores = [
            one["parameters"]["barmanObjectName"] for one in spec.get("plugins", ()) if one["isWALArchiver"]
        ]
        found = [world.get("ObjectStore", namespace, store) for store in stores]
        if not found or None in found:
            yield f"Cluster {name} archives nothing"
        for store in filter(None, found):
            kept = store["spec"]["configuration"]
            if not store["spec"].get("retentionPolicy"):
                yield f"ObjectStore of {name} has no retention"
            if not all(kept[part].get("encryption") for part in ("wal", "data")):
                yield f"ObjectStore of {name} is not encrypted"
        if world.get("ScheduledBackup", namespace, name) is None:
            yield f"Cluster {name} has no schedule of backups"
        if world.overlay == "production":
            if spec["instances"] < 3:
                yield f"Cluster {name} has fewer than 3 instances"
            if spec["postgresql"].get("synchronous", {}).get("dataDurability") != "required":
                yield f"Cluster {name} confirms a commit that no standby has"


def topics_are_kept(world: World) -> Iterator[str]:
    """Production has three copies of each topic and waits for two; nothing creates a topic by a misspelt name."""
    for kafka in world.of("Kafka"):
        config = kafka["spec"]["kafka"]["config"]
        if config.get("auto.create.topics.enable") is not False:
            yield "Kafka creates topics by itself"
        if kafka["spec"]["kafka"].get("authorization") != {"type": "simple"}:
            yield "Kafka grants everything to everybody"
        for listener in kafka["spec"]["kafka"]["listeners"]:
            if not listener["tls"] or listener.get("authentication") != {"type": "scram-sha-512"}:
                yield f"Kafka's listener {listener['name']} is open"
    brokers = sum(
        one["spec"]["replicas"] for one in world.of("KafkaNodePool") if "broker" in one["spec"]["roles"]
    )
    for topic in world.of("KafkaTopic"):
        replicas = topic["spec"]["replicas"]
        if replicas > brokers:
            yield f"KafkaTopic {topic['metadata']['name']} wants more copies than brokers"
        if world.overlay == "production" and (
            replicas < 3 or int(topic["spec"]["config"]["min.insync.replicas"]) < 2
        ):
            yield f"KafkaTopic {topic['metadata']['name']} can be lost with one broker"


CONFIGURATION: tuple[Policy, ...] = (
    no_secret_in_environment,
    private_secret_files,
    known_settings,
    required_settings,
    files_are_mounted,
    environment_of_overlay,
    no_hot_key_in_production,
    no_play_money_outside_dev,
    connections_fit,
    databases_are_kept,
    topics_are_kept,
)
