"""The Compose files are what the tool accepts and what the programs are; each rule is seen failing on a spoilt file."""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from prizewire_devstack.cli.main import group
from prizewire_devstack.components.kafka.properties import server_properties
from prizewire_devstack.provision.readers import STATES
from prizewire_devstack.routes import SERVICES
from tests.deploy import compose_rules as rules
from tests.deploy.compose import (
    INSTALL,
    MONITORING,
    QUICKSTART,
    ROOT,
    SYSTEM,
    TESTS,
    environment,
    is_installed,
    mounts,
    read_once,
)

pytestmark = pytest.mark.skipif(not is_installed(), reason=INSTALL)

Change = Callable[[dict[str, Any]], object]
SETS: Final = ((SYSTEM,), (MONITORING,), (SYSTEM, MONITORING), (SYSTEM, QUICKSTART), (SYSTEM, TESTS))
"""The files that the documents combine."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The names of the files that `keys` writes, by volume, with the command of docker-compose.yml."""
    directory = tmp_path_factory.mktemp("provision")
    command = read_once(SYSTEM)["services"]["keys"]["command"]
    given = {"--directory": str(directory), "--assets": str(ROOT / "assets.yaml")}
    arguments = [
        re.sub(r"^(--\w+)=.*", lambda at: f"{at[1]}={given[at[1]]}", one)
        if one.partition("=")[0] in given
        else one
        for one in command
    ]
    assert group.main(arguments, standalone_mode=False) is None
    found = {f"secrets-{folder.name}": _names(folder) for folder in (directory / "secrets").iterdir()}
    return found | {"public": _names(directory / "public")}


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


@pytest.mark.parametrize("files", SETS, ids=" ".join)
@pytest.mark.parametrize("rule", rules.EVERYWHERE, ids=lambda rule: rule.__name__)
def test_the_files_keep_the_rules(rule: rules.Rule, files: tuple[str, ...]) -> None:
    """The tool accepts each combination of the document, and no container breaks a rule."""
    assert list(rule(read_once(*files))) == []


@pytest.mark.parametrize("file", [SYSTEM, MONITORING])
@pytest.mark.parametrize("rule", rules.OF_ONE_FILE, ids=lambda rule: rule.__name__)
def test_each_file_with_our_images_keeps_the_rules(rule: rules.Rule, file: str) -> None:
    """The files that are added to them name none of our images, and change nothing that these rules look at."""
    assert list(rule(read_once(file))) == []
    for added in (QUICKSTART, TESTS):
        assert re.findall(r"image: prizewire/|pull_policy", (ROOT / added).read_text()) == []


@pytest.mark.parametrize("rule", rules.OF_THE_SYSTEM, ids=lambda rule: rule.__name__)
def test_the_system_agrees_with_the_local_stack(rule: rules.Rule) -> None:
    """What the local stack has too has the same values."""
    assert list(rule(read_once(SYSTEM))) == []


def test_every_file_of_a_setting_is_written_for_its_container(written: Mapping[str, set[str]]) -> None:
    """Secrets and public configuration lie where the variables say, and a file that is not named there is refused."""
    assert list(rules.files_of_settings_are_written(read_once(SYSTEM), written)) == []
    spoilt = copy.deepcopy(read_once(SYSTEM))
    spoilt["services"]["rewards"]["environment"]["PLAYER_HASH_KEY_FILE"] = "/run/secrets/prizewire/hash_key"
    spoilt["services"]["signer"]["volumes"] = []
    found = list(rules.files_of_settings_are_written(spoilt, written))
    assert (
        "rewards: PLAYER_HASH_KEY_FILE names /run/secrets/prizewire/hash_key, which is not written for it"
        in found
    )
    assert any(sentence.startswith("signer: MESSAGE_KEY_FILE") for sentence in found)


def test_every_folder_that_keys_writes_is_a_volume(written: Mapping[str, set[str]]) -> None:
    """The root file system of its container is read-only: a folder that is no mount could not be created there."""
    mounted = {mount.source for mount in mounts(read_once(SYSTEM)["services"]["keys"]) if not mount.read_only}
    assert mounted == {*written, "keys", *(f"state-{name}" for name in STATES)}


def test_nothing_is_written_that_nobody_reads(written: Mapping[str, set[str]]) -> None:
    """A secret that its service does not name would be seen for nothing."""
    services = read_once(SYSTEM)["services"]
    for service in SERVICES:
        named = {Path(value).name for value in environment(services[service]).values()}
        # the fake rail's secret is named by rails.yaml
        assert written[f"secrets-{service}"] - {"fake_webhook_secret"} <= named


