"""Write deploy/schemas: one strict, self-contained JSON Schema for each kind that the manifests use.

    python scripts/kind_schemas.py --kubernetes DIR --crds DIR [DIR …]

`--kubernetes` is a folder of `kubernetes-validate` with schemas of Kubernetes (such as v1.34.0-local-strict), `--crds` are folders
with custom resource definitions. The README of deploy/schemas says where both come from.

A schema keeps facts only: descriptions are dropped. It is strict: where fields are listed, others are refused, unless the
definition keeps unknown fields; null is never a value; apiVersion, kind and metadata are required.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "deploy" / "schemas"
DRAFT: Final = "http://json-schema.org/draft-07/schema#"

Schema = dict[str, Any]

BUILT_IN: Final = (
    ("v1", "Namespace"),
    ("v1", "ConfigMap"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("apps/v1", "Deployment"),
    ("batch/v1", "Job"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
)
"""The kinds of Kubernetes itself that the manifests use, by apiVersion."""

CUSTOM: Final = (
    ("cert-manager.io/v1", "Certificate"),
    ("cert-manager.io/v1", "ClusterIssuer"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("keda.sh/v1alpha1", "TriggerAuthentication"),
    ("external-secrets.io/v1", "ExternalSecret"),
    ("external-secrets.io/v1", "SecretStore"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
    ("kafka.strimzi.io/v1", "Kafka"),
    ("kafka.strimzi.io/v1", "KafkaNodePool"),
    ("kafka.strimzi.io/v1", "KafkaTopic"),
    ("kafka.strimzi.io/v1", "KafkaUser"),
    ("postgresql.cnpg.io/v1", "Cluster"),
    ("postgresql.cnpg.io/v1", "ScheduledBackup"),
    ("barmancloud.cnpg.io/v1", "ObjectStore"),
)
"""The kinds of operators that the manifests use, by apiVersion."""

_COMBINED: Final = frozenset({"oneOf", "anyOf", "allOf", "not"})
_TEXT_ONLY: Final = frozenset({"description", "title", "example", "default", "nullable", "$id", "$schema"})
_FORMATS: Final = frozenset({"int32", "int64", "date-time"})
_QUANTITY: Final = "^[0-9]+([.][0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei|e[0-9]+)?$"
_INT_OR_STRING: Final[Schema] = {"anyOf": [{"type": "integer"}, {"type": "string"}]}


class _Loader(yaml.CSafeLoader):
    """Reads a lone `=` as text, which YAML 1.1 gives a type of its own."""


def _text(_loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:value", _text)


class Failure(Exception):
    """A failure that a person can solve; its text says how."""


def file_name(api_version: str, kind: str) -> str:
    """The name of a kind's schema file."""
    return f"{kind}-{api_version.replace('/', '-')}.json"


def _without_null(types: object) -> object:
    """The type without null: a manifest leaves out what it does not set."""
    if not isinstance(types, list):
        return types
    left = [one for one in types if one != "null"]
    return left[0] if len(left) == 1 else left


def _keyword(key: str, value: Any, *, closed: bool) -> Any:
    if key == "properties":
        return {name: strict(one, closed=closed) for name, one in sorted(value.items())}
    if key == "type":
        return _without_null(value)
    if key == "enum":
        return [one for one in value if one is not None]
    if key == "pattern" and isinstance(value, str) and value.startswith("^(?i)"):
        # Python takes a flag at the beginning only; Go takes it there, too.
        return f"(?i)^{value.removeprefix('^(?i)')}"
    if key in ("required", "pattern", "const", "format"):
        return value
    return strict(value, closed=closed and key not in _COMBINED)


