"""Sound Kubernetes objects of one service, and mistakes in them, each with the code of its finding and a part of its sentence."""

import copy
import json
from collections.abc import Callable
from typing import Any

from tools.devstack.tests.doctor import sound

Objects = dict[str, dict[str, Any]]
"""The objects by their kinds; the two network policies by `deny` and `dns`."""

LABELS = {"app.kubernetes.io/name": "signer", "app.kubernetes.io/component": "service"}
DNS = {
    "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
    "ports": [{"protocol": "UDP", "port": 53}],
}
CLIENTS = {
    "from": [{"namespaceSelector": {"matchLabels": {"prizewire/access": "monitoring"}}}],
    "ports": [{"port": 8080}],
}
INTERNET = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}


def _object(kind: str, name: str, **body: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "own"}, **body}


def _policy(name: str, **spec: Any) -> dict[str, Any]:
    return _object("NetworkPolicy", name, spec=spec)


def objects() -> Objects:
    """The objects of the signer, in which nothing has to be changed."""
    files = {"trust.json": json.dumps({"keys": []}), "signer-policy.yaml": "{}", "assets.yaml": "{}"}
    container = {
        "name": "service",
        "image": f"registry.prizes.internal/prizewire/signer@sha256:{'0' * 64}",
        "envFrom": [{"configMapRef": {"name": "signer"}}],
        "env": [{"name": "LOG_LEVEL", "value": "INFO"}],
        "securityContext": {"allowPrivilegeEscalation": False},
        "volumeMounts": [{"name": "configuration", "mountPath": sound.PUBLIC}],
    }
    authority = {"name": "authority", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    pod = {
        "automountServiceAccountToken": False,
        "serviceAccountName": "signer",
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001},
        "containers": [container],
        "volumes": [
            {
                "name": "configuration",
                "projected": {"sources": [{"configMap": {"name": "public"}}, {"secret": authority}]},
            }
        ],
    }
    environment = {
        "TRUST_FILE": f"{sound.PUBLIC}/trust.json",
        "ASSETS_FILE": f"{sound.PUBLIC}/assets.yaml",
        "SIGNER_POLICY_FILE": f"{sound.PUBLIC}/signer-policy.yaml",
        "KAFKA_CA_FILE": f"{sound.PUBLIC}/ca.crt",
    }
    return {
        "Deployment": _object(
            "Deployment", "signer", spec={"template": {"metadata": {"labels": LABELS}, "spec": pod}}
        ),
        "signer": _object("ConfigMap", "signer", data=environment),
        "public": _object("ConfigMap", "public", data=files),
        "Certificate": _object("Certificate", "authority", spec={"secretName": "authority"}),
        "deny": _policy("deny", podSelector={}, policyTypes=["Ingress", "Egress"]),
        "dns": _policy("dns", podSelector={}, policyTypes=["Egress"], egress=[copy.deepcopy(DNS)]),
        "metrics": _policy(
            "metrics",
            podSelector={"matchLabels": LABELS},
            policyTypes=["Ingress"],
            ingress=[copy.deepcopy(CLIENTS)],
        ),
        "Ingress": _object("Ingress", "prizes", spec={"rules": [{"host": "prizes.internal"}]}),
    }


Spoil = Callable[[Objects], object]


def pod_of(given: Objects) -> Any:
    """The specification of the pods."""
    return given["Deployment"]["spec"]["template"]["spec"]


def pod(**values: Any) -> Spoil:
    """Set fields of the pods."""
    return lambda given: pod_of(given).update(values)


def container(**values: Any) -> Spoil:
    """Set fields of the container."""
    return lambda given: pod_of(given)["containers"][0].update(values)


def context(**values: Any) -> Spoil:
    """Set fields of the container's security context."""
    return lambda given: pod_of(given)["containers"][0]["securityContext"].update(values)


def more(kind: str) -> Spoil:
    """Put a container beside the service's."""
    other = {
        "name": "other",
        "image": f"registry.prizes.internal/prizewire/signer@sha256:{'0' * 64}",
        "securityContext": {"allowPrivilegeEscalation": False},
    }
    return lambda given: pod_of(given).setdefault(kind, []).append(other)


def volume(**source: Any) -> Spoil:
    """Let another source bring the folder of public files."""
    return lambda given: pod_of(given).update(volumes=[{"name": "configuration", **source}])


def source(**one: Any) -> Spoil:
    """Add a source to the folder of public files."""
    return lambda given: pod_of(given)["volumes"][0]["projected"]["sources"].append(one)


def over(path: str, **mount: Any) -> Spoil:
    """Mount a Secret at a path, whatever is below it."""

    def spoil(given: Objects) -> None:
        pod_of(given)["volumes"].append({"name": "other", "secret": {"secretName": "other"}})
        pod_of(given)["containers"][0]["volumeMounts"].insert(
            0, {"name": "other", "mountPath": path, **mount}
        )

    return spoil


def written_secret(given: Objects) -> None:
    """Write a Secret down, and take variables from it."""
    given["Secret"] = _object("Secret", "other", stringData={"LOG_LEVEL": "DEBUG"})
    container(envFrom=[OTHER])(given)


def rule(policy: str, direction: str, **values: Any) -> Spoil:
    """Set fields of the first rule of a policy."""
    return lambda given: given[policy]["spec"][direction][0].update(values)


def way(direction: str, one: dict[str, Any]) -> Spoil:
    """Add a rule to the policy of the service."""
    return lambda given: given["metrics"]["spec"].setdefault(direction, []).append(one)


