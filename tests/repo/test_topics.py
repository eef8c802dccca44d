"""Topics, contracts, READMEs and Kafka's access table agree."""

import ast
import importlib.util
import subprocess
import sys

import pytest

from prizewire_contracts import topics
from prizewire_contracts.topics import TOPICS, Topic
from tests.repo.house import Member, Repository


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_topic_is_named_where_it_is_used(repository: Repository, topic: Topic) -> None:
    """The README of every service that writes or reads a topic names it."""
    services = {service.name: service for service in repository.services}
    silent = []
    for name in sorted((topic.producers | topic.consumers) & services.keys()):
        readme = services[name].folder / "README.md"
        if not readme.is_file() or topic.name not in readme.read_text():
            silent.append(name)
    assert silent == []


def test_topics_name_only_services_that_exist(repository: Repository) -> None:
    """A producer or consumer is a service of this repository, a game server or an identity source."""
    known = {service.name for service in repository.services} | {"game-server", "identity"}
    assert {name for topic in TOPICS for name in topic.producers | topic.consumers} <= known


def consumed(service: Member) -> set[str]:
    """The topics of a service's consumers: those that a module names which makes one."""
    found: set[str] = set()
    for file in sorted(service.source.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(file.read_text())))
        calls = {
            node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        if "ConsumerSpec" in calls:
            found |= {
                alias.name
                for node in nodes
                if isinstance(node, ast.ImportFrom) and node.module == topics.__name__
                for alias in node.names
            }
    return found


def test_consumers_are_those_that_consume(repository: Repository) -> None:
    """A service is among a topic's consumers exactly if it has a consumer of the topic."""
    names = {id(value): name for name, value in vars(topics).items() if isinstance(value, topics.Topic)}
    listed = {
        service.name: {names[id(topic)] for topic in TOPICS if service.name in topic.consumers}
        for service in repository.services
    }
    assert listed == {service.name: consumed(service) for service in repository.services}


def test_contracts_readme_names_every_topic_and_type(repository: Repository) -> None:
    """The README of contracts lists each topic."""
    readme = repository.root / "libs/contracts/README.md"
    text = readme.read_text() if readme.is_file() else ""
    assert [topic.name for topic in TOPICS if topic.name not in text] == []


def test_access_table_fits_the_topics() -> None:
    """On the local stack a producer may write its topics and a consumer read them; nobody else may write."""
    assert importlib.util.find_spec("prizewire_devstack.acl"), "the local stack has no access table"
    from prizewire_devstack.acl import GRANTS

    wrong = []
    for topic in TOPICS:
        writers = {grant.principal for grant in GRANTS if topic.name in grant.writes}
        readers = {grant.principal for grant in GRANTS if topic.name in grant.readable}
        if writers != topic.producers:
            wrong.append(f"{topic.name}: written by {sorted(writers)}, produced by {sorted(topic.producers)}")
        if not topic.consumers <= readers:
            wrong.append(f"{topic.name}: not readable by {sorted(topic.consumers - readers)}")
    assert wrong == []


def test_json_schemas_match_the_models(repository: Repository) -> None:
    """The committed JSON Schemas are those that the models generate."""
    check = subprocess.run(
        [sys.executable, "-m", "prizewire_contracts.schemas", "--check"],
        cwd=repository.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr
