"""The command line refuses to start on a mistake, with a sentence and without showing a secret."""

import json
from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from prizewire_chassis.keys import UnsafeKeyFile
from prizewire_chassis.lifecycle import Built, Runtime, command, main
from prizewire_chassis.settings import BY_FILE_ONLY, ServiceSettings, load_assets
from prizewire_devstack.home import write_private
from tools.devstack.tests.doctor import sound


async def _build(runtime: Runtime) -> Built:
    raise AssertionError("a service that must not start was built")


def run(*arguments: str) -> int:
    return main(
        service="test",
        settings=ServiceSettings,
        build=_build,
        migrations=Path("unused"),
        arguments=list(arguments),
    )


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """A whole and right environment; logging stays as the test session has it."""
    monkeypatch.setattr(command, "configure", lambda **_: None)
    values = {
        "DATABASE_URL": "postgresql://service:hush@127.0.0.1/none",
        "KAFKA_SASL_PASSWORD": "hush",
        "MESSAGE_KEY_FILE": str(tmp_path / "key"),
        "TRUST_FILE": str(tmp_path / "trust.json"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_a_wrong_setting_is_named_and_not_shown(environment, capsys):
    """The sentence says which variable is wrong, and never what stands in it."""
    environment.setenv("HTTP_PORT", "hush-hush")
    assert run("serve") == 2
    said = capsys.readouterr().err
    assert "HTTP_PORT" in said
    assert "hush" not in said


def test_a_missing_secret_is_named(environment, capsys):
    """Secrets have no default: without one the service does not start."""
    environment.delenv("KAFKA_SASL_PASSWORD")
    assert run("serve") == 2
    assert "KAFKA_SASL_PASSWORD" in capsys.readouterr().err


@pytest.mark.usefixtures("environment")
def test_an_unknown_role_is_refused(capsys):
    """A misspelt role would leave a part of the service out in silence."""
    assert run("serve", "--roles", "http,consumer") == 2
    assert "unknown roles ['consumer']" in capsys.readouterr().err


@pytest.mark.usefixtures("environment")
def test_a_missing_key_is_reported(capsys):
    """Without its message key a service says so and ends."""
    assert run("serve") == 2
    assert "the key file key cannot be read" in capsys.readouterr().err


def test_a_migration_needs_the_database_only(environment, capsys):
    """A migration is given no key and no password of Kafka: it does not ask for them."""
    for name in ("KAFKA_SASL_PASSWORD", "MESSAGE_KEY_FILE", "TRUST_FILE"):
        environment.delenv(name)
    assert run("migrate") == 2
    assert capsys.readouterr().err.splitlines() == [
        "test: set DATABASE_MIGRATION_URL to the database under its owner's role"
    ]
    environment.delenv("DATABASE_URL")
    assert run("migrate") == 2
    assert "DATABASE_URL" in capsys.readouterr().err


@pytest.mark.usefixtures("environment")
def test_migrations_need_their_own_url(capsys):
    """The service's own role must not be the one that owns the tables."""
    assert run("migrate") == 2
    assert "DATABASE_MIGRATION_URL" in capsys.readouterr().err


@pytest.mark.usefixtures("environment")
def test_settings_are_listed_without_their_values(capsys):
    """What a service reads from its environment can be listed anywhere."""
    assert run("settings") == 0
    said = capsys.readouterr().out
    assert "KAFKA_SASL_PASSWORD" in said
    assert "hush" not in said


@pytest.fixture
def named_files(environment, tmp_path):
    """The files that the environment names."""
    assets, authority = tmp_path / "assets.yaml", tmp_path / "authority.crt"
    assets.write_text("assets: {USDC: {decimals: 7, redeemable: true}}")
    (tmp_path / "trust.json").write_text('{"keys": []}')
    write_private(tmp_path / "key", json.dumps({"keyid": "test-1", "private_key": "ab" * 32}))
    environment.setenv("ASSETS_FILE", str(assets))
    environment.setenv("KAFKA_CA_FILE", str(authority))
    return tmp_path


@pytest.mark.usefixtures("named_files")
def test_settings_are_checked_without_starting(environment, capsys):
    """Right variables are no output and 0; a wrong one is named, without its value, and 2."""
    assert run("settings", "--check") == 0
    assert capsys.readouterr() == ("", "")
    environment.setenv("HTTP_PORT", "hush-hush")
    assert run("settings", "--check") == 2
    said = capsys.readouterr().err
    assert "HTTP_PORT" in said
    assert "hush" not in said


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("assets.yaml", "assets: ["),
        ("trust.json", '{"keys": [{}]}'),
        ("trust.json", "[]"),
        ("key", '{"keyid": "hush"}'),
        ("key", "hush"),
        ("authority.crt", "no certificate"),
    ],
)
def test_files_are_checked_without_starting(environment, named_files, name, text, capsys):
    """A file that the start would refuse is named with its setting, without its content."""
    environment.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    (named_files / "authority.crt").write_text(sound.authority(now=sound.now()))
    assert run("settings", "--check") == 0
    (named_files / name).write_text(text)
    assert run("settings", "--check") == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert f"_FILE {name}" in said
    assert "hush" not in said


def test_missing_files_and_secrets_may_be_passed_over(named_files, capsys):
    """Where settings are checked on another machine than the service's, its secrets are not there."""
    (named_files / "key").unlink()
    (named_files / "trust.json").unlink()
    assert run("settings", "--check") == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert run("settings", "--check", "--present-only") == 0
    (named_files / "assets.yaml").write_text("assets: [")
    assert run("settings", "--check", "--present-only") == 2


