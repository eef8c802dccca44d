"""docs/http/prizewire.postman_collection.json: every route as a request with an example.

The format is Postman Collection 2.1.0 (https://schema.postman.com/collection/json/v2.1.0/draft-07/docs/index.html).
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from prizewire_devstack.routes import SERVICES_WITH_API
from scripts.documents.operations import Operation, example_of, operations_of

SCHEMA: Final = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_PLACE: Final = re.compile(r"\{([^}:]+)(?::[^}]*)?\}")
_NEW_KEY: Final = "{{$guid}}"
"""A variable of Postman: a new UUID for each request."""


def collection(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of the file."""
    made = {
        "info": {
            "name": "Prizewire",
            "description": "Every route of Prizewire's services. Set `base_url` to the gateway and `token` to an access token. "
            "docs/http/README.md describes requests and problems.",
            "schema": SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [
            {"key": "base_url", "value": "http://127.0.0.1:8080", "type": "string"},
            {"key": "token", "value": "", "type": "string"},
        ],
        "item": [
            {"name": service, "item": [_item(one) for one in operations_of(documents[service])]}
            for service in SERVICES_WITH_API
        ],
    }
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def _item(one: Operation) -> dict[str, Any]:
    return {
        "name": one.name,
        "request": _request(one),
        "response": [
            {
                "name": f"{status}: {answer.get('description', '')}",
                "code": int(status),
                "header": [{"key": "Content-Type", "value": media_type}],
                "body": _text(example_of(media)),
            }
            for status, answer in one.answers.items()
            for media_type, media in answer.get("content", {}).items()
            if example_of(media) is not None
        ],
    }


def _request(one: Operation) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": one.method,
        "description": _described(one),
        "header": [
            {
                "key": parameter["name"],
                "value": _NEW_KEY if parameter["name"] == "Idempotency-Key" else "",
                "disabled": not parameter.get("required", False),
                "description": parameter.get("description", ""),
            }
            for parameter in one.parameters
            if parameter["in"] == "header"
        ],
        "url": _url(one),
    }
    if not one.secured:
        request["auth"] = {"type": "noauth"}
    if one.body is not None:
        request["header"].append({"key": "Content-Type", "value": one.media_type})
        request["body"] = {
            "mode": "raw",
            "raw": _text(example_of(one.body)),
            "options": {"raw": {"language": "json" if str(one.media_type).endswith("json") else "text"}},
        }
    return request


def _url(one: Operation) -> dict[str, Any]:
    path = _PLACE.sub(r":\1", one.path)
    query = [
        {
            "key": parameter["name"],
            "value": _sample(parameter),
            "disabled": not parameter.get("required", False),
            "description": parameter.get("description", ""),
        }
        for parameter in one.parameters
        if parameter["in"] == "query"
    ]
    asked = "&".join(f"{part['key']}={part['value']}" for part in query if not part["disabled"])
    return {
        "raw": "{{base_url}}" + path + (f"?{asked}" if asked else ""),
        "host": ["{{base_url}}"],
        "path": path.strip("/").split("/"),
        "query": query,
        "variable": [
            {
                "key": parameter["name"],
                "value": _sample(parameter),
                "description": parameter.get("description", ""),
            }
            for parameter in one.parameters
            if parameter["in"] == "path"
        ],
    }


def _sample(parameter: Mapping[str, Any]) -> str:
    """A value of a parameter: its example, or nothing."""
    schema = parameter.get("schema", {})
    found = parameter.get("example", next(iter(schema.get("examples", ())), None))
    return "" if found is None else str(found)


def _described(one: Operation) -> str:
    callers = "" if one.callers is None else f"\n\nCallers: {one.callers}."
    return " ".join(one.description.replace("``", "`").split()) + callers


def _text(example: Any) -> str:
    return example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
