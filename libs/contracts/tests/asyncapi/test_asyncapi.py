"""The AsyncAPI document: current, and valid by AsyncAPI's own parser."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from prizewire_contracts import asyncapi
from prizewire_contracts.topics import TOPICS

FOLDER: Final = Path(__file__).parent
UNREACHABLE: Final = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH")
"""Codes of npm where no package registry answers."""


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the parser, of the versions in the lock file."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed: AsyncAPI's parser is a package of npm")
    directory = tmp_path_factory.mktemp("asyncapi")
    for name in ("package.json", "package-lock.json", "parse.js"):
        shutil.copy(FOLDER / name, directory)
    done = subprocess.run(
        ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"),
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and any(code in done.stderr for code in UNREACHABLE):
        pytest.skip(f"no package registry of npm answers: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    return directory


def judged(parser: Path, *files: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        ("node", "parse.js", *map(str, files)), cwd=parser, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_the_document_is_current() -> None:
    """The committed document is the one that the models generate: run `make schemas` after a change."""
    check = subprocess.run(
        (sys.executable, "-m", "prizewire_contracts.asyncapi", "--check"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr


def test_a_stale_document_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A document that differs is named, with the command that writes it."""
    monkeypatch.setattr(asyncapi, "FILE", tmp_path / "asyncapi.json")
    assert asyncapi.main(["--check"]) == 1
    assert "make schemas" in capsys.readouterr().err


def test_the_document_names_every_topic_type_and_service() -> None:
    """Each topic is a channel; each of its types is a message; each producer sends and each consumer receives."""
    made = asyncapi.document()
    channels = made["channels"].values()
    assert {one["address"]: set(one["messages"]) for one in channels} == {
        topic.name: set(topic.models) for topic in TOPICS
    }
    for topic in TOPICS:
        own = [name for name, one in made["channels"].items() if one["address"] == topic.name]
        operations = [
            (one["action"], one["tags"][0]["name"])
            for one in made["operations"].values()
            if one["channel"] == {"$ref": f"#/channels/{own[0]}"}
        ]
        assert sorted(operations) == sorted(
            [("send", name) for name in topic.producers] + [("receive", name) for name in topic.consumers]
        )


def test_a_keyword_that_draft_7_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a keyword would be ignored by readers of the document."""

    def schemas(*_: object, **__: object) -> tuple[dict[Any, Any], dict[str, Any]]:
        return {}, {"$defs": {"Pair": {"type": "array", "prefixItems": [{"type": "string"}]}}}

    monkeypatch.setattr(asyncapi, "models_json_schema", schemas)
    with pytest.raises(asyncapi.NotInDraft7, match="prefixItems"):
        asyncapi.document()


@pytest.mark.long
def test_asyncapis_own_parser_accepts_the_document(parser: Path, tmp_path: Path) -> None:
    """The parser finds no error in it, and finds those of two spoilt copies."""
    whole = asyncapi.document()
    reference = tmp_path / "reference.json"
    reference.write_text(
        json.dumps(whole).replace("#/components/schemas/PoolLevel", "#/components/schemas/None")
    )
    action = tmp_path / "action.json"
    action.write_text(json.dumps(whole).replace('"action": "send"', '"action": "shout"'))
    good, *spoilt = judged(parser, asyncapi.FILE, reference, action)
    assert good["errors"] == []
    assert sorted(good["channels"]) == sorted(topic.name for topic in TOPICS)
    assert all(one["errors"] for one in spoilt)
