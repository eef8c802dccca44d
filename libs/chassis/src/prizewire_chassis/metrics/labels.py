"""The values of labels of the shared metrics. The code that counts uses these members, so that no other value appears."""

from enum import StrEnum


class EventOutcome(StrEnum):
    """The outcome of a consumed event."""

    APPLIED = "applied"
    DEAD = "dead"
    PARKED = "parked"
    DUPLICATE = "duplicate"
    """It was applied before."""
    OUTDATED = "outdated"
    """A newer version of its subject was applied before."""
    UNCONCERNED = "unconcerned"
    """The consumer does not read its type."""
    OFFERED = "offered"
    """It did not come from Kafka, and its sender got the answer."""
    REPLAYED = "replayed"
    REPLAY_REFUSED = "replay_refused"


class RetryKind(StrEnum):
    """Why a batch is tried again."""

    TRANSIENT = "transient"
    """The database is unavailable, or another transaction was in conflict."""
    UNEXPECTED = "unexpected"
    """The handler raised."""


class LostSpans(StrEnum):
    """Why spans did not reach the collector."""

    QUEUE_FULL = "queue_full"
    """Too many waited."""
    NOT_TAKEN = "not_taken"
    """The collector did not take them."""


class WrongOffset(StrEnum):
    """Why a stored offset does not fit the log of its topic."""

    PAST_END = "past_end"
    """It lies after the end of the log."""
    OTHER_MESSAGE = "other_message"
    """The log has another message before it."""
    NO_HASH = "no_hash"
    """The message before it is not known."""
    DELETED = "deleted"
    """Messages after it were deleted before they were processed."""


class OpenStuckState(StrEnum):
    """The states of a stuck event that waits for a person."""

    DEAD = "dead"
    PARKED = "parked"


class TokenKeyRead(StrEnum):
    """The outcome of a read of the public keys of access tokens."""

    READ = "read"
    FAILED = "failed"
    """The former keys are used."""


class CredentialKind(StrEnum):
    """What a credential with an end is."""

    CERTIFICATE = "certificate"
    TOKEN = "token"  # noqa: S105 - the name of a kind
    APPROVAL = "approval"
    """A person's approval that holds until a date."""