def test_third_party_images_are_used_where_they_are_listed() -> None:
    """A listed image of Compose is named in its file, so that nobody updates one that is not used."""
    listed = yaml.safe_load((ROOT / "deploy/images/third-party.yaml").read_text())["images"]
    for one in listed:
        if str(one.get("used_by", "")).endswith(".yml"):
            assert one["image"] in (ROOT / one["used_by"]).read_text()
        assert one["for"]


def test_kafka_has_the_properties_of_the_local_stack(tmp_path: Path) -> None:
    """Rights, listeners' protocols and limits are those of the local stack; only addresses and folders differ."""
    command = (
        "provision",
        "keys",
        f"--directory={tmp_path}",
        "--postgres=postgres:5432",
        "--kafka=kafka:9092",
    )
    assert group.main((*command, "--gateway=http://gateway:8080"), standalone_mode=False) is None
    passwords = yaml.safe_load((tmp_path / "keys/keys/credentials.json").read_text())
    local = server_properties(
        port=9092,
        controller_port=9093,
        log_dir=Path("/var/lib/kafka/data/log"),
        admin_password=passwords["kafka"]["admin"],
        controller_password=passwords["kafka-controller"],
    )
    ours, theirs = (
        _properties(text) for text in ((tmp_path / "secrets/kafka/server.properties").read_text(), local)
    )
    assert {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)} == {
        "listeners",
        "advertised.listeners",
    }
    assert ours["listeners"] == "CLIENT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093"
    assert ours["advertised.listeners"] == "CLIENT://kafka:9092"


