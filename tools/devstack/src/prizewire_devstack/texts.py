"""Texts from events at the terminal: a sender may have written any characters into subjects and details."""


def printable(text: str) -> str:
    """The text with every control character, line ends included, written as an escape."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
