"""Draws a net as SVG, with nothing but the standard library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from .graph_layout import Point, lay_out
from .net_boxes import COLORS, Box, Line, boxes_and_lines

_CHARACTER = 6.4  # width of a character of 11 px, widest usual fonts
_LINE = 15.0
_PAD = 6.0
_GAP_ACROSS, _GAP_ALONG = 24.0, 30.0
_MARGIN = 20.0
_LONGEST_TEXT = 60
_LABEL_COLORS = {"BN": "#ffffff", "BatchNorm": "#ffffff", "ReLU": "#d9ead3", "Dropout": "#eeeeee"}

_STYLE = (
    "text{font:11px sans-serif;fill:#222}.b{font-weight:bold}.s{fill:#777;font-size:10px;"
    "paint-order:stroke;stroke:white;stroke-width:3px}"
    "rect{stroke:#666}path{fill:none;stroke:#888;stroke-width:1.3;marker-end:url(#a)}"
)


def net_svg(
    layers: Sequence[Any],
    name: str = "",
    rankdir: str = "TB",
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> str:
    """The picture of a net's layers (LayerParameter messages) as the text of an SVG file.

    rankdir: the direction of flow: TB (down), BT (up), LR or RL.
    shapes:  shapes of blobs by name, written at the lines; the first axis is left out.
    """
    boxes, lines = boxes_and_lines(layers)
    sideways = rankdir in ("LR", "RL")
    sizes = [_size(box) for box in boxes]
    layout = lay_out(
        [(h, w) if sideways else (w, h) for w, h in sizes],
        [(line.source, line.target) for line in lines],
        _GAP_ACROSS,
        # A shape is written beside a line that goes down and along one that goes right.
        _GAP_ALONG + (60.0 if sideways and shapes else 0.0),
    )
    backwards = rankdir in ("BT", "RL")
    across, along = layout.across, layout.along
    top = 2 * _MARGIN + 2 * _LINE

    chart = (along, across) if sideways else (across, along)
    kinds = {box.kind for box in boxes}
    width = max(chart[0], _legend_width(kinds), len(_text(name)) * 8) + 2 * _MARGIN
    height = chart[1] + top + _MARGIN

    def place(point: Point) -> Point:
        a, b = point
        if backwards:
            b = along - b
        x, y = (b, a) if sideways else (a, b)
        return x + (width - chart[0]) / 2, y + top

    parts = [*_head(width, height), *_legend(name, kinds)]
    placed = [place(point) for point in layout.boxes]
    for line, points in zip(lines, layout.lines, strict=True):
        ends = _ends(placed, sizes, line, sideways)
        parts.append(_path([ends[0], *map(place, points[1:-1]), ends[1]], sideways))
    parts += _shape_texts(lines, placed, sizes, shapes or {}, sideways, backwards)
    for box, center, size in zip(boxes, placed, sizes, strict=True):
        parts += _draw_box(box, center, size)
    return "\n".join([*parts, "</svg>\n"])


def _head(width: float, height: float) -> list[str]:
    """The style, the end of an arrow, and a white ground."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="6" '
        'markerHeight="6" orient="auto"><path d="M0 0 8 4 0 8z" '
        'style="fill:#888;stroke:none;marker-end:none"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white" style="stroke:none"/>',
    ]


def _size(box: Box) -> tuple[float, float]:
    """(width, height) of a box with its two lines of text and its row of labels."""
    texts = [len(_text(box.layer.name)) * 1.08, len(_text(box.what))]
    texts.append(sum(len(_text(label.type)) + 3 for label in box.labels))
    return max(texts) * _CHARACTER + 2 * _PAD, (2 + bool(box.labels)) * _LINE + _PAD


def _draw_box(box: Box, center: Point, size: tuple[float, float]) -> list[str]:
    (x, y), (width, height) = center, size
    left, top = x - width / 2, y - height / 2
    names = [box.layer.name, *(label.name for label in box.labels)]
    parts = [
        f"<g><title>{_escape(', '.join(names))}</title>",
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4" '
        f'fill="{COLORS[box.kind]}"/>',
        _draw_text(x, top + _LINE, box.layer.name, "b"),
        _draw_text(x, top + 2 * _LINE, box.what),
    ]
    room = width - 2 * _PAD
    total = sum(len(_text(label.type)) + 3 for label in box.labels)
    at = left + _PAD
    for label in box.labels:
        part = room * (len(_text(label.type)) + 3) / total
        color = _LABEL_COLORS.get(label.type, "#fff2cc")
        parts.append(
            f'<rect x="{at + 1:.1f}" y="{top + 2 * _LINE + 4:.1f}" width="{part - 2:.1f}" '
            f'height="{_LINE - 2:.1f}" rx="6" fill="{color}"/>'
        )
        parts.append(_draw_text(at + part / 2, top + 3 * _LINE - 0.5, label.type))
        at += part
    return [*parts, "</g>"]


