"""The schemas are strict: what a cluster would drop or refuse fails here."""

import copy
import json
from typing import Any

import pytest

from tests.deploy.rendering import DEPLOY, Manifest
from tests.deploy.validation import findings

SCHEMAS = sorted((DEPLOY / "schemas").glob("*.json"))

DEPLOYMENT: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "one", "labels": {"app": "one"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "one"}},
        "template": {
            "metadata": {"labels": {"app": "one"}},
            "spec": {
                "containers": [
                    {
                        "name": "service",
                        "image": "prizewire/one:1",
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "readinessProbe": {"httpGet": {"path": "/health/ready", "port": "http"}},
                        "resources": {"limits": {"memory": "256Mi", "cpu": 1}},
                    }
                ]
            },
        },
    },
}
TOPIC: Manifest = {
    "apiVersion": "kafka.strimzi.io/v1",
    "kind": "KafkaTopic",
    "metadata": {"name": "a.b", "labels": {"strimzi.io/cluster": "prizewire"}},
    "spec": {"partitions": 4, "replicas": 3, "config": {"min.insync.replicas": 2}},
}


def spoilt(manifest: Manifest, path: str, value: Any) -> Manifest:
    """A copy of the manifest in which one field has another value."""
    made = copy.deepcopy(manifest)
    *parents, last = path.split(".")
    place: Any = made
    for name in parents:
        place = place[int(name)] if name.isdigit() else place[name]
    place[last] = value
    return made


@pytest.mark.parametrize("manifest", [DEPLOYMENT, TOPIC], ids=["Deployment", "KafkaTopic"])
def test_sound_manifest_passes(manifest: Manifest) -> None:
    """A kind of Kubernetes and a kind of an operator pass where they are right."""
    assert findings(manifest) == []


@pytest.mark.parametrize(
    ("manifest", "path", "value"),
    [
        (DEPLOYMENT, "spec.replica", 2),
        (DEPLOYMENT, "metadata.label", {}),
        (DEPLOYMENT, "spec.template.spec.containers.0.readinesProbe", {}),
        (DEPLOYMENT, "spec.template.spec.containers.0.readinessProbe.httpGet.url", "/"),
        (DEPLOYMENT, "spec.template.spec.securityContext", {"runAsNonroot": True}),
        (DEPLOYMENT, "spec.replicas", "2"),
        (DEPLOYMENT, "spec.replicas", None),
        (DEPLOYMENT, "spec.template.spec.containers", {}),
        (DEPLOYMENT, "spec.template.spec.containers.0.resources.limits.memory", "256MB"),
        (DEPLOYMENT, "spec.template.spec.containers.0.ports.0.containerPort", "8080"),
        (DEPLOYMENT, "apiVersion", "apps/v1beta1"),
        (DEPLOYMENT, "kind", "Deploiment"),
        (DEPLOYMENT, "status", {}),
        (TOPIC, "spec.partition", 4),
        (TOPIC, "spec.partitions", "four"),
        (TOPIC, "metadata.label", {}),
        (TOPIC, "apiVersion", "kafka.strimzi.io/v1beta2"),
    ],
    ids=lambda one: one if isinstance(one, str) else None,
)
def test_misspelt_field_wrong_type_and_unknown_kind_fail(manifest: Manifest, path: str, value: Any) -> None:
    """One wrong field of an otherwise sound manifest is found."""
    assert len(findings(spoilt(manifest, path, value))) == 1


def _open_places(node: Any, path: str = "") -> list[str]:
    if isinstance(node, list):
        return [place for one in node for place in _open_places(one, path)]
    if not isinstance(node, dict):
        return []
    here = (
        [path]
        if "properties" in node and node.get("type") == "object" and "additionalProperties" not in node
        else []
    )
    return here + [place for key, value in node.items() for place in _open_places(value, f"{path}/{key}")]


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_schema_is_closed_complete_and_without_texts(path: Any) -> None:
    """Fields that are listed are the only ones, every reference is inside the file, and no text is copied."""
    text = path.read_text()
    schema = json.loads(text)
    assert schema["additionalProperties"] is False
    assert {"apiVersion", "kind", "metadata"} <= set(schema["required"])
    assert _open_places(schema) == []
    assert '"description":"' not in text
    assert text.count('"$ref"') == text.count('"$ref":"#/definitions/')
