"""Versions of subjects: skip older events, park events behind a gap or behind a parked event."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Conflict, fetch, later
from prizewire_chassis.inbox.outcome import BatchOutcome
from prizewire_chassis.inbox.statements import VERSIONS, VERSIONS_UPSERT
from prizewire_chassis.inbox.stuck import parked_heads
from prizewire_chassis.inbox.types import ConsumerSpec, Incoming, Refusal, VersionRule
from prizewire_chassis.metrics.labels import EventOutcome
from prizewire_contracts.codes import RefusalCode


class NewerVersionStored(Conflict):
    """Another consumer stored a newer version of a subject in the meantime."""


async def check_versions(
    tx: AsyncConnection,
    spec: ConsumerSpec,
    fresh: list[tuple[int, Incoming]],
    refusals: dict[int, Refusal],
    outcome: BatchOutcome,
) -> tuple[list[tuple[int, Incoming]], dict[tuple[str, str], int]]:
    """Leave out events that wait behind a parked one, that are older than the state, or that would leave a gap. An event
    under a version that was applied with another event is refused: one of the two was not sent by the producer.
    """
    subjects = sorted({(item.event.source, item.event.subject) for _, item in fresh})
    if not subjects:
        return [], {}
    heads = await parked_heads(tx, consumer=spec.name, subjects=subjects)
    versioned = any(spec.version_rule(item.event.type) is not VersionRule.NONE for _, item in fresh)
    versions: dict[tuple[str, str], int] = {}
    if versioned:
        rows = await fetch(
            tx,
            VERSIONS,
            {
                "consumer": spec.name,
                "sources": [s for s, _ in subjects],
                "subjects": [s for _, s in subjects],
            },
        )
        versions = {(row.source, row.subject): row.version for row in rows}
    passed: list[tuple[int, Incoming]] = []
    for index, item in fresh:
        subject = (item.event.source, item.event.subject)
        rule = spec.version_rule(item.event.type)
        version = item.event.aggregateversion
        current = versions.get(subject, 0)
        head = heads.get(subject)
        fills_gap = rule is VersionRule.STRICT and version == current + 1
        behind = head is not None and item.replay_of != "parked"
        # the handler of a chain finds out by itself which of two events under one version is the genuine one
        passes = (fills_gap and (spec.chained or head == RefusalCode.VERSION_GAP)) or _overtakes(
            spec, head, item
        )
        if behind and not passes:
            refusals[index] = Refusal(RefusalCode.SUBJECT_PARKED, f"waits behind {head}", park=True)
            continue
        if rule is not VersionRule.NONE and version is not None:
            if version == current or (rule is VersionRule.STRICT and version < current):
                # The inbox does not hold this event's id, so another event was applied as this version.
                detail = f"version {version} of this subject was applied with another event, up to {current}"
                refusals[index] = Refusal(RefusalCode.VERSION_CONFLICT, detail)
                continue
            if version < current:
                outcome.skip(EventOutcome.OUTDATED)
                continue
            if rule is VersionRule.STRICT and version != current + 1:
                detail = f"version {version} after {current}"
                refusals[index] = Refusal(RefusalCode.VERSION_GAP, detail, park=True)
                continue
            versions[subject] = version
        passed.append((index, item))
    return passed, versions


def _overtakes(spec: ConsumerSpec, head: str | None, item: Incoming) -> bool:
    return head is not None and spec.overtakes is not None and spec.overtakes(head, item.event.type)


async def store_versions(
    tx: AsyncConnection,
    spec: ConsumerSpec,
    applied: list[tuple[int, Incoming]],
    versions: Mapping[tuple[str, str], int],
) -> None:
    """Store the newest version of each subject. Where another consumer has stored a newer one in the meantime, the
    transaction fails with ``NewerVersionStored``.
    """
    reached: dict[tuple[str, str], int] = {}
    for _, item in applied:
        subject = (item.event.source, item.event.subject)
        if subject in versions and item.event.aggregateversion is not None:
            reached[subject] = max(reached.get(subject, 0), item.event.aggregateversion)
    if reached:
        ordered = sorted(reached)
        await later(
            tx,
            VERSIONS_UPSERT,
            {
                "consumer": spec.name,
                "sources": [source for source, _ in ordered],
                "subjects": [subject for _, subject in ordered],
                "versions": [reached[key] for key in ordered],
            },
            # a subject's first version has no row to lock: two consumers may both have found none
            rows=len(ordered),
            lost=lambda: NewerVersionStored("another consumer stored a newer version in the meantime"),
        )
