"""`prizewire provision`: keys for each reader, and databases, topics and accounts on real servers, as often as one likes."""

import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    ResourcePatternType,
    ResourceType,
)

from prizewire_contracts.topics import MATCHES
from prizewire_devstack.api import installation, remote
from prizewire_devstack.cli.main import group
from prizewire_devstack.components import stellar
from prizewire_devstack.components.kafka import KafkaServer
from prizewire_devstack.components.kafka.acls import ANY_ACL
from prizewire_devstack.components.keys import GAME_SERVER, Keyring
from prizewire_devstack.components.postgres import PostgresServer, RolePasswords
from prizewire_devstack.components.processes import Supervisor
from prizewire_devstack.errors import DevstackError, NotRunningError
from prizewire_devstack.game_server import local_key, login
from prizewire_devstack.home import HOME_VARIABLE, Home
from prizewire_devstack.ports import choose
from prizewire_devstack.provision.chain import provision_chain
from prizewire_devstack.provision.databases import provision_databases
from prizewire_devstack.provision.readers import GRAFANA, OURS, STATES
from prizewire_devstack.provision.topics import provision_topics
from prizewire_devstack.routes import SERVICES

PLACES = ("--postgres", "db:5432", "--kafka", "kafka:9092", "--gateway", "http://gateway:8080")
OWN = {
    "settlement": set(),
    "rewards": {"player_hash_key"},
    "payouts": {"method_encryption_key", "fake_webhook_secret"},
    "webhooks": {"webhook_encryption_key", "fake_webhook_secret"},
    "signer": {"channel_signer_secrets", "payout_hot_signer_secret"},
}


