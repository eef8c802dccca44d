"""Declared campaigns and competitions: created once, changed when the file changes."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from click.testing import CliRunner

from prizewire_chassis.idempotency import check_key
from prizewire_devstack import declarations
from prizewire_devstack.api import Api, ApiError
from prizewire_devstack.cli import apply as apply_command
from prizewire_devstack.errors import DevstackError

KEY = {
    "keyid": "game-server-1",
    "public_key": "00" * 32,
    "not_before": "2026-01-01",
    "not_after": "2036-01-01",
}
DOCUMENT: dict[str, Any] = {
    "campaigns": [
        {
            "name": "cup",
            "asset": "USDC",
            "delivery": "direct",
            "funding": [{"amount": "10.00", "reference": "sponsor"}],
            "state": "active",
        }
    ],
    "competitions": [
        {
            "id": "cup",
            "campaign": "cup",
            "gross_prize": "10.00",
            "sources": [{"source": "/game-servers/local", "keys": ["local"]}],
        }
    ],
}


class Installation:
    """The two services as far as declarations use them: idempotency keys replay, defaults are added."""

    def __init__(self) -> None:
        self.campaigns: dict[str, dict[str, Any]] = {}
        self.competitions: dict[str, dict[str, Any]] = {}
        self._answers: dict[str, Any] = {}
        self._booked: dict[tuple[str, str], str] = {}

    def change_person(self) -> None:
        """Continue as another admin: an idempotency key holds for one person."""
        self._answers.clear()

    def items(self, path: str, **_: object) -> Iterator[dict[str, Any]]:
        assert path == "/api/campaigns"
        yield from copy.deepcopy(list(self.campaigns.values()))

    def get(self, path: str) -> Any:
        kind, name = path.split("/")[2:]
        found = self.campaigns if kind == "campaigns" else self.competitions
        if name not in found:
            raise ApiError(status=404, code="not_found", detail="", path=path)
        return copy.deepcopy(found[name])

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None) -> Any:
        if key is not None:
            check_key(key)
        if key is not None and key in self._answers:
            return self._answers[key]
        answer = self._act(path, dict(body or {}))
        if key is not None:
            self._answers[key] = answer
        return answer

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        if path.endswith("/settings"):
            self.campaigns[path.split("/")[3]].update(body)
            return None
        name = path.rsplit("/", 1)[1]
        before = self.competitions[name]
        said = self._answered(dict(body))
        if any(before.get(field) != value for field, value in said.items()):
            self.competitions[name] = {**before, **said, "rule_version": before["rule_version"] + 1}
        return copy.deepcopy(self.competitions[name])

    @staticmethod
    def _answered(body: dict[str, Any]) -> dict[str, Any]:
        """A rule as settlement answers it: percentages of a single place are those of all places."""
        table = body.get("template", {}).get("table")
        if table is None:
            return body
        rows = [{"places": row["places"], "percent_total": row.get("percent_each")} for row in table]
        return {**body, "template": {"table": rows}}

    def _act(self, path: str, body: dict[str, Any]) -> Any:
        parts = path.split("/")[2:]
        if parts == ["campaigns"]:
            made = {"id": f"id-{body['name']}", "state": "draft", "funded": "0.00", **body}
            self.campaigns[made["id"]] = made
            return copy.deepcopy(made)
        if parts == ["competitions"]:
            asset = self.campaigns[body["campaign"]]["asset"]
            made = {**self._answered(body), "rule_version": 1, "dispute_window_s": 0, "asset": asset}
            self.competitions[body["id"]] = made
            return copy.deepcopy(made)
        campaign = self.campaigns[parts[1]]
        if parts[2] == "fund":
            payment = (parts[1], body["reference"])
            if payment in self._booked:
                problem = {"earlier": {"amount": self._booked[payment]}}
                raise ApiError(status=409, code="reference_used", detail="", path=path, problem=problem)
            self._booked[payment] = body["amount"]
            campaign["funded"] = str(Decimal(campaign["funded"]) + Decimal(body["amount"]))
        else:
            campaign["state"] = {"activate": "active", "pause": "paused", "end": "ended"}[parts[2]]
        return None


@pytest.fixture
def installation() -> Installation:
    return Installation()


def apply(installation: Installation, document: dict[str, Any]) -> list[tuple[str, str]]:
    changes = declarations.apply(cast("Api", installation), document, local_key=KEY)
    return [(change.kind, change.action) for change in changes]


def test_declared_campaigns_and_competitions_are_created(installation: Installation) -> None:
    """The campaign is funded and active before the competition names it."""
    assert apply(installation, DOCUMENT) == [("campaign", "created"), ("competition", "created")]
    assert (
        installation.campaigns["id-cup"] | {"state": "active", "funded": "10.00"}
        == installation.campaigns["id-cup"]
    )
    assert installation.competitions["cup"]["campaign"] == "id-cup"
    assert installation.competitions["cup"]["sources"][0]["keys"] == [KEY]


def test_a_line_says_what_was_booked(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Id, amounts with their asset, and state of each declared campaign and competition; an amount is shown as booked once."""

    @contextmanager
    def connected() -> Iterator[Installation]:
        yield installation

    monkeypatch.setattr(apply_command, "connect", connected)
    monkeypatch.setattr(apply_command, "remote", lambda: ("http://other", "token"))
    document = {**DOCUMENT, "competitions": [{**DOCUMENT["competitions"][0], "sources": []}]}
    file = tmp_path / "cup.yaml"
    file.write_text(yaml.safe_dump(document))
    said = [CliRunner().invoke(apply_command.command, [str(file)]).output.splitlines() for _ in range(2)]
    funded = "10.00 USDC funded, active"
    assert said == [
        [
            "competition cup: created; gross prize 10.00 USDC, rule version 1",
            f"campaign cup: created; id id-cup, 10.00 USDC booked now, {funded}",
        ],
        [
            "competition cup: unchanged; gross prize 10.00 USDC, rule version 1",
            f"campaign cup: unchanged; id id-cup, {funded}",
        ],
    ]


