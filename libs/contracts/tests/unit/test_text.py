"""Texts of people and names of things: what is taken, what is changed, what is refused."""

import unicodedata

import pytest
from pydantic import TypeAdapter, ValidationError

from prizewire_contracts.intents import AllowedWay
from prizewire_contracts.text import (
    EventReason,
    Label,
    Line,
    Memo,
    Name,
    Reason,
    counted,
    is_name,
    is_printable,
    printable,
    printable_members,
)

COMPOSED = "Caf\u00e9"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
CONTROLS = [
    "\x00",
    "\n",
    "\r",
    "\t",
    "\x1b",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2066",
    "\ud800",
]


@pytest.mark.parametrize("kind", [Reason, Line, Label, Memo, Name, EventReason])
@pytest.mark.parametrize("character", CONTROLS)
def test_no_type_takes_a_control_character(kind, character):
    """Wherever the character stands, the text is refused and not cleaned in silence."""
    for value in (character, f"a{character}b", f"{character}a", f"a{character}"):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(value)


def test_free_text_of_http_is_normalized_and_stripped():
    """Two ways to write one text are stored as one."""
    for kind in (Reason, Line, Label):
        assert TypeAdapter(kind).validate_python(f"  {DECOMPOSED} ") == COMPOSED


def test_free_text_of_an_event_is_not_changed():
    """A changed text would no longer be what the producer signed."""
    assert TypeAdapter(EventReason).validate_python(f" {DECOMPOSED}") == f" {DECOMPOSED}"


def test_an_identifier_that_is_not_in_form_c_is_refused():
    """Two players must not look alike, and an identifier is never changed behind its owner's back."""
    assert TypeAdapter(Name).validate_python(COMPOSED) == COMPOSED
    with pytest.raises(ValidationError, match="normalization form C"):
        TypeAdapter(Name).validate_python(DECOMPOSED)
    assert is_name(COMPOSED)
    assert not is_name(DECOMPOSED)


@pytest.mark.parametrize("value", ["", "a b", "a\u00a0b", "a" * 129, "a\x00"])
def test_invalid_names(value):
    """The function says of a plain text what the type says of a field."""
    assert not is_name(value)
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(value)


def test_lengths_are_bounded_after_normalization():
    """White space around a text does not count, and nothing is cut off."""
    assert TypeAdapter(Reason).validate_python(" " + "x" * 500 + " ") == "x" * 500
    for value in ("x" * 501, "e\u0301" * 400_000, " ", ""):
        with pytest.raises(ValidationError):
            TypeAdapter(Reason).validate_python(value)
    assert TypeAdapter(Label).validate_python("") == ""


def test_right_to_left_writing_and_emoji_are_taken():
    """Only characters that override the direction are refused, not the scripts that need one."""
    for value in ("تم الإلغاء", "בוטל", "👩‍🚀 won", "中止"):
        assert TypeAdapter(Reason).validate_python(value) == unicodedata.normalize("NFC", value)


def test_texts_of_machines_are_made_printable():
    """A record that must be written is written: refused characters are replaced, what is too long is cut."""
    assert printable("a\x00b\ud800") == "a\ufffdb\ufffd"
    assert printable("x" * 600, length_max=10) == "x" * 9 + "…"
    assert is_printable(printable("".join(CONTROLS)))


def test_every_member_of_a_signed_structure_is_looked_at():
    """The texts of intents and approvals, nested ones included, hold no control character."""
    good = AllowedWay(rail="stellar", destination="G", memo="a", amount_max="1.00")
    assert printable_members(good) is good
    with pytest.raises(ValueError, match="memo"):
        printable_members(AllowedWay(rail="stellar", destination="G", memo="a\x00", amount_max="1.00"))


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 payments"), (1, "1 payment"), (2, "2 payments"), (2_000, "2,000 payments")]
)
def test_a_number_has_its_noun(number: int, said: str) -> None:
    """Only one thing is in the singular."""
    assert counted(number, "payment") == said
