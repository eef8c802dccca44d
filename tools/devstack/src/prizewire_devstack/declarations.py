"""Campaigns and competitions that a file declares, created and changed over HTTP. Applying a file twice changes nothing.

```yaml
campaigns:
  - name: autumn-cup
    asset: USDC
    delivery: direct
    low_water: "100.00"         # and caps, claim, risk, as in the HTTP interface; a setting that is not named is not changed
    funding: [{amount: "1000.00", reference: sponsor-payment-1}]
    state: active
competitions:
  - id: autumn-cup
    name: Autumn cup
    campaign: autumn-cup        # by name or by id
    asset: USDC
    gross_prize: "1000.00"
    …                           # every other field as in the HTTP interface
    sources:
      - source: /game-servers/local
        keys: [local]           # the local game server's key; or whole keys
```
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from operator import eq
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import yaml

from prizewire_devstack.api import Api, ApiError
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.files import read_text
from prizewire_devstack.waiting import NotInTimeError, eventually_sync

LOCAL_KEY: Final = "local"
STATE_ROUTES: Final = {"active": "activate", "paused": "pause", "ended": "end"}
STATES: Final = ("draft", *STATE_ROUTES)
"""The states that a file may name. Only a new campaign is a draft."""
SETTINGS: Final = ("low_water", "caps", "claim", "risk")
"""The settings of a campaign that can be changed. A setting that a file does not name is not changed; null removes a limit."""
NOT_FOUND: Final = 404
CAMPAIGN_UNKNOWN: Final = "campaign_unknown"
KNOWN_DEADLINE_S: Final = 20.0
"""Seconds that settlement may need to receive the event of a new campaign."""
KNOWN_POLL_S: Final = 0.2
REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "campaigns": ("name", "asset", "delivery"),
    "funding": ("amount", "reference"),
    "competitions": ("id", "campaign"),
    "sources": ("source",),
}
"""The fields that each entry of a list must have."""
NESTED: Final[Mapping[str, tuple[str, ...]]] = {"campaigns": ("funding",), "competitions": ("sources",)}
"""The lists inside an entry of a list."""
ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "campaigns": frozenset({*REQUIRED["campaigns"], *SETTINGS, "funding", "state"}),
    "funding": frozenset(REQUIRED["funding"]),
    "sources": frozenset({"source", "keys"}),
}
"""The fields that an entry may have, for entries that no service receives unchanged."""
ONCE: Final[Mapping[str, str]] = {"campaigns": "name", "funding": "reference", "competitions": "id"}
"""The field that identifies an entry in its list."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """The outcome for one declared campaign or competition; `action` is created, changed, funded, or unchanged. `settings`
    are the changed settings of a campaign. `facts` are what a person checks: amounts with their asset, and the state.
    """

    kind: str
    name: str
    id: str
    action: str
    settings: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()


def load(path: Path) -> dict[str, Any]:
    """Read a file of declarations.

    Raises:
        DevstackError: it is missing or no YAML, or has an unknown, repeated or missing field.
    """
    try:
        document = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise DevstackError(f"{path} is no valid YAML: {error}") from error
    if not isinstance(document, dict) or not document.keys() <= {"campaigns", "competitions"}:
        raise DevstackError(f"{path} must be a mapping with campaigns and competitions, and nothing else.")
    for kind in document:
        _demand(document, kind, where=str(path))
    return document


def _demand(holder: Mapping[str, Any], field: str, *, where: str) -> None:
    """Refuse a list with an entry that lacks a required field, has an unknown field, or repeats another entry. The services
    check everything else.

    Raises:
        DevstackError: it is no list of mappings, or an entry lacks a field, has an unknown one, or repeats another.
    """
    seen: set[str] = set()
    entries = holder.get(field) or []
    if not isinstance(entries, list):
        raise DevstackError(f"{where}: {field} must be a list, each entry with {', '.join(REQUIRED[field])}.")
    for number, entry in enumerate(entries, 1):
        place = f"{where}: {field}, entry {number}"
        if not isinstance(entry, dict):
            raise DevstackError(f"{place} must be a mapping with {', '.join(REQUIRED[field])}.")
        missing = [name for name in REQUIRED[field] if not isinstance(entry.get(name), str | int | float)]
        if missing:
            raise DevstackError(f"{place} has no {' and no '.join(missing)}: write it there.")
        unknown = sorted(map(str, entry.keys() - ALLOWED.get(field, entry.keys())))
        if unknown:
            known = ", ".join(sorted(ALLOWED[field]))
            raise DevstackError(f"{place} has {', '.join(unknown)}, which is unknown: it may have {known}.")
        if field in ONCE:
            named = str(entry[ONCE[field]])
            if named in seen:
                raise DevstackError(f"{place} has the {ONCE[field]} {named} of an entry before it.")
            seen.add(named)
        _check_values(entry, field, place=place)
        for inner in NESTED.get(field, ()):
            _demand(entry, inner, where=place)


def _check_values(entry: Mapping[str, Any], field: str, *, place: str) -> None:
    """Refuse a wrong state of a campaign, and a wrong key of a source, before anything is changed."""
    state = entry.get("state")
    if field == "campaigns" and state is not None and state not in STATES:
        raise DevstackError(f"{place} has the state {state!r}: the states are {', '.join(STATES)}.")
    for key in (entry.get("keys") or []) if field == "sources" else ():
        if key != LOCAL_KEY and not isinstance(key, dict):
            raise DevstackError(
                f"{place} has the key {key!r}: write `{LOCAL_KEY}` for the key of the local game server, or a whole key, a "
                "mapping with the fields of `PUT /api/competitions/{id}`."
            )


def apply(
    api: Api,
    document: Mapping[str, Any],
    *,
    local_key: Mapping[str, str] | None,
    report: Callable[[Change], None] = lambda _: None,
) -> list[Change]:
    """Create and change the declared campaigns, then the competitions; then book the money of the campaigns and set their
    states, so that a wrong competition costs no booking. ``report`` is called for each one after it.

    Raises:
        ApiError: a service refused; the message names the declared campaign or competition.
        DevstackError: a competition names an unknown campaign or key, or several campaigns have the name. Nothing was
            changed then.
    """
    campaigns = _by_name(api.items("/api/campaigns"), names=_campaign_names(document))
    _check_competitions(document, campaigns, local_key)
    competitions: list[Change] = []
    funded: list[Change] = []
    steps: dict[str, _Step] = {}
    for declared in document.get("campaigns") or []:
        with _about("campaign", declared["name"]):
            steps[declared["name"]] = _set_up_campaign(api, declared, campaigns)
    for declared in document.get("competitions") or []:
        with _about("competition", declared["id"]):
            competitions.append(_apply_competition(api, declared, campaigns, local_key))
        report(competitions[-1])
    for declared in document.get("campaigns") or []:
        with _about("campaign", declared["name"]):
            funded.append(_fund_campaign(api, declared, campaigns, steps[declared["name"]]))
        report(funded[-1])
    return [*funded, *competitions]


@contextmanager
def _about(kind: str, name: str) -> Iterator[None]:
    """Name the declared campaign or competition in an error of the block."""
    try:
        yield
    except ApiError as error:
        error.args = (f"The {kind} {name}: {error}",)
        raise


def _check_competitions(
    document: Mapping[str, Any],
    campaigns: Mapping[str, Mapping[str, Any]],
    local_key: Mapping[str, str] | None,
) -> None:
    """Refuse competitions that would fail, before anything is changed: campaigns, with their money, are applied first.

    Raises:
        DevstackError: a competition names an unknown campaign or key.
    """
    declared = {one["name"]: {"id": ""} for one in document.get("campaigns") or []}
    for competition in document.get("competitions") or []:
        _campaign_id(competition["campaign"], {**declared, **campaigns})
        for source in competition.get("sources") or []:
            _source(source, local_key)


def _campaign_names(document: Mapping[str, Any]) -> set[str]:
    """The names of campaigns in a document."""
    declared = {one["name"] for one in document.get("campaigns") or []}
    return declared | {one["campaign"] for one in document.get("competitions") or []}


def _by_name(campaigns: Iterable[dict[str, Any]], *, names: Collection[str]) -> dict[str, dict[str, Any]]:
    """The campaign of each name: the one that has not ended, or the newest ended one.

    Raises:
        DevstackError: several campaigns that have not ended have one of ``names``.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for campaign in campaigns:
        found.setdefault(campaign["name"], []).append(campaign)
    chosen = {}
    for name, same in found.items():
        going_on = [one for one in same if one["state"] != "ended"]
        if len(going_on) > 1 and name in names:
            ids = " and ".join(sorted(str(one["id"]) for one in going_on))
            raise DevstackError(
                f"Several campaigns are named {name}: {ids}. Name the campaign of a competition by its id, or end the others."
            )
        chosen[name] = (going_on or same)[0]
    return chosen


