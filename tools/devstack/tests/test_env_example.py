"""`.env.example`: each variable once, with those who read it, and one default at most."""

from typing import Any

import pytest

from prizewire_devstack.cli.env_example import render, settings_of
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.routes import SERVICES


def row(name: str, *, default: str | None, about: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "required": default is None,
        "default": default,
        "description": about or f"About {name}.",
    }


def test_what_all_read_and_what_one_has_of_its_own() -> None:
    """What is required stands open, defaults are commented out."""
    text = render(
        {
            "settlement": [row("DATABASE_URL", default=None), row("PLATFORM_FEE_PERCENTAGE", default="10")],
            "signer": [row("DATABASE_URL", default=None)],
        }
    )
    assert "# --- every service\n# About DATABASE_URL.\nDATABASE_URL=\n" in text
    assert text.count("DATABASE_URL=") == 1
    assert "# --- settlement\n# About PLATFORM_FEE_PERCENTAGE.\n# PLATFORM_FEE_PERCENTAGE=10\n" in text


def test_what_several_read_stands_once_with_each_ones_word() -> None:
    """One who requires it makes it required; what another does without it is said."""
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
    """One value in one file cannot be both; no default beside a default is a contradiction too."""
    rows = {"rewards": [row("NETWORK", default="a")], "payouts": [row("NETWORK", default=other)]}
    with pytest.raises(DevstackError, match="NETWORK has contradicting defaults"):
        render(rows)


def test_the_services_agree_on_the_network() -> None:
    """Who signs, checks and sends names the same network because somebody set it, and not by a default."""
    required = {
        service: one["required"]
        for service in SERVICES
        for one in settings_of(service)
        if one["name"] == "STELLAR_NETWORK_PASSPHRASE"
    }
    assert required == {"rewards": True, "payouts": True, "signer": True}
