"""A stand-in for a cluster's API server: it serves the rendered manifests, so that kubectl runs the runbooks' commands.

It knows the objects of the manifests, a pod and two revisions for each Deployment, and what kubectl needs to find them. It
changes what a command changes, and a Deployment is rolled out at once.
"""

import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

Manifest = dict[str, Any]

EXTRA: Final = (
    ("v1", "Pod"),
    ("v1", "Event"),
    ("v1", "Namespace"),
    ("apps/v1", "ReplicaSet"),
    ("postgresql.cnpg.io/v1", "Backup"),
)
"""Kinds of a cluster that the manifests do not have."""
MONITORING: Final = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}}
_PATH: Final = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+))?(?:/(?P<plural>[^/]+))?(?:/(?P<name>[^/]+))?(?:/(?P<part>[^/]+))?/?"
)


def plural_of(kind: str) -> str:
    """The name of a kind in paths."""
    low = kind.lower()
    return f"{low[:-1]}ies" if low.endswith("y") else low if low.endswith("s") else f"{low}s"


def _revision(deployment: Manifest, number: int) -> Manifest:
    meta = deployment["metadata"]
    template = json.loads(json.dumps(deployment["spec"]["template"]))
    template["metadata"].setdefault("labels", {})["pod-template-hash"] = f"r{number}"
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta['name']}-r{number}",
            "namespace": meta["namespace"],
            "uid": f"{meta['uid']}-r{number}",
            "labels": template["metadata"]["labels"],
            "annotations": {"deployment.kubernetes.io/revision": str(number)},
            "ownerReferences": [owner],
            "creationTimestamp": "2026-11-01T00:00:00Z",
        },
        "spec": {"replicas": 0, "selector": deployment["spec"]["selector"], "template": template},
        "status": {"replicas": 0},
    }  # fmt: skip


def _pod(deployment: Manifest) -> Manifest:
    meta, template = deployment["metadata"], deployment["spec"]["template"]
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"{meta['name']}-r2",
        "uid": f"{meta['uid']}-r2",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{meta['name']}-0",
            "namespace": meta["namespace"],
            "uid": f"{meta['uid']}-pod",
            "labels": template["metadata"]["labels"],
            "ownerReferences": [{**owner, "controller": True}],
        },
        "spec": template["spec"],
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