def _ends(
    placed: Sequence[Point], sizes: Sequence[tuple[float, float]], line: Line, sideways: bool
) -> tuple[Point, Point]:
    """Where a line leaves one box and enters the other."""
    (x0, y0), (x1, y1) = placed[line.source], placed[line.target]
    (w0, h0), (w1, h1) = sizes[line.source], sizes[line.target]
    if sideways:
        sign = 1 if x1 >= x0 else -1
        return (x0 + sign * w0 / 2, y0), (x1 - sign * w1 / 2, y1)
    sign = 1 if y1 >= y0 else -1
    return (x0, y0 + sign * h0 / 2), (x1, y1 - sign * h1 / 2)


def _path(points: Sequence[Point], sideways: bool) -> str:
    """A smooth line through the points that passes each in the direction of flow."""
    (x, y), *rest = points
    steps = [f"M{x:.1f} {y:.1f}"]
    for x1, y1 in rest:
        if (y if sideways else x) == (y1 if sideways else x1):
            steps.append(f"L{x1:.1f} {y1:.1f}")
        elif sideways:
            half = (x + x1) / 2
            steps.append(f"C{half:.1f} {y:.1f} {half:.1f} {y1:.1f} {x1:.1f} {y1:.1f}")
        else:
            half = (y + y1) / 2
            steps.append(f"C{x:.1f} {half:.1f} {x1:.1f} {half:.1f} {x1:.1f} {y1:.1f}")
        x, y = x1, y1
    return f'<path d="{"".join(steps)}"/>'


def _shape_texts(
    lines: Sequence[Line],
    placed: Sequence[Point],
    sizes: Sequence[tuple[float, float]],
    shapes: Mapping[str, Sequence[int]],
    sideways: bool,
    backwards: bool,
) -> list[str]:
    """The shape of each blob, once, where its first line leaves its box."""
    parts: list[str] = []
    written: set[tuple[int, str]] = set()
    sign = -1 if backwards else 1
    for line in lines:
        key = (line.source, line.blob)
        if line.blob not in shapes or key in written:
            continue
        # Further blobs of the same box stand below one another.
        row = sum(source == line.source for source, _ in written)
        written.add(key)
        (x, y), (width, height) = placed[line.source], sizes[line.source]
        text = "x".join(str(int(size)) for size in list(shapes[line.blob])[1:])
        if sideways:
            at = x + sign * width / 2 + (3 if sign > 0 else -3 - len(text) * 5.5)
            parts.append(_draw_text(at, y - 4 - 11 * row, text, "s", anchor="start"))
        else:
            at = y + sign * (height / 2 + 4) + (8 if sign > 0 else 0) + sign * 11 * row
            parts.append(_draw_text(x + 5, at, text, "s", anchor="start"))
    return parts


def _legend_width(kinds: set[str]) -> float:
    return sum(36 + len(kind) * _CHARACTER for kind in kinds)


def _legend(name: str, kinds: set[str]) -> list[str]:
    parts = [_draw_text(_MARGIN, _MARGIN, name, "b", anchor="start")] if name else []
    x, y = _MARGIN, _MARGIN + _LINE
    for kind, color in COLORS.items():
        if kind in kinds:
            parts.append(
                f'<rect x="{x:.1f}" y="{y - 10:.1f}" width="18" height="12" rx="3" fill="{color}"/>'
            )
            parts.append(_draw_text(x + 24, y, kind, anchor="start"))
            x += 36 + len(kind) * _CHARACTER
    return parts


def _draw_text(x: float, y: float, text: str, kind: str = "", anchor: str = "middle") -> str:
    cls = f" class={quoteattr(kind)}" if kind else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{cls}>{_escape(_text(text))}</text>'
    )


def _text(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..."


def _escape(text: str) -> str:
    """Text for XML, which knows no control characters."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