def test_applying_again_changes_nothing(installation: Installation) -> None:
    """Neither money nor a rule version is added by repeating a command."""
    apply(installation, DOCUMENT)
    assert apply(installation, DOCUMENT) == [("campaign", "unchanged"), ("competition", "unchanged")]
    assert installation.campaigns["id-cup"]["funded"] == "10.00"
    assert installation.competitions["cup"]["rule_version"] == 1


def test_the_same_rule_in_another_form_changes_nothing(installation: Installation) -> None:
    """Settlement answers percentages for each place as those of all places: no version is added or reported."""
    declared = copy.deepcopy(DOCUMENT)
    table = [{"places": "1", "percent_each": "80"}]
    declared["competitions"][0]["template"] = {"table": table}
    assert apply(installation, declared)[1] == ("competition", "created")
    assert apply(installation, declared)[1] == ("competition", "unchanged")
    table[0]["percent_each"] = "70"
    assert apply(installation, declared)[1] == ("competition", "changed")
    assert installation.competitions["cup"]["rule_version"] == 2


def test_a_changed_rule_is_a_new_version(installation: Installation) -> None:
    """Only what differs is sent."""
    apply(installation, DOCUMENT)
    changed = copy.deepcopy(DOCUMENT)
    changed["competitions"][0]["gross_prize"] = "8.00"
    assert apply(installation, changed) == [("campaign", "unchanged"), ("competition", "changed")]
    assert installation.competitions["cup"]["rule_version"] == 2


def test_settings_are_sent_with_the_campaign_and_when_they_change(installation: Installation) -> None:
    """Caps, claims and risk thresholds are part of a campaign; a file that names none leaves them as they are."""
    declared = copy.deepcopy(DOCUMENT)
    declared["campaigns"][0] |= {"low_water": "2.00", "caps": {"per_player": "5.00"}}
    apply(installation, declared)
    assert installation.campaigns["id-cup"]["caps"] == {"per_player": "5.00"}
    assert apply(installation, declared)[0] == ("campaign", "unchanged")
    installation.campaigns["id-cup"]["claim"] = {"expires_s": 60, "at_deadline": "reject"}
    declared["campaigns"][0] |= {"low_water": "2", "claim": {"expires_s": 60, "at_deadline": "reject"}}
    assert apply(installation, declared)[0] == ("campaign", "unchanged"), "the same amount in another form"
    declared["campaigns"][0]["low_water"] = "2.00"
    assert apply(installation, DOCUMENT)[0] == ("campaign", "unchanged")
    declared["campaigns"][0]["caps"] = {"per_player": "6.00"}
    assert apply(installation, declared)[0] == ("campaign", "changed")
    assert installation.campaigns["id-cup"]["caps"] == {"per_player": "6.00"}
    assert installation.campaigns["id-cup"]["low_water"] == "2.00"


