"""The manifests as an operator would apply them: rendered by kustomize, once for each overlay."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = ROOT / "deploy"
KUBECTL: Final = Path(sys.executable).with_name("kubectl")
OVERLAYS: Final = ("dev", "staging", "production")
STEPS: Final = ("k8s/namespaces", "kafka", "postgres", "k8s/migrations", "k8s")
"""The folders with overlays, in the order in which they are applied."""

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """Everything that an overlay applies to a cluster."""

    overlay: str
    steps: dict[str, list[Manifest]]

    @property
    def manifests(self) -> list[Manifest]:
        """The manifests of all steps."""
        return [one for step in self.steps.values() for one in step]


def render(folder: Path) -> list[Manifest]:
    """The manifests of one folder with a kustomization."""
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{folder}: {done.stderr}"
    assert not done.stderr, f"{folder}: {done.stderr}"
    return [one for one in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if one]


def render_all() -> dict[str, Rendered]:
    """Every overlay of every folder."""
    folders = [(overlay, step) for overlay in OVERLAYS for step in STEPS]
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda one: render(DEPLOY / one[1] / "overlays" / one[0]), folders))
    found = dict(zip(folders, made, strict=True))
    return {
        overlay: Rendered(overlay, {step: found[overlay, step] for step in STEPS}) for overlay in OVERLAYS
    }