def provision(*arguments: str) -> None:
    assert group.main(("provision", *arguments), standalone_mode=False) is None


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of one installation."""
    directory = tmp_path_factory.mktemp("made")
    (directory / "assets.yaml").write_text("assets: {}\n")
    provision("keys", "--directory", str(directory), *PLACES, "--assets", str(directory / "assets.yaml"))
    return directory


def content(directory: Path) -> dict[str, str]:
    return {
        str(file.relative_to(directory)): file.read_text() for file in directory.rglob("*") if file.is_file()
    }


def test_each_process_has_its_own_secrets_only(made: Path) -> None:
    """A service gets its key, its password, its runtime URL and its own keys; no value is in two services' folders but the secret of
    the fake rail, which signs and verifies webhooks.
    """
    shared: dict[str, list[str]] = {}
    for service in SERVICES:
        found = content(made / "secrets" / service)
        assert found.keys() == {"database_url", "kafka_sasl_password", "message_key"} | OWN[service]
        assert found["database_url"].startswith(f"postgresql://{service}:")
        for name, text in found.items():
            shared.setdefault(text, []).append(f"{service}/{name}")
    assert [names for names in shared.values() if len(names) > 1] == [
        ["payouts/fake_webhook_secret", "webhooks/fake_webhook_secret"]
    ]


def test_owners_and_administrators_have_folders_of_their_own(made: Path) -> None:
    """No service finds the owner's URL, a superuser's password or the key that signs tokens."""
    for service in SERVICES:
        found = content(made / "secrets" / f"{service}-migrate")
        assert found.keys() == {"database_url", "database_migration_url"}
        assert found["database_migration_url"].startswith(f"postgresql://{service}_owner:")
    everywhere = content(made / "secrets")
    tokens = [name for name, text in everywhere.items() if "PRIVATE KEY" in text]
    assert tokens == ["tools/keys/token-signing.pem"]
    superuser = everywhere["postgres/superuser_password"].strip()
    assert sorted(name for name, text in everywhere.items() if superuser in text) == [
        "databases/superuser_url",
        "postgres/superuser_password",
    ]


def test_only_its_reader_may_read_a_secret(made: Path) -> None:
    """Each file of secrets has mode 0400, and belongs to the user of its process where root wrote it."""
    files = [file for file in (made / "secrets").rglob("*") if file.is_file()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o400}
    assert stat.S_IMODE((made / "keys").stat().st_mode) == 0o700
    if os.geteuid() == 0:
        owners = {file.relative_to(made).parts[1]: file.stat().st_uid for file in files}
        others = {"kafka": 1000, "postgres": 999}
        assert owners == {name: others.get(name, OURS) for name in owners}
        assert {name: (made / "state" / name).stat().st_uid for name in STATES} == STATES


def test_public_files_name_places_inside_a_container(made: Path) -> None:
    """What every process may read: trust, tokens' public keys, rails, addresses of accounts, the gateway's configuration."""
    found = content(made / "public")
    assert {"trust.json", "jwks.json", "player-sources.yaml", "assets.yaml"} <= found.keys()
    [_, fake, _] = yaml.safe_load(found["rails.yaml"])["rails"]
    assert fake["webhook"] == {"secret_files": ["/run/secrets/prizewire/fake_webhook_secret"]}
    stellar_keys = Keyring(home=Home(root=made / "keys")).stellar()
    assert found["payout_source_account"].strip() == stellar_keys.treasury.public_key
    [server] = json.loads(found["caddy.json"])["apps"]["http"]["servers"].values()
    assert server["listen"] == [":8080"]
    assert '"settlement:8080"' in found["caddy.json"]
    assert "127.0.0.1" not in found["caddy.json"]
    assert not [name for name, text in found.items() if "private" in text.lower()]


def test_keys_are_made_once(made: Path) -> None:
    """Repeated, the command changes no file, and removes what a reader no longer has."""
    before = {name: text for name, text in content(made).items() if name != "secrets/kafka/scram"}
    key = made / "secrets/tools/keys/game-server.message.json"
    modified = key.stat().st_mtime
    stale = made / "secrets" / "rewards" / "former_key"
    stale.write_text("unused")
    provision("keys", "--directory", str(made), *PLACES, "--assets", str(made / "assets.yaml"))
    after = {name: text for name, text in content(made).items() if name != "secrets/kafka/scram"}
    assert after == before
    assert key.stat().st_mtime == modified, "a competition's key would begin to be valid at another time"


def test_one_reader_can_be_written_alone(tmp_path: Path) -> None:
    """Monitoring beside other services gets its password without any other key; a misspelt reader is refused."""
    provision("keys", "--directory", str(tmp_path), *PLACES, "--only", GRAFANA)
    if os.geteuid() == 0:
        assert (tmp_path / "secrets/grafana/admin_password").stat().st_uid == 472
    assert content(tmp_path).keys() == {"keys/keys/grafana-admin.password", "secrets/grafana/admin_password"}
    with pytest.raises(DevstackError, match="no reader grafna"):
        provision("keys", "--directory", str(tmp_path), *PLACES, "--only", "grafna")


def written_files(directory: Path) -> list[str]:
    """The files of an installation, without the assets that the test gave."""
    return sorted(
        name for name in content(directory) if name.partition("/")[0] in {"keys", "public", "secrets"}
    )


def refused(directory: Path, *arguments: str) -> str:
    """Provision again where keys are lost; returns the sentence, after no file has changed."""
    before = content(directory)
    with pytest.raises(DevstackError, match=r"^Lost: ") as caught:
        provision("keys", "--directory", str(directory), *PLACES, *arguments)
    assert content(directory) == before
    return str(caught.value)


def test_a_lost_key_that_a_reader_has_is_not_replaced(made: Path, tmp_path: Path) -> None:
    """Each file of the folder of keys, lost alone, is named together with a file that has its content; none is changed."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    lost = [name for name in written_files(tmp_path) if name.startswith("keys/")]
    assert len(lost) >= 18
    for name in lost:
        kept = (tmp_path / name).rename(tmp_path / "kept")
        said = refused(tmp_path)
        assert re.search(
            rf"^Lost: {tmp_path}/{name} \(an earlier one is in {tmp_path}/(secrets|public)/[\w./-]+\)\. ",
            said,
        )
        kept.rename(tmp_path / name)
    provision("keys", "--directory", str(tmp_path), *PLACES, "--assets", str(made / "assets.yaml"))