def test_another_payment_funds_once_more(installation: Installation) -> None:
    """A payment with another reference is another payment."""
    apply(installation, DOCUMENT)
    changed = copy.deepcopy(DOCUMENT)
    changed["campaigns"][0]["funding"].append({"amount": "5.00", "reference": "second-sponsor"})
    assert apply(installation, changed)[0] == ("campaign", "funded")
    assert installation.campaigns["id-cup"]["funded"] == "15.00"


def test_a_funding_by_another_admin_is_not_booked_again(installation: Installation) -> None:
    """The same reference with the same amount is the same payment, whichever admin booked it; with another amount it is refused."""
    apply(installation, DOCUMENT)
    installation.change_person()
    assert apply(installation, DOCUMENT)[0] == ("campaign", "unchanged")
    assert installation.campaigns["id-cup"]["funded"] == "10.00"
    changed = copy.deepcopy(DOCUMENT)
    changed["campaigns"][0]["funding"][0]["amount"] = "11.00"
    installation.change_person()
    with pytest.raises(ApiError, match="reference_used"):
        apply(installation, changed)
    assert installation.campaigns["id-cup"]["funded"] == "10.00"


def written(directory: Path, document: dict[str, Any]) -> Path:
    file = directory / "prizewire.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def test_names_and_references_are_free_text(installation: Installation) -> None:
    """Spaces and dots, as banks write them; one transfer may fund two campaigns; a changed amount is no replay."""
    document = copy.deepcopy(DOCUMENT)
    first = document["campaigns"][0]
    first["name"] = document["competitions"][0]["campaign"] = "Autumn Cup, round 2.1"
    first["funding"] = [{"amount": "7.00", "reference": "wire 2024-04-02/№ 7.1"}]
    second = {**copy.deepcopy(first), "name": "Winter cup"}
    document["campaigns"].append(second)
    assert apply(installation, document)[:2] == [("campaign", "created"), ("campaign", "created")]
    assert [one["funded"] for one in installation.campaigns.values()] == ["7.00", "7.00"]
    second["funding"][0]["amount"] = "8.00"
    with pytest.raises(ApiError, match="reference_used"):
        apply(installation, document)


def test_a_setting_that_is_not_named_stays(installation: Installation) -> None:
    """A file that names one setting does not remove a limit; null does. The changed settings are reported."""
    document = copy.deepcopy(DOCUMENT)
    caps = {"per_player": "50.00", "per_campaign": "400.00"}
    risk = {"amount": "10.00", "velocity": {"count": 3, "window_s": 60}}
    document["campaigns"][0] |= {"low_water": None, "caps": caps, "risk": risk}
    apply(installation, document)

    changed = copy.deepcopy(DOCUMENT)
    changed["campaigns"][0] |= {"low_water": "5.00", "caps": {"per_player": None}}
    found = declarations.apply(cast("Api", installation), changed, local_key=KEY)
    assert (found[0].action, found[0].settings) == ("changed", ("low_water", "caps"))
    campaign = installation.campaigns["id-cup"]
    assert campaign["low_water"] == "5.00"
    assert campaign["caps"] == {"per_player": None, "per_campaign": "400.00"}
    assert campaign["risk"] == risk
    assert apply(installation, changed)[0] == ("campaign", "unchanged")


@pytest.mark.parametrize(
    ("place", "entry", "said"),
    [
        (
            "campaigns",
            {"state": "activ"},
            "has the state 'activ': the states are draft, active, paused, ended",
        ),
        ("sources", {"keys": ["locall"]}, "has the key 'locall': write `local`"),
    ],
)
def test_a_wrong_state_or_key_is_refused(
    place: str, entry: dict[str, Any], said: str, tmp_path: Path
) -> None:
    """Before a campaign is created, whose name could not be used again with another asset."""
    document = copy.deepcopy(DOCUMENT)
    lists = {"campaigns": document["campaigns"], "sources": document["competitions"][0]["sources"]}
    lists[place][0] |= entry
    with pytest.raises(DevstackError, match=said):
        declarations.load(written(tmp_path, document))


@pytest.mark.parametrize(
    ("place", "entry", "said"),
    [
        ("campaigns", {"low_watr": "10.00"}, "campaigns, entry 1 has low_watr, which is unknown"),
        (
            "funding",
            {"repeated_reference": True},
            "funding, entry 1 has repeated_reference, which is unknown",
        ),
        ("sources", {"key": []}, "sources, entry 1 has key, which is unknown"),
    ],
)
def test_an_unknown_field_is_refused(place: str, entry: dict[str, Any], said: str, tmp_path: Path) -> None:
    """A misspelt limit is refused, since it would have no effect."""
    document = copy.deepcopy(DOCUMENT)
    campaign, competition = document["campaigns"][0], document["competitions"][0]
    lists = {
        "campaigns": campaign,
        "funding": campaign["funding"][0],
        "sources": competition["sources"][0],
    }
    lists[place] |= entry
    with pytest.raises(DevstackError, match=said):
        declarations.load(written(tmp_path, document))