@dataclass(frozen=True, kw_only=True)
class _Step:
    """The outcome for a campaign before its money is booked."""

    action: str
    settings: tuple[str, ...]


def _set_up_campaign(api: Api, declared: Mapping[str, Any], known: dict[str, dict[str, Any]]) -> _Step:
    name = declared["name"]
    action = "unchanged"
    settings = {field: declared[field] for field in SETTINGS if field in declared}
    if name not in known:
        body = {field: declared[field] for field in ("name", "asset", "delivery")} | settings
        known[name] = api.post("/api/campaigns", body, key=_key("campaign", name))
        action = "created"
    campaign = known[name]
    for field in ("asset", "delivery"):
        if campaign[field] != declared[field]:
            raise DevstackError(
                f"The campaign {name} exists with {field} {campaign[field]}, which cannot be changed to "
                f"{declared[field]}: give the campaign another name."
            )
    changed = tuple(
        field
        for field, value in settings.items()
        if not _holds(campaign.get(field), value, equal=_same_setting)
    )
    if changed:
        kept = {field: campaign[field] for field in SETTINGS if field in campaign}
        api.put(f"/api/campaigns/{campaign['id']}/settings", _merged(kept, settings))
        action = "changed"
    wanted = declared.get("state")
    if wanted is not None and campaign["state"] != wanted and wanted not in STATE_ROUTES:
        raise DevstackError(
            f"The campaign {name} is {campaign['state']} and cannot be made {wanted!r}: {', '.join(STATE_ROUTES)}."
        )
    return _Step(action=action, settings=changed)


