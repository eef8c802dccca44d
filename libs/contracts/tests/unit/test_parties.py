"""When one person alone said who is paid how much."""

import pytest

from prizewire_contracts.parties import Party, PartyRole, distinct, one_person

R = PartyRole


@pytest.mark.parametrize(
    ("parties", "alone"),
    [
        ([], None),
        ([(R.RULE_WRITER, "ada")], None),
        ([(R.RULE_WRITER, "ada"), (R.REPORTER, "ada")], "ada"),
        ([(R.RULE_WRITER, "ada"), (R.REPORTER, "bob")], None),
        ([(R.FUNDER, "ada"), (R.RULE_WRITER, "ada")], None),
        ([(R.RULE_WRITER, "ada"), (R.RULE_WRITER, "bob"), (R.REPORTER, "ada")], "ada"),
        ([(R.RULE_WRITER, "ada"), (R.RULE_WRITER, "bob"), (R.REPORTER, "cyd")], None),
        ([(R.RULE_WRITER, "ada"), (R.RULE_WRITER, "bob"), (R.REPORTER, "ada"), (R.REPORTER, "bob")], None),
        ([(R.FUNDER, "bob"), (R.RULE_WRITER, "ada"), (R.REPORTER, "ada")], "ada"),
        ([(R.RULE_WRITER, "ada"), (R.REPORTER, "ada"), (R.RELEASER, "bob")], None),
        ([(R.RULE_WRITER, "ada"), (R.RELEASER, "ada")], None),
        ([(R.IMPORTER, "ada")], "ada"),
        ([(R.IMPORTER, "ada"), (R.RELEASER, "bob")], None),
        ([(R.FILER, "bob"), (R.PAYEE, "bob"), (R.IMPORTER, "ada")], "ada"),
    ],
    ids=lambda value: "-".join(f"{role}={who}" for role, who in value) if isinstance(value, list) else None,
)
def test_one_person_is_named_only_if_no_other_person_decided(
    parties: list[tuple[PartyRole, str]], alone: str | None
) -> None:
    """A funder is no second person, nor is a second writer; a game server is one, and so is the person who released the prize."""
    assert one_person([Party(role, subject) for role, subject in parties]) == alone


def test_a_party_stands_once_and_in_one_order() -> None:
    """The same parties are the same text, however they were collected."""
    ada, bob = Party(R.FUNDER, "ada"), Party(R.REPORTER, "bob")
    assert distinct([bob, ada, bob]) == distinct([ada, bob]) == (ada, bob)