@pytest.mark.parametrize("place", ["campaigns", "funding", "competitions"])
def test_a_repeated_declaration_is_refused(place: str, tmp_path: Path) -> None:
    """Two payments under one reference would be booked as one."""
    document = copy.deepcopy(DOCUMENT)
    declared = document["campaigns"][0]["funding"] if place == "funding" else document[place]
    declared.append(copy.deepcopy(declared[0]))
    with pytest.raises(DevstackError, match=f"{place}, entry 2 has the .* of an entry before it"):
        declarations.load(written(tmp_path, document))


def test_an_impossible_competition_prevents_every_change(installation: Installation) -> None:
    """Without this check money would be booked before the error is found."""
    with pytest.raises(DevstackError, match="known to the local stack only"):
        declarations.apply(cast("Api", installation), DOCUMENT, local_key=None)
    assert not installation.campaigns


def test_a_refusal_names_what_was_declared(installation: Installation) -> None:
    """Changes before the refusal are reported before it."""
    reported: list[str] = []
    document = copy.deepcopy(DOCUMENT)
    document["campaigns"].append({**document["campaigns"][0], "name": "league"})
    apply(installation, document)
    installation.change_person()
    document["campaigns"][1] = {
        **document["campaigns"][1],
        "funding": [{"amount": "11.00", "reference": "sponsor"}],
    }
    with pytest.raises(ApiError, match=r"^The campaign league: .*reference_used"):
        declarations.apply(
            cast("Api", installation),
            document,
            local_key=KEY,
            report=lambda change: reported.append(change.name),
        )
    assert reported == ["cup", "cup"]


def test_a_wrong_competition_books_no_money(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A competition that its service refuses is noticed before the money of the campaigns is booked."""

    def refused(*_: object) -> None:
        raise ApiError(
            status=400,
            code="invalid_request",
            detail="dispute_windows: it is unknown",
            path="/api/competitions",
        )

    monkeypatch.setattr(declarations, "make_competition", refused)
    with pytest.raises(ApiError, match=r"The competition cup: .*dispute_windows"):
        apply(installation, DOCUMENT)
    assert Decimal(installation.campaigns["id-cup"]["funded"]) == 0
    assert installation.campaigns["id-cup"]["state"] == "draft"


def test_an_impossible_change_is_refused(installation: Installation) -> None:
    """A campaign keeps its asset for life."""
    apply(installation, DOCUMENT)
    changed = copy.deepcopy(DOCUMENT)
    changed["campaigns"][0]["asset"] = "EURC"
    with pytest.raises(DevstackError, match="cannot be changed"):
        apply(installation, changed)


def test_a_name_of_several_campaigns_is_refused(installation: Installation) -> None:
    """An ended campaign is skipped; between two that have not ended none is chosen, and the error names both ids."""
    for number, state in enumerate(("draft", "ended", "active"), 1):
        installation.campaigns[f"id-{number}"] = {
            "id": f"id-{number}", "name": "cup", "state": state, "asset": "USDC", "delivery": "direct", "funded": "0.00",
        }  # fmt: skip
    with pytest.raises(DevstackError, match="Several campaigns are named cup: id-1 and id-3"):
        apply(installation, DOCUMENT)
    installation.campaigns["id-1"]["state"] = "ended"
    apply(installation, DOCUMENT)
    assert installation.competitions["cup"]["campaign"] == "id-3"


def test_an_unknown_campaign_is_named(installation: Installation) -> None:
    """A typing error in a competition's campaign creates nothing."""
    changed = copy.deepcopy(DOCUMENT)
    changed["competitions"][0]["campaign"] = "cupp"
    with pytest.raises(DevstackError, match="cupp"):
        apply(installation, changed)
    assert not installation.campaigns
    assert not installation.competitions


def test_a_file_with_an_unknown_section_is_refused(tmp_path: Path) -> None:
    """A misspelt section is refused, not ignored."""
    (tmp_path / "bad.yaml").write_text("campaign: []\n")
    with pytest.raises(DevstackError, match="campaigns and competitions"):
        declarations.load(tmp_path / "bad.yaml")
