"""A screening service: what an overlay or a Compose file adds has the settings, the secrets and the way in the network."""

import os
from pathlib import Path

import pytest
import yaml

from prizewire_payouts.screening.adapters import HttpScreening, load_screening
from tests.deploy.compose import INSTALL, ROOT, SYSTEM, environment, is_installed, mounts, read_once
from tests.deploy.policies.configuration import SECRETS_AT, described
from tests.deploy.policies.registry import POLICIES
from tests.deploy.policies.world import World
from tests.deploy.rendering import DEPLOY, render
from tests.deploy.validation import findings

COMPOSE = "deploy/compose/screening.yml"
COMPONENT = DEPLOY / "k8s/components/screening"


@pytest.fixture(scope="module", params=["staging", "production"])
def screened(
    request: pytest.FixtureRequest, worlds: dict[str, World], tmp_path_factory: pytest.TempPathFactory
) -> World:
    """An overlay with the component: what its installation applies."""
    folder = tmp_path_factory.mktemp("overlay")
    overlay = DEPLOY / "k8s/overlays" / request.param
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(overlay, folder)],
        "components": [os.path.relpath(COMPONENT, folder)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    without = render(overlay)
    others = [one for one in worlds[request.param].manifests if one not in without]
    return World(request.param, [*others, *render(folder)])


def test_every_policy_holds_with_screening(screened: World) -> None:
    """Files are mounted and read, ways in the network are known, each manifest fits its schema."""
    assert [finding for one in screened.manifests for finding in findings(one)] == []
    assert [finding for policy in POLICIES.values() for finding in policy(screened)] == []


def test_payouts_can_read_the_options(screened: World, tmp_path: Path) -> None:
    """The settings name the file that the secret makes, and its options are complete once the store has the two values."""
    [pod] = [pod for pod in screened.services if pod.owner["metadata"]["name"] == "payouts"]
    given = screened.environment_of(pod)
    secret = screened.get("ExternalSecret", "prizewire", "payouts")
    assert secret is not None
    templates: dict[str, str] = secret["spec"]["target"]["template"]["data"]
    text = templates[given["PAYOUTS_SCREENING_OPTIONS_FILE"].removeprefix(SECRETS_AT)]
    text = text.replace("{{ .screening_url | quote }}", '"https://screening.example/v1/check"')
    options = tmp_path / "screening_options"
    options.write_text(text.replace(SECRETS_AT, f"{tmp_path}/"))
    (tmp_path / "screening_token").write_text("a-token")
    for file in tmp_path.iterdir():
        file.chmod(0o600)
    made = load_screening(
        name=given["PAYOUTS_SCREENING_SERVICE"], options_file=options, environment="production"
    )
    assert isinstance(made, HttpScreening)
    read = {one["secretKey"]: one["remoteRef"] for one in secret["spec"]["data"]}
    assert read["screening_url"] == {"key": "services/payouts", "property": "screening_url"}
    assert read["screening_token"] == {"key": "services/payouts", "property": "screening_token"}


def test_only_payouts_reaches_the_screening_service(screened: World) -> None:
    """By https, in namespaces that are labelled for it."""
    policy = screened.get("NetworkPolicy", "prizewire", "screening")
    assert policy is not None
    assert policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "payouts"
    assert policy["spec"]["egress"] == [
        {
            "to": [{"namespaceSelector": {"matchLabels": {"prizewire/access": "screening"}}}],
            "ports": [{"protocol": "TCP", "port": 443}],
        }
    ]


def test_a_secret_that_no_option_names_is_found(screened: World) -> None:
    """Without the file of options, nothing reads the token."""
    secret = screened.get("ExternalSecret", "prizewire", "payouts")
    assert secret is not None
    templates: dict[str, str] = secret["spec"]["target"]["template"]["data"]
    text = templates["screening_options"]
    templates["screening_options"] = "url: https://screening.example"
    try:
        found = [finding for policy in POLICIES.values() for finding in policy(screened)]
    finally:
        templates["screening_options"] = text
    assert any("nothing reads /run/secrets/prizewire/screening_token" in finding for finding in found)


def test_compose_gives_payouts_the_options_and_the_way() -> None:
    """The settings exist, their file is in the folder that is mounted for payouts alone, and git never has that folder."""
    added = yaml.safe_load((ROOT / COMPOSE).read_text())["services"]
    assert list(added) == ["payouts"]
    assert {name.removesuffix("_FILE") for name in environment(added["payouts"])} <= set(described("payouts"))
    [mount] = mounts(added["payouts"])
    options = environment(added["payouts"])["PAYOUTS_SCREENING_OPTIONS_FILE"]
    assert (options, mount.read_only) == (f"{mount.target}/options.yaml", True)
    assert f"/{mount.source.removeprefix('./')}/" in (ROOT / ".gitignore").read_text().splitlines()
    assert f"token: {{file: {mount.target}/token}}" in (ROOT / "docs/deploy.md").read_text()


@pytest.mark.skipif(not is_installed(), reason=INSTALL)
def test_compose_takes_the_file() -> None:
    """Together with the system, payouts keeps its networks and settings and gets those of screening."""
    system, screened = (read_once(*files)["services"]["payouts"] for files in ((SYSTEM,), (SYSTEM, COMPOSE)))
    assert set(screened["networks"]) == {*system["networks"], "outside"}
    assert environment(screened).items() >= environment(system).items()
    assert environment(screened)["PAYOUTS_SCREENING_SERVICE"] == "http"
