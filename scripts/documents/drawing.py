"""Drawings as SVG: boxes with arrows between them, and messages between columns. Positions are given; nothing is laid out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import hypot
from typing import Final

_CHARACTER: Final = 7.2
"""The width of a character of the font, in pixels."""
_HEAD: Final = (
    '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="#455a64"/></marker></defs>'
)
_STYLE: Final = (
    "<style>text{font:13px sans-serif;fill:#1b2631}.small{font-size:11px;fill:#37474f}.box{fill:#e8eef7;stroke:#3f6fb5}"
    ".final{fill:#e6f4ea;stroke:#2e7d32}.outside{fill:#fff8e1;stroke:#b28704}.line{fill:none;stroke:#455a64;stroke-width:1.2}"
    ".life{stroke:#b0bec5;stroke-dasharray:4 4}</style>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box: its lines of text, its centre in pixels, and its look: box, final or outside."""

    lines: tuple[str, ...]
    x: int
    y: int
    look: str = "box"

    @property
    def width(self) -> float:
        """In pixels; it fits the longest line."""
        return max(90.0, max(map(len, self.lines)) * _CHARACTER + 20)

    @property
    def height(self) -> float:
        """In pixels; it fits all lines."""
        return 18.0 * len(self.lines) + 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """An arrow between two boxes; ``bend`` moves its middle sideways, in pixels, to the left of its direction."""

    start: str
    end: str
    text: str = ""
    bend: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message from one column to another, or a note of one column where both are the same."""

    start: str
    end: str
    text: str
    answer: bool = False


def graph(*, title: str, boxes: Mapping[str, Box], arrows: Sequence[Arrow], size: tuple[int, int]) -> str:
    """The picture. ``boxes`` are named by the arrows."""
    parts = [_arrow(one, boxes) for one in arrows]
    parts += [_box(one) for one in boxes.values()]
    parts += [_label(one, boxes) for one in arrows if one.text]
    return _picture(title, parts, size)


def sequence(*, title: str, columns: Sequence[tuple[str, str]], messages: Sequence[Message]) -> str:
    """Messages in their order, from top to bottom. ``columns`` are (name, text)."""
    step, top = 165, 60
    places = {name: 80 + number * step for number, (name, _) in enumerate(columns)}
    height = top + 40 * len(messages) + 30
    parts = []
    for name, text in columns:
        parts.append(
            f'<line class="life" x1="{places[name]}" y1="40" x2="{places[name]}" y2="{height - 15}"/>'
        )
        parts.append(_box(Box(lines=(text,), x=places[name], y=25)))
    for number, one in enumerate(messages):
        y, start, end = top + 40 * number + 25, places[one.start], places[one.end]
        if start == end:
            parts.append(_words(one.text, start + 8, y + 4, anchor="start"))
            parts.append(f'<circle cx="{start}" cy="{y}" r="4" fill="#3f6fb5"/>')
            continue
        dashes = ' stroke-dasharray="5 4"' if one.answer else ""
        parts.append(f'<path class="line" d="M{start} {y}L{end} {y}" marker-end="url(#arrow)"{dashes}/>')
        parts.append(_words(one.text, (start + end) / 2, y - 6))
    return _picture(title, parts, (80 + step * (len(columns) - 1) + 190, height))


def _picture(title: str, parts: Sequence[str], size: tuple[int, int]) -> str:
    width, height = size
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
            f"<title>{escape(title)}</title>",
            _STYLE,
            _HEAD,
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _box(one: Box) -> str:
    left, top = one.x - one.width / 2, one.y - one.height / 2
    texts = "".join(
        f'<text{" class=" + chr(34) + "small" + chr(34) if number else ""} x="{one.x}" y="{top + 21 + 18 * number:g}" '
        f'text-anchor="middle">{escape(line)}</text>'
        for number, line in enumerate(one.lines)
    )
    return (
        f'<rect class="{one.look}" x="{left:g}" y="{top:g}" width="{one.width:g}" height="{one.height:g}" rx="6"/>'
        f"{texts}"
    )


def _middle(one: Arrow, boxes: Mapping[str, Box]) -> tuple[float, float]:
    """The point that the arrow's curve is pulled to."""
    start, end = boxes[one.start], boxes[one.end]
    across, down = end.x - start.x, end.y - start.y
    length = hypot(across, down) or 1.0
    return (
        (start.x + end.x) / 2 + one.bend * down / length,
        (start.y + end.y) / 2 - one.bend * across / length,
    )


def _arrow(one: Arrow, boxes: Mapping[str, Box]) -> str:
    x, y = _middle(one, boxes)
    begin, end = _edge(boxes[one.start], x, y), _edge(boxes[one.end], x, y)
    return (
        f'<path class="line" d="M{begin[0]:.1f} {begin[1]:.1f}Q{x:.1f} {y:.1f} {end[0]:.1f} {end[1]:.1f}" '
        'marker-end="url(#arrow)"/>'
    )


def _edge(box: Box, x: float, y: float) -> tuple[float, float]:
    """The point of a box's border in the direction of (x, y)."""
    across, down = x - box.x, y - box.y
    scale = min(
        (box.width / 2 + 2) / abs(across) if across else float("inf"),
        (box.height / 2 + 2) / abs(down) if down else float("inf"),
        1.0,
    )
    return box.x + across * scale, box.y + down * scale


def _label(one: Arrow, boxes: Mapping[str, Box]) -> str:
    start, end = boxes[one.start], boxes[one.end]
    x, y = _middle(one, boxes)
    return _words(one.text, (start.x + end.x) / 4 + x / 2, (start.y + end.y) / 4 + y / 2 - 4)


def _words(text: str, x: float, y: float, *, anchor: str = "middle") -> str:
    return (
        f'<text class="small" x="{x:g}" y="{y:g}" text-anchor="{anchor}" stroke="#ffffff" stroke-width="4" '
        f'paint-order="stroke">{escape(text)}</text>'
    )