def _properties(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_kafka_stores_on_its_volume() -> None:
    """The folder of the properties is on the volume that survives the container."""
    services = read_once(SYSTEM)["services"]
    [data] = [one for one in services["keys"]["command"] if one.startswith("--kafka-data=")]
    targets = {mount.target for mount in mounts(services["kafka"]) if mount.source == "state-kafka"}
    assert {str(Path(data.partition("=")[2]).parent)} == targets


def test_settings_stand_in_no_second_place() -> None:
    """Each file of settings belongs to a container, and each service has one."""
    files = {file.stem for file in (ROOT / "deploy/compose/env").glob("*.env")}
    assert files == {*SERVICES, "migrate"}


def _service(name: str, **changes: Any) -> Change:
    """Change keys of one service; None removes a key."""

    def change(found: dict[str, Any]) -> None:
        one = found["services"][name]
        for key, value in changes.items():
            if value is None:
                del one[key]
            else:
                one[key] = value

    return change


def _join(name: str, network: str) -> Change:
    return lambda found: found["services"][name]["networks"].update({network: None})


def _leave(name: str, network: str) -> Change:
    return lambda found: found["services"][name]["networks"].pop(network)


def _mount(name: str, text: str) -> Change:
    return lambda found: found["services"][name]["volumes"].append(text)


def _set(name: str, variable: str, value: str) -> Change:
    return lambda found: found["services"][name]["environment"].update({variable: value})


def _unset(name: str, variable: str) -> Change:
    return lambda found: found["services"][name]["environment"].pop(variable)


def _depend(name: str, other: str, condition: str | None) -> Change:
    def change(found: dict[str, Any]) -> None:
        depends = found["services"][name]["depends_on"]
        if condition is None:
            del depends[other]
        else:
            depends[other] = {"condition": condition}

    return change


def _internal(network: str) -> Change:
    return lambda found: found["networks"][network].pop("internal")


SPOILT: Final[tuple[tuple[rules.Rule, Change, str], ...]] = (
    (rules.images_are_pinned, _service("kafka", image="docker.io/apache/kafka:latest"), "has no version"),
    (rules.images_are_pinned, _service("kafka", image="docker.io/apache/kafka:4.2.0"), "not in third-party"),
    (rules.images_are_pinned, _service("rewards", image="prizewire/reward:0.1.0"), "there is no part reward"),
    (rules.images_are_pinned, _service("rewards", image="prizewire/rewards:0.0.9"), "names version 0.0.9"),
    (
        rules.images_are_pinned,
        lambda found: found["services"]["rewards"]["build"]["args"].update(PART="signer"),
        "builds signer",
    ),
    (
        rules.images_are_pinned,
        lambda found: found["services"]["rewards"]["build"]["args"].update(PORT="1"),
        "no argument PORT",
    ),
    (
        rules.own_images_are_asked_of_no_registry,
        _service("rewards-migrate", pull_policy=None),
        "rewards-migrate: a registry is asked for prizewire/rewards:0.1.0",
    ),
    (
        rules.own_images_are_asked_of_no_registry,
        _service("keys", pull_policy="missing"),
        "keys: a registry is asked",
    ),
    (rules.containers_are_hardened, _service("signer", security_opt=None), "may gain privileges"),
    (rules.containers_are_hardened, _service("signer", cap_drop=[]), "other capabilities"),
    (rules.containers_are_hardened, _service("signer", cap_add=["SYS_PTRACE"]), "other capabilities"),
    (rules.containers_are_hardened, _service("postgres", read_only=False), "writable root"),
    (rules.containers_are_hardened, _service("gateway", tmpfs=[]), "no /tmp of limited size"),
    (rules.containers_are_hardened, _service("payouts", mem_limit=None), "no mem_limit"),
    (rules.containers_are_hardened, _service("payouts", pids_limit=None), "no pids_limit"),
    (rules.containers_are_hardened, _service("payouts", stop_grace_period=None), "no stop_grace_period"),
    (rules.containers_are_hardened, _service("webhooks", user="0:0"), "runs as 0:0"),
    (rules.containers_are_hardened, _service("kafka", user=None), "the user of its image"),
    (rules.containers_are_hardened, _service("kafka", privileged=True), "shares a namespace"),
    (rules.containers_are_watched, _service("kafka", healthcheck=None), "no health check"),
    (rules.containers_are_watched, _service("signer", restart="always"), "is not started again"),
    (
        rules.containers_are_watched,
        _depend("topics", "kafka", "service_started"),
        "does not wait until kafka",
    ),
    (rules.containers_are_watched, _depend("signer", "chain", None), "does not wait for chain"),
    (
        rules.containers_are_watched,
        _depend("rewards", "rewards-migrate", None),
        "does not wait for rewards-migrate",
    ),
    (rules.containers_are_watched, _depend("rewards", "rewards-migrate", None), "nobody waits for it"),
    (rules.ports_are_on_loopback, _service("gateway", ports=["0.0.0.0:8080:8080/tcp"]), "not its port 8080"),
    (rules.ports_are_on_loopback, _service("gateway", ports=["127.0.0.1:8080:80/tcp"]), "not its port 8080"),
    (
        rules.ports_are_on_loopback,
        _service("postgres", ports=["127.0.0.1:5432:5432/tcp"]),
        "postgres: publishes",
    ),
    (rules.networks_separate, _service("signer", networks={}), "is in the default network"),
    (rules.networks_separate, _join("signer", "outside"), "signer: has ['outside'] as a way out"),
    (rules.networks_separate, _internal("kafka-signer"), "signer: has ['kafka-signer'] as a way out"),
    (rules.networks_separate, _join("signer", "metrics"), "the signer shares a network with"),
    (rules.networks_separate, _leave("rewards", "kafka"), "rewards: cannot reach kafka"),
    (rules.networks_separate, _leave("gateway", "api"), "rewards: cannot reach gateway"),
    (rules.networks_separate, _join("gateway", "kafka"), "gateway: reaches kafka, which it does not need"),
    (rules.networks_separate, _join("rewards", "chain"), "rewards: reaches stellar, which it does not need"),
    (
        rules.secrets_are_apart,
        _mount("rewards", "secrets-signer:/run/secrets/other:ro"),
        "rewards: sees secrets-signer",
    ),
    (rules.secrets_are_apart, _mount("tools", "keys:/keys:ro"), "tools: sees all keys"),
    (
        rules.secrets_are_apart,
        _mount("webhooks", "state-payouts:/state:rw"),
        "has the state of state-payouts",
    ),
    (rules.secrets_are_apart, _service("signer", volumes=["public:/etc/prizewire:rw"]), "may change public"),
    (
        rules.secrets_are_apart,
        _set("rewards", "KAFKA_SASL_PASSWORD", "x"),
        "KAFKA_SASL_PASSWORD may hold a secret",
    ),
    (
        rules.secrets_are_apart,
        _set("rewards", "LOG_LEVEL", "postgresql://a:b@c/d"),
        "LOG_LEVEL holds a secret",
    ),
    (
        rules.keys_writes_what_is_mounted,
        _mount("rewards", "secrets-reward:/x:ro"),
        "nobody writes secrets-reward",
    ),
    (
        rules.keys_writes_what_is_mounted,
        _mount("keys", "secrets-a:/provision/secrets/b:rw"),
        "secrets-a is written at",
    ),
    (rules.mounted_files_exist, _mount("kafka", f"{ROOT}/deploy/compose/kafca:/x:ro"), "there is no"),
    (rules.mounted_files_exist, _mount("kafka", f"{ROOT}/assets.yaml:/x:rw"), "may change"),
    (rules.settings_exist, _set("rewards", "PLAYER_HASH_FILE", "x"), "rewards has no setting PLAYER_HASH"),
    (
        rules.settings_exist,
        _unset("payouts", "METHOD_ENCRYPTION_KEY_FILE"),
        "METHOD_ENCRYPTION_KEY_FILE is not set",
    ),
    (
        rules.settings_exist,
        _unset("payouts-migrate", "DATABASE_MIGRATION_URL_FILE"),
        "DATABASE_MIGRATION_URL is not set",
    ),
    (rules.commands_exist, _service("topics", command=["provision", "topic"]), "there is no command"),
    (rules.commands_exist, _service("topics", command=["provision", "topics"]), "--kafka"),
    (
        rules.commands_exist,
        _service("topics", command=["provision", "topics", "--kafka=k:1", "--copies=3"]),
        "--copies",
    ),
    (rules.commands_exist, _service("rewards", command=["server"]), "is no command"),
    (
        rules.commands_exist,
        _service("stellar", command=["serve", "--state=/x", "--interval=1"]),
        "is no command",
    ),
    (
        rules.postgres_is_set_as_on_the_local_stack,
        _service("postgres", command=["postgres", "-c", "jit=on"]),
        "jit is on",
    ),
    (
        rules.proxies_are_those_of_the_gateway,
        _set("rewards", "HTTP_TRUSTED_PROXIES", "0.0.0.0/0"),
        "rewards: trusts",
    ),
)


@pytest.mark.parametrize(
    ("rule", "change", "said"), SPOILT, ids=[f"{rule.__name__}-{said}" for rule, _, said in SPOILT]
)
def test_a_spoilt_file_is_refused(rule: rules.Rule, change: Change, said: str) -> None:
    """One change of the sound file breaks the rule, and the sentence says where."""
    spoilt = copy.deepcopy(read_once(SYSTEM))
    change(spoilt)
    found: Iterator[str] = rule(spoilt)
    assert any(said in sentence for sentence in found)


SPOILT_FOR_TESTS: Final[tuple[tuple[rules.Rule, Change, str], ...]] = (
    (rules.ports_are_on_loopback, _service("signer", ports=["8080/tcp"]), "signer: publishes"),
    (rules.ports_are_on_loopback, _service("kafka", ports=["127.0.0.1:1:9092/tcp"]), "not its port 9094"),
    (rules.ports_are_on_loopback, _leave("signer", "tests-signer"), "signer: publishes"),
    (rules.networks_separate, _join("rewards", "tests-signer"), "tests-signer: its members are"),
    (
        rules.networks_separate,
        lambda found: found["networks"]["tests-signer"].pop("driver_opts"),
        "signer: has ['tests-signer'] as a way out",
    ),
)


@pytest.mark.parametrize(
    ("rule", "change", "said"),
    SPOILT_FOR_TESTS,
    ids=[f"{rule.__name__}-{said}" for rule, _, said in SPOILT_FOR_TESTS],
)
def test_a_spoilt_file_for_tests_is_refused(rule: rules.Rule, change: Change, said: str) -> None:
    """As above, for the ports that tests need."""
    spoilt = copy.deepcopy(read_once(SYSTEM, TESTS))
    change(spoilt)
    found: Iterator[str] = rule(spoilt)
    assert any(said in sentence for sentence in found)


def test_the_file_for_tests_adds_ports_only() -> None:
    """Containers of tests are those of the system, with one more network and port; Kafka advertises the port that is published."""
    system, tested = read_once(SYSTEM), read_once(SYSTEM, TESTS)
    for name, one in tested["services"].items():
        before = system["services"][name]
        added = {
            key
            for key, value in one.items()
            if key not in {"networks", "volumes"} and value != before.get(key)
        }
        assert set(mounts(one)) == set(mounts(before))
        if set(one.get("networks", ())) - set(before.get("networks", ())) == {rules.ALONE + name}:
            added.add("networks")
        assert added == ({"networks", "ports"} if name in rules.TESTED else set()) | (
            {"command"} if name == "keys" else set()
        )
    command = tested["services"]["keys"]["command"]
    [outside] = [one for one in command if one not in system["services"]["keys"]["command"]]
    assert [one for one in command if one != outside] == system["services"]["keys"]["command"]
    [port] = tested["services"]["kafka"]["ports"]
    assert outside == f"--kafka-outside={port.rpartition(':')[0]}"


def test_every_rule_was_seen_failing() -> None:
    """A rule without a spoilt file could pass on anything."""
    assert {rule for rule, _, _ in SPOILT} == {*rules.EVERYWHERE, *rules.OF_ONE_FILE, *rules.OF_THE_SYSTEM}