class Cluster:
    """The objects of a cluster by group and version, kind, namespace and name."""

    def __init__(self, manifests: Sequence[Manifest]) -> None:
        self.objects: list[Manifest] = [json.loads(json.dumps(one)) for one in (*manifests, MONITORING)]
        for number, one in enumerate(self.objects):
            one["metadata"].setdefault("uid", f"uid-{number}")
            one["metadata"]["resourceVersion"] = "1"
        for deployment in [one for one in self.objects if one["kind"] == "Deployment"]:
            deployment["spec"].setdefault("replicas", 1)
            deployment["metadata"] |= {"generation": 1}
            deployment["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/revision"] = "2"
            _roll_out(deployment)
            self.objects += [_revision(deployment, 1), _revision(deployment, 2), _pod(deployment)]
        kinds = {(one["apiVersion"], one["kind"]) for one in self.objects} | set(EXTRA)
        self.kinds: dict[str, dict[str, str]] = {}
        for version, kind in sorted(kinds):
            self.kinds.setdefault(version, {})[plural_of(kind)] = kind

    def find(
        self, version: str, plural: str, namespace: str | None, name: str | None, labels: str
    ) -> list[Manifest]:
        """The objects of a kind, in a namespace, of a name, with labels (`a=b,c=d`), where these are given."""
        wanted = [tuple(pair.split("=", 1)) for pair in labels.split(",") if "=" in pair]
        kind = self.kinds.get(version, {}).get(plural)
        return [
            one
            for one in self.objects
            if (one["apiVersion"], one["kind"]) == (version, kind)
            and namespace in (None, one["metadata"].get("namespace"))
            and name in (None, one["metadata"]["name"])
            and all((one["metadata"].get("labels") or {}).get(key) == value for key, value in wanted)
        ]

    def resources(self, version: str) -> dict[str, Any]:
        """The list of kinds of one group and version (`APIResourceList`)."""
        verbs = ["get", "list", "watch", "patch", "update"]
        rows = [
            {
                "name": plural,
                "singularName": kind.lower(),
                "namespaced": kind != "Namespace",
                "kind": kind,
                "verbs": verbs,
            }
            for plural, kind in self.kinds[version].items()
        ]
        if "deployments" in self.kinds[version]:
            rows.append(
                {
                    "name": "deployments/scale",
                    "singularName": "",
                    "namespaced": True,
                    "group": "autoscaling",
                    "version": "v1",
                    "kind": "Scale",
                    "verbs": ["get", "patch", "update"],
                }
            )
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": rows}  # fmt: skip

    def groups(self) -> dict[str, Any]:
        """The groups (`APIGroupList`)."""
        found: dict[str, list[dict[str, str]]] = {}
        for version in self.kinds:
            if "/" in version:
                group, number = version.split("/")
                found.setdefault(group, []).append({"groupVersion": version, "version": number})
        rows = [
            {"name": name, "versions": versions, "preferredVersion": versions[0]}
            for name, versions in found.items()
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": rows}


class _Handler(BaseHTTPRequestHandler):
    """One request of kubectl."""

    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        return

    def _send(
        self, body: Any, status: HTTPStatus = HTTPStatus.OK, *, media_type: str = "application/json"
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _missing(self, message: str) -> None:
        self._send(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "reason": "NotFound",
                "code": 404,
                "message": message,
            },
            HTTPStatus.NOT_FOUND,
        )

    def do_GET(self) -> None:
        """Serve discovery, an object, a list, a log or a scale."""
        path = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(path.query).items()}
        if path.path == "/api":
            self._send({"kind": "APIVersions", "apiVersion": "v1", "versions": ["v1"]})
        elif path.path == "/apis":
            self._send(self.cluster.groups())
        elif path.path.startswith("/version"):
            self._send({"major": "1", "minor": "34", "gitVersion": "v1.34.0"})
        elif (found := _PATH.fullmatch(path.path)) is None:
            self._missing(self.path)
        else:
            self._read(found, query)

    def _read(self, found: "re.Match[str]", query: dict[str, str]) -> None:
        version = found["core"] or f"{found['group']}/{found['version']}"
        if found["plural"] is None and found["namespace"] is None:
            self._send(self.cluster.resources(version)) if version in self.cluster.kinds else self._missing(
                version
            )
            return
        plural, name = found["plural"], found["name"]
        if plural is None:
            plural, name = "namespaces", found["namespace"]
        namespace = None if plural == "namespaces" else found["namespace"]
        field = re.search(r"metadata\.name=([^,]+)", query.get("fieldSelector", ""))
        objects = self.cluster.find(
            version, plural, namespace, name or (field[1] if field else None), query.get("labelSelector", "")
        )
        if query.get("watch") in ("true", "1"):
            self._watch(version, self.cluster.kinds.get(version, {}).get(plural, "Unknown"), objects)
        elif name is None:
            kind = self.cluster.kinds.get(version, {}).get(plural, "Unknown")
            self._send(
                {
                    "kind": f"{kind}List",
                    "apiVersion": version,
                    "metadata": {"resourceVersion": "1"},
                    "items": objects,
                }
            )
        elif not objects:
            self._missing(f'{plural} "{name}" not found')
        elif found["part"] == "log":
            self._send(b'{"message": "started"}\n', media_type="text/plain")
        elif found["part"] == "scale":
            self._send(_scale(objects[0]))
        else:
            self._send(objects[0])

    def _watch(self, version: str, kind: str, objects: list[Manifest]) -> None:
        """Send what is there as events, the mark that this was all (`initial-events-end`), and end the stream."""
        meta = {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}
        events = [{"type": "ADDED", "object": one} for one in objects]
        events.append({"type": "BOOKMARK", "object": {"apiVersion": version, "kind": kind, "metadata": meta}})
        self._send(
            b"".join(json.dumps(one).encode() + b"\n" for one in events), media_type="application/json"
        )

    def do_PATCH(self) -> None:
        """Change an object as a merge patch says; of its scale, the number of replicas."""
        self._change(json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}"))

    do_PUT = do_PATCH  # noqa: N815 - the name that http.server calls

    def _change(self, patch: Any) -> None:
        found = _PATH.fullmatch(urlsplit(self.path).path)
        assert found is not None
        version = found["core"] or f"{found['group']}/{found['version']}"
        plural, name, namespace = found["plural"], found["name"], found["namespace"]
        if plural is None:
            plural, name, namespace = "namespaces", namespace, None
        objects = self.cluster.find(version, plural, namespace, name, "")
        if not objects:
            self._missing(f'{plural} "{name}" not found')
            return
        one = objects[0]
        if isinstance(patch, dict):
            _merge(one, {"spec": patch.get("spec", {})} if found["part"] == "scale" else patch)
        if one["kind"] == "Deployment":
            _roll_out(one)
        self._send(_scale(one) if found["part"] == "scale" else one)


def _scale(one: Manifest) -> Manifest:
    meta = {name: one["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion")}
    replicas = one["spec"]["replicas"]
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": meta,
        "spec": {"replicas": replicas},
        "status": {"replicas": replicas},
    }


def _roll_out(deployment: Manifest) -> None:
    """Set the status as a cluster does after a roll-out of all replicas."""
    counted = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    replicas = deployment["spec"]["replicas"]
    deployment["status"] = {"observedGeneration": 1_000, **dict.fromkeys(counted, replicas)}


def _merge(into: Manifest, patch: Manifest) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


@contextmanager
def served(manifests: Sequence[Manifest], directory: Path) -> Iterator[Path]:
    """Serve a cluster on the loopback interface. Yields the file of kubectl's configuration."""
    handler = type("Handler", (_Handler,), {"cluster": Cluster(manifests)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    config = directory / "kubeconfig.json"
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": {}}],
                "current-context": "c",
            }
        )
    )
    try:
        yield config
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