def _fund_campaign(
    api: Api, declared: Mapping[str, Any], known: dict[str, dict[str, Any]], step: _Step
) -> Change:
    name, action = declared["name"], step.action
    campaign = known[name]
    funded_before = campaign.get("funded")
    for payment in declared.get("funding") or []:
        _fund(api, campaign["id"], payment)
    wanted = declared.get("state")
    if wanted is not None and campaign["state"] != wanted:
        api.post(f"/api/campaigns/{campaign['id']}/{STATE_ROUTES[wanted]}")
        action = "created" if action == "created" else "changed"
    known[name] = api.get(f"/api/campaigns/{campaign['id']}")
    if action == "unchanged" and known[name].get("funded") != funded_before:
        action = "funded"
    return Change(
        kind="campaign",
        name=name,
        id=campaign["id"],
        action=action,
        settings=step.settings,
        facts=_campaign_facts(known[name], funded_before=funded_before),
    )


def _campaign_facts(campaign: Mapping[str, Any], *, funded_before: Any) -> tuple[str, ...]:
    booked = Decimal(campaign["funded"]) - Decimal(funded_before or 0)
    asset = campaign["asset"]
    return (
        *([f"{booked} {asset} booked now"] if booked else []),
        f"{campaign['funded']} {asset} funded",
        campaign["state"],
    )


def _competition_facts(competition: Mapping[str, Any]) -> tuple[str, ...]:
    prize = competition.get("gross_prize")
    return (
        *([] if prize is None else [f"gross prize {prize} {competition['asset']}"]),
        f"rule version {competition['rule_version']}",
    )


def _fund(api: Api, campaign: str, payment: Mapping[str, Any]) -> None:
    """Fund a pool, once for a reference. A funding by another person with the same reference and amount is the same payment."""
    body = {"amount": payment["amount"], "reference": payment["reference"]}
    key = _key("funding", campaign, str(payment["reference"]), str(payment["amount"]))
    try:
        api.post(f"/api/campaigns/{campaign}/fund", body, key=key)
    except ApiError as error:
        booked = error.problem.get("earlier", {}).get("amount")
        if error.code != "reference_used" or Decimal(booked) != Decimal(payment["amount"]):
            raise