def strict(node: Any, *, closed: bool = True) -> Any:
    """The schema without descriptions, closed to unknown fields, without null and without Kubernetes' own keywords.

    `closed` is false below `oneOf`, `anyOf`, `allOf` and `not`: these add rules to fields that are listed above them.
    """
    if isinstance(node, list):
        return [strict(one, closed=closed) for one in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string"):
        return {**_INT_OR_STRING, **({"pattern": node["pattern"]} if "pattern" in node else {})}
    made = {
        key: _keyword(key, value, closed=closed)
        for key, value in node.items()
        if not (key in _TEXT_ONLY or key.startswith("x-") or (key == "format" and value not in _FORMATS))
    }
    kept = node.get("x-kubernetes-preserve-unknown-fields") or node.get("x-kubernetes-embedded-resource")
    if closed and "properties" in made and "additionalProperties" not in made and not kept:
        made["additionalProperties"] = False
    if kept and made.get("additionalProperties") is False:
        del made["additionalProperties"]
    return made


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for one in node:
            yield from _references(one)


def _local(node: Any) -> Any:
    """References to the definitions of this schema itself."""
    if isinstance(node, list):
        return [_local(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: f"#/definitions/{value.rpartition('/')[2]}" if key == "$ref" else _local(value)
        for key, value in node.items()
    }


def _closed(schema: Schema, *, api_version: str, kind: str) -> Schema:
    """The schema of a whole manifest of this kind."""
    fields = {
        **schema.get("properties", {}),
        "apiVersion": {"const": api_version},
        "kind": {"const": kind},
    }
    fields.pop("status", None)
    required = sorted({*schema.get("required", ()), "apiVersion", "kind", "metadata"})
    return {**schema, "properties": dict(sorted(fields.items())), "required": required, "$schema": DRAFT}


def built_in(folder: Path, *, api_version: str, kind: str, definitions: Mapping[str, Any]) -> Schema:
    """The schema of a kind of Kubernetes, with the definitions that it needs.

    Raises:
        Failure: the folder has no such kind.
    """
    group, _, version = api_version.rpartition("/")
    group = group.partition(".")[0]
    names = [f"{kind.lower()}-{group}-{version}.json" if group else f"{kind.lower()}-{version}.json"]
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    if found is None:
        raise Failure(f"{folder} has no schema of {kind} ({', '.join(names)}).")
    schema = strict(json.loads(found.read_text()))
    needed: Schema = {}
    open_references = list(_references(schema))
    while open_references:
        name = open_references.pop().rpartition("/")[2]
        if name in needed:
            continue
        needed[name] = _quantities(name, strict(definitions[name]))
        open_references += _references(needed[name])
    needed = {name: _local(one) for name, one in sorted(needed.items())}
    return {**_closed(_local(schema), api_version=api_version, kind=kind), "definitions": needed}


def _quantities(name: str, schema: Schema) -> Schema:
    """Quantities and ports have a form that the published schema does not say."""
    if name.endswith(".api.resource.Quantity"):
        return {"anyOf": [{"type": "string", "pattern": _QUANTITY}, {"type": "number"}]}
    if name.endswith(".IntOrString"):
        return dict(_INT_OR_STRING)
    return schema


def custom(folders: list[Path], *, api_version: str, kind: str, metadata: Schema) -> Schema:
    """The schema of a custom kind, out of its definition.

    Raises:
        Failure: no folder has it.
    """
    group, _, version = api_version.partition("/")
    for definition in _definitions(folders):
        spec = definition["spec"]
        if spec["group"] != group or spec["names"]["kind"] != kind:
            continue
        for served in spec["versions"]:
            if served["name"] == version:
                schema = strict(served["schema"]["openAPIV3Schema"])
                schema = _closed(schema, api_version=api_version, kind=kind)
                schema["properties"]["metadata"] = metadata["properties"]["metadata"]
                return {**schema, "definitions": metadata["definitions"]}
    raise Failure(f"no definition of {kind} ({api_version}) in {', '.join(map(str, folders))}.")


_READ: dict[tuple[Path, ...], list[Schema]] = {}


def _definitions(folders: list[Path]) -> list[Schema]:
    key = tuple(folders)
    if key not in _READ:
        _READ[key] = [
            document
            for folder in folders
            for path in sorted(folder.glob("*.yaml"))
            for document in yaml.load_all(path.read_text(), Loader=_Loader)
            if isinstance(document, dict) and document.get("kind") == "CustomResourceDefinition"
        ]
    return _READ[key]


def main() -> int:
    """Write the schemas; answers the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kubernetes", type=Path, required=True, help="folder with schemas of Kubernetes")
    parser.add_argument("--crds", type=Path, nargs="+", required=True, help="folders with definitions")
    parser.add_argument("--target", type=Path, default=TARGET, help="where the schemas are written")
    options = parser.parse_args()
    try:
        definitions = json.loads((options.kubernetes / "_definitions.json").read_text())["$defs"]
        made = {
            file_name(version, kind): built_in(
                options.kubernetes, api_version=version, kind=kind, definitions=definitions
            )
            for version, kind in BUILT_IN
        }
        account = made[file_name("v1", "ServiceAccount")]
        metadata = {
            "properties": {"metadata": account["properties"]["metadata"]},
            "definitions": {
                name: one for name, one in account["definitions"].items() if ".apis.meta.v1." in name
            },
        }
        for version, kind in CUSTOM:
            made[file_name(version, kind)] = custom(
                options.crds, api_version=version, kind=kind, metadata=metadata
            )
    except (Failure, OSError) as error:
        sys.stderr.write(f"prizewire: {error}\n")
        return 2
    options.target.mkdir(parents=True, exist_ok=True)
    for old in options.target.glob("*.json"):
        old.unlink()
    for name, schema in made.items():
        text = json.dumps(schema, sort_keys=True, separators=(",", ":"))
        (options.target / name).write_text(text + "\n")
    sys.stdout.write(f"prizewire: {len(made)} schemas in {options.target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