def test_lost_keys_are_not_made_again_while_one_reader_has_some(made: Path, tmp_path: Path) -> None:
    """Without the folder of keys, as with a lost volume, any folder of a reader is enough to refuse; an empty one is none."""
    readers = [
        folder
        for folder in (made / "public", *sorted((made / "secrets").iterdir()))
        if folder.name != GRAFANA
    ]
    assert len(readers) == 1 + 2 * len(SERVICES) + 6
    for number, folder in enumerate(readers):
        directory = tmp_path / str(number)
        shutil.copytree(folder, directory / folder.relative_to(made))
        (directory / "keys").mkdir()
        said = refused(directory)
        assert f"Restore the folder {directory}/keys" in said
        assert "docker compose down --volumes" in said
    provision("keys", "--directory", str(tmp_path), *PLACES, "--only", GRAFANA)
    (tmp_path / "keys/keys/grafana-admin.password").unlink()
    assert "secrets/grafana/admin_password" in refused(tmp_path, "--only", GRAFANA)
    (tmp_path / "secrets/settlement").mkdir()
    provision("keys", "--directory", str(tmp_path), *PLACES)


def test_a_key_of_a_later_version_is_made(made: Path, tmp_path: Path) -> None:
    """A key that no reader has was never made: after an upgrade it is."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    for name in ("keys/keys/webhook-encryption.key", "secrets/webhooks/webhook_encryption_key"):
        (tmp_path / name).unlink()
    provision("keys", "--directory", str(tmp_path), *PLACES, "--assets", str(made / "assets.yaml"))
    assert written_files(tmp_path) == written_files(made)


def test_the_command_reaches_services_that_run_elsewhere(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder of the tools as its state directory, `prizewire` makes its own tokens, and sends as a game server."""
    monkeypatch.setenv(HOME_VARIABLE, str(made / "secrets" / "tools"))
    named = remote()
    assert named is not None
    assert named[0] == "http://gateway:8080"
    assert named[1].count(".") == 2
    found = installation()
    assert found is not None
    home, _ = found
    sender = login(home, GAME_SERVER)
    assert (sender.bootstrap_servers, sender.username) == ("kafka:9092", GAME_SERVER)
    assert local_key(home).keyid == "game-server-1"
    with pytest.raises(NotRunningError, match="docker compose ps"):
        home.running()


@pytest.fixture
def roles(postgres_server: PostgresServer) -> Iterator[dict[str, RolePasswords]]:
    """Two services that only this test has: the session's own roles stay as they are."""
    found = {f"provisioned_{n}": RolePasswords(runtime=f"run{n}", owner=f"own{n}") for n in (1, 2)}
    yield found
    for name in found:
        postgres_server.run_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE);')
        postgres_server.run_sql(f'DROP ROLE IF EXISTS "{name}"; DROP ROLE IF EXISTS "{name}_owner";')


