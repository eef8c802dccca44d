"""Texts of others on our terminal: subjects and details may hold whatever a sender wrote into an event."""


def printable(text: str) -> str:
    """The text with every character that could steer a terminal, line ends included, spelled as an escape."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
