"""The manifests are what the code says: rendered, valid, and equal to the tables that the local stack uses too."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import AclOperation, ResourcePatternType, ResourceType
from stellar_sdk import Keypair

from prizewire_chassis.kafka import BATCH_RECORDS_MAX
from prizewire_contracts.player_sources import read_player_sources
from prizewire_contracts.topics import TOPICS
from prizewire_contracts.trust import TrustStore
from prizewire_devstack.acl import GRANTS
from prizewire_devstack.components.kafka.acls import Acl, grants_to_acls
from prizewire_devstack.components.postgres import bootstrap_sql, owner_of
from prizewire_devstack.doctor.configuration import Subject
from prizewire_devstack.doctor.findings import Profile
from prizewire_devstack.doctor.rules import RULES
from prizewire_devstack.doctor.sources import from_objects
from prizewire_devstack.manifests.files import GENERATED, text_of
from prizewire_devstack.manifests.names import CONSUMERS, SECRETS
from prizewire_devstack.manifests.services import LAG_OF_REPLICA
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.topic_settings import topic_settings
from prizewire_money import AssetRegistry
from prizewire_payouts.rails.adapters import read_rails
from prizewire_rewards.payouts.adapters import load_payout_rules
from prizewire_signer.adapters.policy_file import load_policy
from prizewire_webhooks.inbound.adapters import load_rails
from tests.deploy.policies.world import World
from tests.deploy.rendering import DEPLOY, OVERLAYS, ROOT
from tests.deploy.validation import findings
from tools.devstack.tests.doctor import sound

TYPES = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "cluster": ResourceType.BROKER}
PATTERNS = {"literal": ResourcePatternType.LITERAL, "prefix": ResourcePatternType.PREFIXED}
OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}


def test_every_manifest_is_valid(world: World) -> None:
    """Everything that an overlay applies has a schema and fits it."""
    assert [finding for one in world.manifests for finding in findings(one)] == []


@pytest.mark.parametrize("name", GENERATED)
def test_generated_manifest_is_up_to_date(name: str) -> None:
    """A table was changed without `make schemas`, or a generated file by hand."""
    assert (DEPLOY / name).read_text() == text_of(GENERATED[name]())


def test_the_tables_name_every_service() -> None:
    """A new service gets its manifests."""
    members = {path.parent.name for path in (ROOT / "services").glob("*/pyproject.toml")}
    assert members == set(SERVICES) == set(CONSUMERS) == set(SECRETS)


@pytest.mark.parametrize("service", SERVICES)
def test_the_table_has_every_consumer_group(service: str) -> None:
    """Lag is measured for each group of the service: for each name of a consumer in its code."""
    source = ROOT / "services" / service / "src"
    names = set()
    for path in source.rglob("*.py"):
        text = path.read_text()
        if "ConsumerSpec(" in text or "\nCONSUMER: Final" in text:
            names |= set(re.findall(rf'"({service}\.[a-z-]+)"', text))
    assert names == set(CONSUMERS[service])


def test_numbers_are_those_of_the_chassis() -> None:
    """The manifests repeat a number of the chassis, which their package does not import: the messages of one batch."""
    assert LAG_OF_REPLICA == BATCH_RECORDS_MAX


def test_topics_are_those_of_the_contracts(world: World) -> None:
    """Partitions, retention and copies of each topic, and no topic more."""
    replicas = 1 if world.overlay == "dev" else 3
    found = {one["metadata"]["name"]: one["spec"] for one in world.of("KafkaTopic")}
    assert found == {
        topic.name: {
            "partitions": topic.partitions,
            "replicas": replicas,
            "config": topic_settings(topic, replicas=replicas),
        }
        for topic in TOPICS
    }


def _rules(user: dict[str, Any]) -> set[Acl]:
    principal = f"User:{user['metadata']['name']}"
    return {
        (
            principal,
            TYPES[entry["resource"]["type"]],
            entry["resource"].get("name", "kafka-cluster"),
            PATTERNS[entry["resource"].get("patternType", "literal")],
            OPERATIONS[operation],
        )
        for entry in user["spec"]["authorization"]["acls"]
        for operation in entry["operations"]
    }


def test_users_have_the_rights_of_the_local_stack(world: World) -> None:
    """Each principal logs in with SCRAM and has exactly the rights that the local stack creates."""
    users = world.of("KafkaUser")
    assert {rule for user in users for rule in _rules(user)} == grants_to_acls(GRANTS)
    assert {user["metadata"]["name"] for user in users} == {grant.principal for grant in GRANTS}
    assert {user["spec"]["authentication"]["type"] for user in users} == {"scram-sha-512"}
    assert {entry.get("host") for user in users for entry in user["spec"]["authorization"]["acls"]} == {"*"}


def test_databases_have_the_roles_of_the_local_stack(world: World) -> None:
    """An owner that migrates, a runtime role without rights of its own, and the same statements."""
    clusters = {one["metadata"]["name"]: one["spec"] for one in world.of("Cluster")}
    assert set(clusters) == set(SERVICES)
    for name, spec in clusters.items():
        initdb = spec["bootstrap"]["initdb"]
        sql = bootstrap_sql(name)
        assert (initdb["database"], initdb["owner"]) == (name, owner_of(name))
        assert tuple(initdb["postInitSQL"]) == sql.server
        assert tuple(initdb["postInitApplicationSQL"]) == sql.database
        roles = {role["name"]: role for role in spec["managed"]["roles"]}
        assert set(roles) == {name, owner_of(name)}
        assert not any(
            role[right] for role in roles.values() for right in ("superuser", "createdb", "createrole")
        )
        assert spec["enableSuperuserAccess"] is False


def test_the_signer_reads_secrets_by_a_role_of_its_own(world: World) -> None:
    """Each namespace has its own role in the store of secrets."""
    roles = [
        one["spec"]["provider"]["vault"]["auth"]["kubernetes"]["role"] for one in world.of("SecretStore")
    ]
    assert sorted(roles) == sorted(one["metadata"]["namespace"] for one in world.of("SecretStore"))
    assert len(set(roles)) == 4


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_public_files_can_be_read(overlay: str) -> None:
    """The public files of an overlay are read by the code that services read them with."""
    public = DEPLOY / "k8s/overlays" / overlay / "public"
    TrustStore.from_json((public / "trust.json").read_text())
    assets = AssetRegistry.from_mapping(yaml.safe_load((ROOT / "assets.yaml").read_text())["assets"])
    assert read_rails(public / "rails.yaml")
    load_rails(public / "rails.yaml", environment="development" if overlay == "dev" else overlay)
    load_payout_rules(public / "payout-rules.yaml", assets=assets)
    read_player_sources((public / "player-sources.yaml").read_text())
    load_policy(public / "signer-policy.yaml", assets=assets, chain_assets=dict.fromkeys(assets))


def test_assets_are_those_of_the_repository() -> None:
    """The copy that manifests use is the file at the root."""
    assert (DEPLOY / "k8s/assets/assets.yaml").read_text() == (ROOT / "assets.yaml").read_text()


def test_images_have_the_version_of_the_repository(world: World) -> None:
    """An overlay names the release that the repository is."""
    version = re.search(
        r'^version = "(.+)"', (ROOT / "tools/devstack/pyproject.toml").read_text(), re.MULTILINE
    )
    assert version is not None
    tags = {container["image"].partition(":")[2] for pod in world.workloads for container in pod.containers}
    assert tags == {version[1]}


def test_third_party_images_are_used_and_pinned(world: World) -> None:
    """Each listed image has a version and a purpose."""
    listed = yaml.safe_load((DEPLOY / "images/third-party.yaml").read_text())["images"]
    assert all(one["for"] and re.search(r":[^:/]*\d", one["image"]) for one in listed)
    assert {one["spec"]["imageName"] for one in world.of("Cluster")} <= {one["image"] for one in listed}


def test_the_documented_secrets_are_those_that_are_read(worlds: dict[str, World]) -> None:
    """docs/deploy.md lists each key of the store with its properties, and the roles that read it."""
    read: dict[str, tuple[set[str], set[str]]] = {}
    for world in worlds.values():
        for one in world.of("ExternalSecret"):
            for item in one["spec"]["data"]:
                properties, roles = read.setdefault(item["remoteRef"]["key"], (set(), set()))
                properties.add(item["remoteRef"]["property"])
                roles.add(one["metadata"]["namespace"])
    text = (ROOT / "docs/deploy.md").read_text()
    rows = re.findall(
        r"^\| `((?:services|kafka|postgres|backup)/[^`]+)` \| (.+) \| (.+) \|$", text, re.MULTILINE
    )
    said = {
        key: (set(re.findall("`(.+?)`", names)), set(re.findall("`(.+?)`", roles)))
        for key, names, roles in rows
    }
    assert said == read


def test_the_documented_versions_are_those_of_the_schemas() -> None:
    """An operator installs the versions that the manifests were validated for."""
    documented = (ROOT / "docs/deploy.md").read_text()
    schemas = (DEPLOY / "schemas/README.md").read_text()
    for name, part in (
        ("cert-manager", "cert-manager/cert-manager"),
        ("External Secrets", "external-secrets/external-secrets"),
        ("CloudNativePG", "cloudnative-pg/cloudnative-pg"),
        ("KEDA", "kedacore/keda"),
        ("Prometheus operator", "prometheus-operator/prometheus-operator"),
    ):
        version = re.search(rf"^.*{part}.*\| (\d+\.\d+)\.\d+ \|$", schemas, re.MULTILINE)
        assert version is not None
        assert f"| {name} | {version[1]} |" in documented


def test_labels_of_access_are_documented(world: World) -> None:
    """Each access that a policy names, also one of a component, is given to a namespace by a command of the documentation."""
    used = set(re.findall(r"'prizewire/access': '([a-z-]+)'", str(world.of("NetworkPolicy", "Kafka"))))
    for path in (DEPLOY / "k8s/components").rglob("*.yaml"):
        used |= set(re.findall(r"prizewire/access: ([a-z-]+)", path.read_text()))
    assert used == set(re.findall(r"prizewire/access=([a-z-]+)", (ROOT / "docs/deploy.md").read_text()))


TO_BE_FILLED_IN = {"placeholder", "accounts", "trust", "token_keys", "image", "setting_wrong"}
"""What the doctor finds in an overlay whose accounts and keys nobody has written yet."""


@pytest.mark.parametrize("profile", [Profile.STAGING, Profile.PRODUCTION])
def test_the_doctor_finds_only_what_an_operator_must_fill_in(
    worlds: dict[str, World], profile: Profile
) -> None:
    """The overlays are sound but for what differs from installation to installation."""
    text = yaml.dump_all(worlds[profile.value].manifests, Dumper=yaml.CSafeDumper)
    configuration = from_objects(text, name=profile.value)
    subject = Subject(configuration=configuration, profile=profile, now=datetime.now(UTC))
    found = [finding for rule in RULES for finding in rule(subject)]
    assert [one.sentence for one in found if one.code not in TO_BE_FILLED_IN] == []
    assert found, "the placeholders are not found"


def filled_in(text: str) -> str:
    """The objects of an overlay with what an operator writes."""
    values = {
        "REPLACE_ME_TREASURY_ACCOUNT": Keypair.random().public_key,
        "REPLACE_ME_CHANNEL_ACCOUNTS": ",".join(Keypair.random().public_key for _ in range(4)),
        "REPLACE_ME_ISSUER": Keypair.random().public_key,
        "REPLACE_ME_RPC_ONE": "rpc-one.prizes.internal",
        "REPLACE_ME_RPC_TWO": "rpc-two.prizes.internal",
        "REPLACE_ME_OPENBAO": "vault.prizes.internal",
        "identity.example.com": "identity.prizes.internal",
        "production.example": "prizes.internal",
        "REPLACE_ME_BUCKET": "backups-of-prizes",
        "192.0.2.": "10.9.0.",
        "registry.example/": "registry.prizes.internal/",
    }
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    pinned = rf"prizewire/\1@sha256:{'0' * 64}"
    text = re.sub(r"\bprizewire/(\w+):0\.1\.0", pinned, text)
    objects = [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]
    written = sound.public_files(now=datetime.now(UTC))
    for one in objects:
        if one["kind"] == "ConfigMap":
            given = one["data"]
            one["data"] |= {name: written[name] for name in ("trust.json", "jwks.json") if name in given}
    return str(yaml.dump_all(objects, Dumper=yaml.CSafeDumper))


def test_the_doctor_finds_nothing_in_production_that_is_filled_in(worlds: dict[str, World]) -> None:
    """Nothing but the values of an installation is in the way of going live."""
    text = filled_in(yaml.dump_all(worlds["production"].manifests, Dumper=yaml.CSafeDumper))
    configuration = from_objects(text, name="production")
    subject = Subject(configuration=configuration, profile=Profile.PRODUCTION, now=datetime.now(UTC))
    assert [f"{one.place}: {one.sentence}" for rule in RULES for one in rule(subject)] == []
