"""What a spreadsheet would evaluate does not reach it as it is."""

import pytest

from prizewire_chassis.http.cells import safe_cell

SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\ufe66", "\u207c", "\u2212")
HIDDEN = ("", " ", "\u3000", "\xa0", "\ufeff", "\u200b", "\x00", "\x1b", " \t\r\n", "\u2028")


@pytest.mark.parametrize("begin", [*(hidden + sign for hidden in HIDDEN for sign in SIGNS), "\t", "\r", "\n"])
def test_no_cell_is_a_formula(begin: str) -> None:
    """Signs of every width, also behind what is not visible; tabs and line breaks."""
    assert safe_cell(f"{begin}cmd|' /C calc'!A0") == f"'{begin}cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    "text", ["", " ", "ann", " ann", "\u3000ann", "10.00", "a=1", "(-1)", "1-2", "\uff11"]
)
def test_any_other_text_stays(text: str) -> None:
    """Formula characters inside do no harm."""
    assert safe_cell(text) == text