def foreign(given: Objects) -> None:
    """Put pods of no service into the service's namespace."""
    given["other"] = _object("Pod", "other", spec=pod_of(given))


OTHER = {"secretRef": {"name": "other"}}
OBJECT_SPOILERS: list[tuple[str, str, Spoil]] = [
    ("image", "no registry", container(image=f"prizewire/signer@sha256:{'0' * 64}")),
    ("image", "by its digest", container(image="registry.prizes.internal/prizewire/signer:0.1.0")),
    ("image", "by its digest", container(image="registry.prizes.internal/prizewire/signer:latest")),
    *(("rights_of_pods", key, pod(**{key: True})) for key in ("hostNetwork", "hostPID", "hostIPC")),
    (
        "rights_of_pods",
        "hostPath",
        lambda one: pod_of(one)["volumes"].append({"name": "h", "hostPath": {"path": "/"}}),
    ),
    ("rights_of_pods", "gain rights", context(privileged=True)),
    ("rights_of_pods", "gain rights", context(allowPrivilegeEscalation=True)),
    ("rights_of_pods", "gain rights", container(securityContext={})),
    ("rights_of_pods", "as root", pod(securityContext={})),
    ("rights_of_pods", "as root", context(runAsUser=0)),
    ("rights_of_pods", "capabilities", context(capabilities={"add": ["SYS_ADMIN"]})),
    *(
        ("foreign_program", "other", more(kind))
        for kind in ("initContainers", "containers", "ephemeralContainers")
    ),
    ("foreign_program", "command", container(command=["sh"])),
    ("foreign_program", "command", container(args=["serve", "--debug"])),
    ("foreign_program", "lifecycle", container(lifecycle={"postStart": {"exec": {"command": ["sh"]}}})),
    ("foreign_program", "of no service", foreign),
    (
        "foreign_program",
        "not the one of signer",
        container(image=f"registry.prizes.internal/prizewire/payouts@sha256:{'0' * 64}"),
    ),
    ("account_token", "token", pod(automountServiceAccountToken=True)),
    ("account_token", "token", lambda one: pod_of(one).pop("automountServiceAccountToken")),
    ("account_token", "account admin", pod(serviceAccountName="admin")),
    ("account_token", "account default", lambda one: pod_of(one).pop("serviceAccountName")),
    ("environment_not_checked", "Secret other", container(envFrom=[OTHER])),
    ("environment_not_checked", "Secret other", written_secret),
    ("environment_not_checked", "ConfigMap other", container(envFrom=[{"configMapRef": {"name": "other"}}])),
    *(
        (
            "environment_not_checked",
            part,
            container(env=[{"name": "LOG_LEVEL", "valueFrom": {key: {"name": "other", "key": "value"}}}]),
        )
        for key, part in (
            ("secretKeyRef", "Secret other"),
            ("configMapKeyRef", "ConfigMap other"),
            ("fieldRef", "fieldRef"),
        )
    ),
    ("environment_not_checked", "$(…)", container(env=[{"name": "LOG_LEVEL", "value": "$(OTHER)"}])),
    ("file_not_checked", "the Secret other", volume(secret={"secretName": "other"})),
    ("file_not_checked", "the Secret other", source(secret={"name": "other"})),
    (
        "file_not_checked",
        "TRUST_FILE",
        source(secret={"name": "other", "items": [{"key": "a", "path": "trust.json"}]}),
    ),
    ("file_not_checked", "the ConfigMap other", volume(configMap={"name": "other"})),
    ("file_not_checked", "no ConfigMap", volume(hostPath={"path": "/srv"})),
    ("file_not_checked", "SIGNER_POLICY_FILE", over(f"{sound.PUBLIC}/signer-policy.yaml", subPath="")),
    ("file_not_checked", "KAFKA_CA_FILE", lambda one: one.pop("Certificate")),
    (
        "placeholder",
        "prizes.example",
        lambda one: one["Ingress"]["spec"]["rules"][0].update(host="prizes.example"),
    ),
    (
        "placeholder",
        "192.0.2.7/32",
        way("egress", {"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "ports": [{"port": 8200}]}),
    ),
    ("network_not_denied", "denies everything", lambda one: one.pop("deny")),
    ("network_not_denied", "denies everything", lambda one: one["deny"]["spec"].update(egress=[{}])),
    (
        "network_not_denied",
        "denies everything",
        lambda one: one["deny"]["spec"].update(policyTypes=["Ingress"]),
    ),
    ("network_open", "egress is for everybody", way("egress", {})),
    ("network_open", "ingress is for everybody", rule("metrics", "ingress", **{"from": []})),
    ("network_open", "every port", rule("metrics", "ingress", ports=[])),
    ("network_open", "every port", rule("metrics", "ingress", ports=[{"protocol": "TCP"}])),
    ("network_open", "or a range", rule("metrics", "ingress", ports=[{"port": 1, "endPort": 65535}])),
    ("network_open", "all pods", rule("dns", "egress", ports=[{"port": 443}])),
    ("network_open", "all namespaces", rule("metrics", "ingress", **{"from": [{"namespaceSelector": {}}]})),
    (
        "network_open",
        "let",
        way("ingress", {"from": [{"ipBlock": {"cidr": "10.0.0.0/24"}}], "ports": [{"port": 8080}]}),
    ),
    ("network_open", "leads to", way("egress", INTERNET)),
]
