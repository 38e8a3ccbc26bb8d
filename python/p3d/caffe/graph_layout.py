"""Places the boxes of a flow chart: rows by depth, few crossings, straight lines.

Rows follow one another *along* the direction of flow; boxes of a row stand side by side
*across* it. A line that passes rows without stopping has a place of its own in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# Lines that pass more places than this in total are drawn straight through.
MAX_PLACES = 20_000
_ORDER_SWEEPS = 8
_PLACE_SWEEPS = 24

Point = tuple[float, float]  # (across, along)


@dataclass(frozen=True)
class Layout:
    """Centres of the boxes, the points that each line passes, and the extent of it all."""

    boxes: list[Point]
    lines: list[list[Point]]
    across: float
    along: float


@dataclass
class _Vertex:
    """A box, or the place of a passing line in a row."""

    row: int
    size: float
    passing: bool
    above: list[int]
    below: list[int]
    across: float = 0.0


def lay_out(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    gap_across: float,
    gap_along: float,
) -> Layout:
    """`sizes` are (across, along) of the boxes, which come in an order in which every edge
    (from, to) goes to a later one."""
    rows_of = _rows(len(sizes), edges)
    vertices = [
        _Vertex(row, size[0], False, [], []) for row, size in zip(rows_of, sizes, strict=True)
    ]
    routes = _route(vertices, edges)
    rows: list[list[int]] = [[] for _ in range(max(rows_of, default=-1) + 1)]
    for index, vertex in enumerate(vertices):
        rows[vertex.row].append(index)
    _order(vertices, rows)
    _place(vertices, rows, gap_across)
    tops, along = _row_centres(rows_of, sizes, gap_along)
    left = min((v.across - v.size / 2 for v in vertices), default=0.0)
    right = max((v.across + v.size / 2 for v in vertices), default=0.0)

    def point(index: int) -> Point:
        return vertices[index].across - left, tops[vertices[index].row]

    return Layout(
        boxes=[point(index) for index in range(len(sizes))],
        lines=[[point(index) for index in route] for route in routes],
        across=right - left,
        along=along,
    )


def _rows(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The longest way from a start; starts stand right above the first that reads them."""
    rows = [0] * count
    first_reader = [-1] * count
    has_source = [False] * count
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        rows[target] = max(rows[target], rows[source] + 1)
        has_source[target] = True
    for source, target in edges:
        if first_reader[source] < 0 or rows[target] < rows[first_reader[source]]:
            first_reader[source] = target
    for index in range(count):
        if not has_source[index] and first_reader[index] >= 0:
            rows[index] = rows[first_reader[index]] - 1
    return rows


def _route(vertices: list[_Vertex], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The vertices that each edge passes; adds those between its ends."""
    free = MAX_PLACES
    routes = []
    for source, target in edges:
        route = [source]
        passed = range(vertices[source].row + 1, vertices[target].row)
        if len(passed) <= free:
            free -= len(passed)
            for row in passed:
                route.append(len(vertices))
                vertices.append(_Vertex(row, 8.0, True, [], []))
        route.append(target)
        for upper, lower in pairwise(route):
            if vertices[lower].row == vertices[upper].row + 1:
                vertices[upper].below.append(lower)
                vertices[lower].above.append(upper)
        routes.append(route)
    return routes


def _order(vertices: list[_Vertex], rows: list[list[int]]) -> None:
    """Sorts each row by where its neighbours above, then below, stand, to and fro."""
    position = {index: float(place) for row in rows for place, index in enumerate(row)}
    for sweep in range(_ORDER_SWEEPS):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            keys = {}
            for index in row:
                near = vertices[index].above if downwards else vertices[index].below
                mean = sum(position[n] for n in near) / len(near) if near else position[index]
                keys[index] = mean
            row.sort(key=keys.__getitem__)
            for place, index in enumerate(row):
                position[index] = float(place)


def _place(vertices: list[_Vertex], rows: list[list[int]], gap: float) -> None:
    """Gives every vertex its place across: near the mean of its neighbours, in order."""
    for sweep in range(_PLACE_SWEEPS):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            wanted, weights = [], []
            for index in row:
                vertex = vertices[index]
                near = vertex.above if downwards else vertex.below
                pulls = [(vertices[n].across, _pull(vertex, vertices[n])) for n in near]
                total = sum(pull for _, pull in pulls)
                mean = sum(at * pull for at, pull in pulls) / total if pulls else vertex.across
                wanted.append(mean)
                weights.append(total or 0.1)
            sizes = [vertices[index].size for index in row]
            for index, across in zip(row, _spread(wanted, weights, sizes, gap), strict=True):
                vertices[index].across = across


def _pull(one: _Vertex, other: _Vertex) -> float:
    """How much a line wants to be straight: long lines most."""
    return (8.0, 2.0, 1.0)[2 - one.passing - other.passing]


def _spread(
    wanted: Sequence[float], weights: Sequence[float], sizes: Sequence[float], gap: float
) -> list[float]:
    """The places nearest to `wanted` (weighted least squares) that keep order and distance:
    neighbours that come too close are joined to blocks, which move as one."""
    offsets = [0.0]
    for left, right in pairwise(sizes):
        offsets.append(offsets[-1] + (left + right) / 2 + gap)
    blocks: list[tuple[float, float, int]] = []  # (place, weight, length)
    for place, weight, offset in zip(wanted, weights, offsets, strict=True):
        block = (place - offset, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            before = blocks.pop()
            total = before[1] + block[1]
            mean = (before[0] * before[1] + block[0] * block[1]) / total
            block = (mean, total, before[2] + block[2])
        blocks.append(block)
    places = [place for place, _, length in blocks for _ in range(length)]
    return [place + offset for place, offset in zip(places, offsets, strict=True)]


def _row_centres(
    rows_of: Sequence[int], sizes: Sequence[tuple[float, float]], gap: float
) -> tuple[list[float], float]:
    """Centres of the rows along the flow, and the extent of all rows."""
    heights = [0.0] * (max(rows_of, default=-1) + 1)
    for row, (_, along) in zip(rows_of, sizes, strict=True):
        heights[row] = max(heights[row], along)
    centres, edge = [], 0.0
    for height in heights:
        centres.append(edge + height / 2)
        edge += height + gap
    return centres, max(edge - gap, 0.0)