def _key(*parts: str) -> str:
    """The Idempotency-Key of a declared thing. It is a hash, since names and references may have characters that a key may not have."""
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"apply:{digest}"


def _apply_competition(
    api: Api,
    declared: Mapping[str, Any],
    campaigns: Mapping[str, Mapping[str, Any]],
    local_key: Mapping[str, str] | None,
) -> Change:
    body = {
        **declared,
        "campaign": _campaign_id(declared["campaign"], campaigns),
        "sources": [_source(source, local_key) for source in declared.get("sources") or []],
    }
    name = declared["id"]
    path = f"/api/competitions/{name}"
    try:
        before = api.get(path)
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise
        made = make_competition(api, body)
        return Change(
            kind="competition", name=name, id=name, action="created", facts=_competition_facts(made)
        )
    if _holds(before, body):
        return Change(
            kind="competition", name=name, id=name, action="unchanged", facts=_competition_facts(before)
        )
    # Settlement recognizes an equal rule in another form, such as percentages for each place or for all of them.
    after = once_known(lambda: api.put(path, body))
    action = "changed" if after["rule_version"] != before["rule_version"] else "unchanged"
    return Change(kind="competition", name=name, id=name, action=action, facts=_competition_facts(after))


def make_competition(api: Api, body: Mapping[str, Any]) -> Any:
    """POST a competition over a campaign that may be new.

    Raises:
        ApiError: the service refused; also where it does not know the campaign within ``KNOWN_DEADLINE_S``.
    """
    return once_known(lambda: api.post("/api/competitions", body))


def once_known(write: Callable[[], Any]) -> Any:
    """Write a rule once settlement knows its campaign, which it learns by an event of rewards."""
    answers: list[Any] = []
    unknown: list[ApiError] = []

    def written() -> bool:
        try:
            answers.append(write())
        except ApiError as error:
            if error.code != CAMPAIGN_UNKNOWN:
                raise
            unknown.append(error)
        return bool(answers)

    try:
        eventually_sync(written, deadline_s=KNOWN_DEADLINE_S, poll_s=KNOWN_POLL_S)
    except NotInTimeError:
        raise unknown[-1] from None
    return answers[0]


def _campaign_id(named: str, campaigns: Mapping[str, Mapping[str, Any]]) -> str:
    if named in campaigns:
        return str(campaigns[named]["id"])
    try:
        return str(UUID(named))
    except ValueError as error:
        raise DevstackError(
            f"There is no campaign {named!r}: declare it in the file, or give its id."
        ) from error


def _source(declared: Mapping[str, Any], local_key: Mapping[str, str] | None) -> dict[str, Any]:
    keys = []
    for key in declared.get("keys") or []:
        if key != LOCAL_KEY:
            keys.append(key)
        elif local_key is None:
            raise DevstackError(
                "The key `local` is known to the local stack only: write the game server's whole key into the file."
            )
        else:
            keys.append(dict(local_key))
    return {"source": declared["source"], "keys": keys}


def _holds(current: Any, declared: Any, *, equal: Callable[[Any, Any], bool] = eq) -> bool:
    """Say whether the current state has all declared values; defaults that the service added do not count."""
    if isinstance(declared, Mapping) and isinstance(current, Mapping):
        return all(
            name in current and _holds(current[name], value, equal=equal) for name, value in declared.items()
        )
    if isinstance(declared, list) and isinstance(current, list):
        pairs = zip(current, declared, strict=False)
        return len(current) == len(declared) and all(_holds(*pair, equal=equal) for pair in pairs)
    return bool(equal(current, declared))


def _merged(current: Any, declared: Any) -> Any:
    """The current state with the declared values in place of its own."""
    if isinstance(declared, Mapping) and isinstance(current, Mapping):
        return {**current, **{name: _merged(current.get(name), value) for name, value in declared.items()}}
    return declared


def _same_setting(current: Any, declared: Any) -> bool:
    """Compare a setting of a campaign. Texts that are numbers are amounts: ``100`` is answered as ``100.00``."""
    try:
        return Decimal(current) == Decimal(declared)
    except (TypeError, ValueError, InvalidOperation):
        return bool(current == declared)