async def test_databases_and_roles_are_created_once(
    postgres_server: PostgresServer, roles: Mapping[str, RolePasswords], tmp_path: Path
) -> None:
    """Each runtime role reads and writes what its owner creates, creates nothing, and enters no other database. Repeated with
    another password, the new one holds.
    """
    (tmp_path / "superuser_url").write_text(postgres_server.superuser_url() + "\n")
    (tmp_path / "role_passwords").write_text(json.dumps({name: asdict(own) for name, own in roles.items()}))
    assert await provision_databases(secrets=tmp_path) == list(roles)
    await provision_databases(secrets=tmp_path)
    first, second = roles
    urls = postgres_server.urls(first, passwords=roles[first])
    owner, runtime = await asyncpg.connect(urls.migration), await asyncpg.connect(urls.runtime)
    await owner.execute("CREATE TABLE rounds (id int)")
    await runtime.execute("INSERT INTO rounds VALUES (1)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await runtime.execute("CREATE TABLE more (id int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(postgres_server.urls(first, passwords=roles[first], database=second).runtime)
    await owner.close()
    await runtime.close()
    changed = {name: {"runtime": "changed", "owner": own.owner} for name, own in roles.items()}
    (tmp_path / "role_passwords").write_text(json.dumps(changed))
    await provision_databases(secrets=tmp_path)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(urls.runtime)


async def test_a_refused_superuser_is_one_sentence(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """A wrong password is reported at once, a server that does not answer after a while."""
    (tmp_path / "role_passwords").write_text("{}")
    (tmp_path / "superuser_url").write_text(
        postgres_server.superuser_url().replace("postgres:", "postgres:x")
    )
    with pytest.raises(DevstackError, match="refused the superuser"):
        await provision_databases(secrets=tmp_path)
    (tmp_path / "superuser_url").write_text(
        f"postgresql://postgres:x@127.0.0.1:{choose(taken=set())}/postgres"
    )
    with pytest.raises(DevstackError, match="did not answer"):
        await provision_databases(secrets=tmp_path, wait_s=0.1)


def test_topics_settings_and_rights_are_as_the_tables_say(
    kafka_server: KafkaServer, keyring: Keyring, tmp_path: Path
) -> None:
    """Another retention and a missing ACL are as in the tables again."""
    admin = kafka_server.admin
    (tmp_path / "kafka_passwords").write_text(json.dumps(keyring.kafka_passwords()))
    rules = set(admin.describe_acls(ANY_ACL).result(30))
    anything: Any = None
    reads = AclBindingFilter(
        ResourceType.TOPIC,
        MATCHES.name,
        ResourcePatternType.LITERAL,
        "User:settlement",
        anything,
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    for future in admin.delete_acls([reads]).values():
        assert len(future.result(30)) == 1
    set_matches(admin, **{"retention.ms": "1000", "unclean.leader.election.enable": "true"})
    place = f"127.0.0.1:{kafka_server.port}"
    done = provision_topics(secrets=tmp_path, kafka=place, replicas=1)
    assert set(admin.describe_acls(ANY_ACL).result(30)) == rules
    retention = str(int(MATCHES.retention.total_seconds() * 1000))
    assert settings_of_matches(admin)["retention.ms"] == retention
    assert done.changed == (
        f"{MATCHES.name}: retention.ms from 1000 to {retention}",
        f"{MATCHES.name}: unclean.leader.election.enable from true to false",
    )
    assert provision_topics(secrets=tmp_path, kafka=place, replicas=1).changed == ()


def set_matches(admin: AdminClient, **settings: str) -> None:
    change_matches(
        admin,
        [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in settings.items()
        ],
    )


def change_matches(admin: AdminClient, entries: list[ConfigEntry]) -> None:
    resource = ConfigResource(ResourceType.TOPIC, MATCHES.name, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)


def settings_of_matches(admin: AdminClient) -> dict[str, str | None]:
    [found] = admin.describe_configs([ConfigResource(ResourceType.TOPIC, MATCHES.name)]).values()
    return {name: entry.value for name, entry in found.result(30).items()}


MORE = {
    "max.message.bytes": "2000000",
    "min.insync.replicas": "2",
    "retention.ms": str(10 * 366 * 86_400_000),
}
"""Settings that are better than those of the table for one copy."""


def test_provisioning_lowers_no_setting(kafka_server: KafkaServer, keyring: Keyring, tmp_path: Path) -> None:
    """What is better than the table stays as it is, with the default of one copy too."""
    (tmp_path / "kafka_passwords").write_text(json.dumps(keyring.kafka_passwords()))
    before = settings_of_matches(kafka_server.admin)
    set_matches(kafka_server.admin, **MORE)
    try:
        provision("topics", "--secrets", str(tmp_path), "--kafka", f"127.0.0.1:{kafka_server.port}")
        found = settings_of_matches(kafka_server.admin)
    finally:
        set_matches(kafka_server.admin, **{name: str(before[name]) for name in MORE})
    assert {name: found[name] for name in MORE} == MORE


MATCHES_OF = (ResourceType.TOPIC, MATCHES.name, ResourcePatternType.LITERAL)


def filter_of(one: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(*MATCHES_OF, one.principal, one.host, one.operation, one.permission_type)


def test_a_good_default_is_made_a_setting_of_the_topic(
    kafka_server: KafkaServer, keyring: Keyring, tmp_path: Path
) -> None:
    """A topic without a setting of its own would change with the broker's default."""
    (tmp_path / "kafka_passwords").write_text(json.dumps(keyring.kafka_passwords()))
    setting = "unclean.leader.election.enable"
    deleted = ConfigEntry(setting, "", incremental_operation=AlterConfigOpType.DELETE)
    change_matches(kafka_server.admin, [deleted])
    done = provision_topics(secrets=tmp_path, kafka=f"127.0.0.1:{kafka_server.port}", replicas=1)
    assert done.changed == ()
    [found] = kafka_server.admin.describe_configs([ConfigResource(*MATCHES_OF[:2])]).values()
    entry = found.result(30)[setting]
    assert (entry.value, ConfigSource(entry.source)) == ("false", ConfigSource.DYNAMIC_TOPIC_CONFIG)


def test_what_is_in_no_table_is_printed_and_stays(
    kafka_server: KafkaServer, keyring: Keyring, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A right of another principal, a denial and a limit of times are a line each; the rights are not taken back."""
    (tmp_path / "kafka_passwords").write_text(json.dumps(keyring.kafka_passwords()))
    admin = kafka_server.admin
    strange = [
        AclBinding(*MATCHES_OF, "User:mallory", "*", AclOperation.ALL, AclPermissionType.ALLOW),
        AclBinding(*MATCHES_OF, "User:peggy", "*", AclOperation.READ, AclPermissionType.DENY),
    ]
    for made in admin.create_acls(strange).values():
        made.result(30)
    set_matches(admin, **{"message.timestamp.after.max.ms": "1000", "unclean.leader.election.enable": "true"})
    try:
        provision("topics", "--secrets", str(tmp_path), "--kafka", f"127.0.0.1:{kafka_server.port}")
        left = set(admin.describe_acls(ANY_ACL).result(30))
    finally:
        set_matches(admin, **{"message.timestamp.after.max.ms": "3600000"})
        for gone in admin.delete_acls([filter_of(one) for one in strange]).values():
            gone.result(30)
    lines = capsys.readouterr().out.splitlines()
    left_as = "In no table, and left as it is: "
    assert f"{left_as}ALL on TOPIC {MATCHES.name} for User:mallory." in lines
    assert f"{left_as}DENY for User:peggy from * on {MATCHES.name}." in lines
    assert (
        f"{left_as}{MATCHES.name}: message.timestamp.after.max.ms is 1000, and Kafka's default is 3600000."
        in lines
    )
    assert f"Changed {MATCHES.name}: unclean.leader.election.enable from true to false." in lines
    assert set(strange) <= left


def test_a_broker_that_refuses_is_one_sentence(kafka_server: KafkaServer, tmp_path: Path) -> None:
    """A wrong password of the administrator ends after the wait, with the address."""
    (tmp_path / "kafka_passwords").write_text(json.dumps({"admin": "wrong"}))
    place = f"127.0.0.1:{kafka_server.port}"
    with pytest.raises(DevstackError, match=f"{place} did not accept the administrator"):
        provision_topics(secrets=tmp_path, kafka=place, replicas=1, wait_s=1.5)


def test_accounts_are_created_once_on_the_chain(made: Path, tmp_path: Path) -> None:
    """Issuer, treasury and channels come from their keys alone; repeated, no transaction is made."""
    supervisor = Supervisor()
    try:
        chain = stellar.start(
            directory=tmp_path / "stellar",
            port=choose(taken=set()),
            supervisor=supervisor,
            log_file=tmp_path / "stellar.log",
        )
        secrets = made / "secrets" / "chain"
        treasury = provision_chain(secrets=secrets, rpc=chain.url, friendbot=None)
        keys = Keyring(home=Home(root=secrets)).stellar()
        [token, _] = stellar.assets(keys)
        held = chain.balance(treasury, token)
        assert held > 0
        assert provision_chain(secrets=secrets, rpc=chain.url, friendbot=f"{chain.url}/friendbot") == treasury
        assert chain.balance(treasury, token) == held
    finally:
        supervisor.stop_all()
    with pytest.raises(DevstackError, match="was not healthy"):
        provision_chain(secrets=secrets, rpc=chain.url, friendbot=None, wait_s=0.1)
