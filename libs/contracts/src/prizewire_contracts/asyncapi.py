"""The AsyncAPI 3 document of all topics: ``python -m prizewire_contracts.asyncapi [--check]`` writes or compares it.

The schemas are those of the models. AsyncAPI 3.0 reads them in JSON Schema draft 7, of which the models use nothing that differs
from draft 2020-12 (https://www.asyncapi.com/docs/reference/specification/v3.0.0).
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from prizewire_contracts.envelope import CONTENT_TYPE, Envelope
from prizewire_contracts.topics import TOPICS, Topic

FILE: Final = Path(__file__).parents[2] / "asyncapi.json"
VERSION: Final = "3.0.0"
_KAFKA_BINDING: Final = "0.5.0"
_SCHEMAS: Final = "#/components/schemas/"
_NOT_IN_DRAFT_7: Final = frozenset(
    {"prefixItems", "dependentRequired", "unevaluatedProperties", "minContains"}
)
_KEY: Final[Mapping[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 128,
    "description": "The correlation id: all events of one match are in one partition, in their order.",
}
_HEADERS: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "content-type": {
            "type": "string",
            "const": CONTENT_TYPE,
            "description": "Structured mode of CloudEvents (Kafka protocol binding 1.0, section 3.3).",
        }
    },
}


class NotInDraft7(Exception):
    """A model's schema uses a keyword of JSON Schema that draft 7 does not have. The message names the keyword."""


def document() -> dict[str, Any]:
    """The document.

    Raises:
        NotInDraft7: a model's schema cannot be written in it.
    """
    models = [model for topic in TOPICS for model in topic.models.values()]
    names, found = models_json_schema(
        [(model, "validation") for model in models], ref_template=_SCHEMAS + "{model}"
    )
    schemas: dict[str, Any] = found["$defs"]
    _refuse_newer(schemas)
    references = {model: schema["$ref"] for (model, _), schema in names.items()}
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Prizewire events",
            "version": "1",
            "description": "Every Kafka topic of Prizewire, with its event types. Every message is a CloudEvent 1.0 in structured "
            "mode. Every event of a service is signed. A service applies an event once, also where Kafka delivers it again.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "kafka": {
                "host": "{bootstrap_servers}",
                "protocol": "kafka-secure",
                "description": "The installation's broker: KAFKA_BOOTSTRAP_SERVERS. Each service has a login of its own.",
                "variables": {
                    "bootstrap_servers": {
                        "default": "127.0.0.1:9092",
                        "description": "Host and port of a broker.",
                    }
                },
                "security": [{"$ref": "#/components/securitySchemes/scram"}],
            }
        },
        "channels": {_short(topic): _channel(topic) for topic in TOPICS},
        "operations": dict(operation for topic in TOPICS for operation in _operations(topic)),
        "components": {
            "messages": {
                kind: _message(kind, model, references[model])
                for topic in TOPICS
                for kind, model in sorted(topic.models.items())
            },
            "schemas": schemas,
            "securitySchemes": {
                "scram": {
                    "type": "scramSha512",
                    "description": "SASL/SCRAM-SHA-512; over TLS where KAFKA_SECURITY_PROTOCOL is SASL_SSL.",
                }
            },
        },
    }


def _short(topic: Topic) -> str:
    """A topic's name as an identifier: ``prizewire.signing.requests.v1`` is ``signing-requests``."""
    return topic.name.removeprefix("prizewire.").rpartition(".")[0].replace(".", "-")


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": f"Written by {_list(topic.producers)}. Read by {_list(topic.consumers) or 'no service'}.",
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in sorted(topic.models)},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": int(topic.retention.total_seconds() * 1000),
                },
                "bindingVersion": _KAFKA_BINDING,
            }
        },
    }


def _operations(topic: Topic) -> list[tuple[str, dict[str, Any]]]:
    channel = _short(topic)
    sides = [("send", "sends", name) for name in sorted(topic.producers)]
    sides += [("receive", "receives", name) for name in sorted(topic.consumers)]
    return [
        (
            f"{name}-{action}-{channel}",
            {
                "action": action,
                "title": f"{name} {verb} {topic.name}",
                "channel": {"$ref": f"#/channels/{channel}"},
                "tags": [{"name": name}],
                **({"bindings": _group(name)} if action == "receive" else {}),
            },
        )
        for action, verb, name in sides
    ]


def _group(service: str) -> dict[str, Any]:
    return {
        "kafka": {
            "groupId": {"type": "string", "pattern": rf"^{service}\."},
            "bindingVersion": _KAFKA_BINDING,
        }
    }


def _message(kind: str, model: type[Envelope], reference: str) -> dict[str, Any]:
    return {
        "name": kind,
        "title": kind.removeprefix("prizewire.").rpartition(".")[0],
        "summary": " ".join((model.__doc__ or "").replace("``", "`").split("\n\n")[0].split()),
        "contentType": CONTENT_TYPE,
        "headers": dict(_HEADERS),
        "payload": {"$ref": reference},
        "correlationId": {
            "location": "$message.payload#/correlationid",
            "description": "Runs from a match to its paid prizes.",
        },
        "tags": [{"name": "signed" if model.signed else "signed where its competition requires it"}],
        "bindings": {"kafka": {"key": dict(_KEY), "bindingVersion": _KAFKA_BINDING}},
    }


def _list(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))


def _refuse_newer(part: Any) -> None:
    if isinstance(part, dict):
        newer = sorted(_NOT_IN_DRAFT_7 & part.keys())
        if newer:
            raise NotInDraft7(f"{newer[0]} is not in JSON Schema draft 7: {json.dumps(part)[:200]}")
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            _refuse_newer(one)


def render() -> str:
    """The text of the file."""
    return json.dumps(document(), indent=1, sort_keys=True) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the document, or with ``--check`` say whether it differs from the committed one (exit code 1)."""
    parser = argparse.ArgumentParser(prog="python -m prizewire_contracts.asyncapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    options = parser.parse_args(arguments)
    if not options.check:
        FILE.write_text(render())
        print(f"{FILE.name} written")
        return 0
    if FILE.is_file() and FILE.read_text() == render():
        return 0
    print(f"{FILE.name} does not match the models; run `make schemas`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