@pytest.mark.parametrize("variable", ["DATABASE_URL", "DATABASE_MIGRATION_URL"])
@pytest.mark.parametrize(
    ("parameters", "instead"),
    [
        ("sslmode=verify-full", "the parameter sslmode, which only psql takes: write ssl= instead"),
        (
            "ssl=verify-full&sslrootcert=/a",
            "sslrootcert, which only psql takes: set the variable PGSSLROOTCERT",
        ),
    ],
)
@pytest.mark.parametrize("arguments", [("serve",), ("migrate",), ("settings", "--check")])
def test_a_database_url_for_psql_is_refused(environment, capsys, variable, parameters, instead, arguments):
    """The driver takes other parameters than psql. The sentence says which, without the URL."""
    environment.setenv(variable, f"postgresql://service:hush@127.0.0.1/none?{parameters}")
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"test: the setting {variable} is wrong: the URL has ")
    assert instead in said
    assert "hush" not in said


def test_a_database_url_may_ask_for_tls(environment, capsys):
    """The form for an encrypted connection, with checks of the server's certificate and name, is accepted."""
    environment.setenv("DATABASE_URL", "postgresql://service:hush@127.0.0.1:5432/none?ssl=verify-full")
    assert run("settings", "--check", "--present-only") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("environment")
def test_settings_do_not_show_secrets():
    """A repr, as a log or a traceback would write it, hides every secret."""
    assert "hush" not in repr(ServiceSettings())


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "assets: [EUR]",
        "assets: {EUR: {decimals: 2}}",
        "assets: {EUR: {decimals: two, redeemable: true}}",
    ],
)
def test_a_malformed_assets_file_is_refused(tmp_path, document):
    """A mistake in assets.yaml stops the start instead of giving an amount another meaning."""
    file = tmp_path / "assets.yaml"
    file.write_text(document)
    with pytest.raises(ValueError, match=r"assets|decimals"):
        load_assets(file)


class KeyedSettings(ServiceSettings):
    """Settings with a key, as the signer has one."""

    chain_secret: SecretStr = Field(description="A key.", json_schema_extra=BY_FILE_ONLY)


def secret_file(tmp_path: Path, text: str, *, mode: int = 0o600) -> str:
    file = tmp_path / "a-secret"
    file.write_text(text + "\n")
    file.chmod(mode)
    return str(file)


def test_a_secret_may_come_by_a_file(environment, tmp_path):
    """``NAME_FILE`` stands for ``NAME``: the file's text, without the line end."""
    environment.delenv("DATABASE_URL")
    environment.setenv("DATABASE_URL_FILE", secret_file(tmp_path, "postgresql://by.file/x"))
    assert ServiceSettings().database_url.get_secret_value() == "postgresql://by.file/x"


def test_any_setting_may_come_by_a_file(environment, tmp_path):
    """Addresses of accounts are made at the first start, after the definitions of containers were written."""
    file = tmp_path / "host"
    file.write_text("0.0.0.0\n")
    environment.setenv("HTTP_HOST_FILE", str(file))
    assert ServiceSettings().http_host == "0.0.0.0"  # noqa: S104 - only read here
    environment.setenv("HTTP_HOST", "127.0.0.1")
    with pytest.raises(UnsafeKeyFile, match="HTTP_HOST and HTTP_HOST_FILE are both set"):
        ServiceSettings()
    environment.delenv("HTTP_HOST")
    environment.setenv("HTTP_HOST_FILE", str(tmp_path / "absent"))
    with pytest.raises(UnsafeKeyFile, match=r"HTTP_HOST_FILE names .*absent, which cannot be read"):
        ServiceSettings()


def start(kind: type[ServiceSettings]) -> int:
    return main(service="test", settings=kind, build=_build, migrations=Path("unused"), arguments=["serve"])


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DATABASE_URL_FILE", "FILE", "DATABASE_URL and DATABASE_URL_FILE are both set"),
        ("CHAIN_SECRET", "hush-hush", "name that in CHAIN_SECRET_FILE"),
        ("chain_secret", "hush-hush", "name that in CHAIN_SECRET_FILE"),
        ("MESSAGE_KEY", "hush-hush", "name that in MESSAGE_KEY_FILE"),
        ("CHAIN_SECRET_FILE", "hush-hush", "CHAIN_SECRET_FILE names a file that does not exist"),
        ("CHAIN_SECRET_FILE", "OPEN", "chmod 600"),
        ("CHAIN_SECRET_FILE", "", "the setting CHAIN_SECRET_FILE is wrong: Field required"),
    ],
)
def test_a_key_comes_by_its_file_only(environment, tmp_path, capsys, variable, value, said):
    """In the environment, both ways, at no file or at one that others read: a sentence says what to do and shows nothing."""
    file = secret_file(tmp_path, "hush-hush", mode=0o644 if value == "OPEN" else 0o600)
    environment.setenv(variable, file if value in ("FILE", "OPEN") else value)
    assert start(KeyedSettings) == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert "hush-hush" not in complaint


def test_a_key_is_listed_by_its_file(capsys):
    """What cannot be set is not listed: the list names the variable that an operator sets."""
    assert (
        main(
            service="test",
            settings=KeyedSettings,
            build=_build,
            migrations=Path("unused"),
            arguments=["settings"],
        )
        == 0
    )
    names = {row["name"] for row in json.loads(capsys.readouterr().out)}
    assert "CHAIN_SECRET_FILE" in names
    assert "CHAIN_SECRET" not in names
