"""`.env.example`: each variable once, with the services that read it, and at most one default."""

from typing import Any

import pytest

from prizewire_devstack.cli.env_example import render
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.service_settings import settings_of


def row(name: str, *, default: str | None, about: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "required": default is None,
        "default": default,
        "description": about or f"About {name}.",
    }


def test_common_variables_come_first() -> None:
    """Required variables are open, defaults are commented out."""
    text = render(
        {
            "settlement": [row("DATABASE_URL", default=None), row("PLATFORM_FEE_PERCENTAGE", default="10")],
            "signer": [row("DATABASE_URL", default=None)],
        }
    )
    assert "# --- every service\n# About DATABASE_URL.\nDATABASE_URL=\n" in text
    assert text.count("DATABASE_URL=") == 1
    assert "# --- settlement\n# About PLATFORM_FEE_PERCENTAGE.\n# PLATFORM_FEE_PERCENTAGE=10\n" in text


def test_a_shared_variable_is_listed_once_with_each_description() -> None:
    """A variable that one service requires is required; the default of another service is described."""
    text = render(
        {
            "settlement": [],
            "payouts": [row("STELLAR_ASSETS", default="XLM", about="What may be paid.")],
            "signer": [row("STELLAR_ASSETS", default=None, about="What may be signed.")],
        }
    )
    said = "# payouts: What may be paid. Default: XLM.\n# signer: What may be signed.\nSTELLAR_ASSETS=\n"
    assert said in text
    assert text.count("STELLAR_ASSETS=") == 1


@pytest.mark.parametrize("other", ["b", ""])
def test_two_defaults_for_one_name_are_refused(other: str) -> None:
    """Two defaults contradict each other; so do a default and no default."""
    rows = {"rewards": [row("NETWORK", default="a")], "payouts": [row("NETWORK", default=other)]}
    with pytest.raises(DevstackError, match="NETWORK has contradicting defaults"):
        render(rows)


def test_the_services_agree_on_the_network() -> None:
    """No service has a default for the network, so all services use the configured one."""
    required = {
        service: one["required"]
        for service in SERVICES
        for one in settings_of(service)
        if one["name"] == "STELLAR_NETWORK_PASSPHRASE"
    }
    assert required == {"rewards": True, "payouts": True, "signer": True}
