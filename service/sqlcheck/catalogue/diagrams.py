"""The ER diagram, as numbers: where each box, row and line of it goes. The page draws it.

Tables stand in layers: left those that refer to none, each further right than what it refers to, and below them those
that have no part in any reference. Lines run in the gutters between layers, to each key that is referred to in a lane
of its own; one that passes a layer is given a place in it, like a table. So lines cross, but none lies on another.

Text is set in a monospaced font, whose widths are known without measuring. A reference has no line if it closes a
circle, as that of a table to itself, or if all its columns have lines to elsewhere: its rows say where it goes.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

from service.sqlcheck.catalogue.model import ColumnEntry, ForeignKey, TableEntry

ROW: Final = 22
"""The height of a row, and what all heights are a multiple of."""

# In the widest of the usual fonts a character is 0.61 times as wide as it is high: 11.5 pixels, and 10 beside a line.
_CHARACTER: Final = 7.1
_SMALL_CHARACTER: Final = 6.2
PAD: Final = 8
KEYS: Final = 40
"""The width of the keys of a row."""
_GAP: Final = ROW
_LANE: Final = 12
_FOOT: Final = 18
"""The space beside a table for the sign at the end of a line, beyond the line itself."""
_MARGIN: Final = 2
# A line leaves a row in the middle and enters one lower. Those that pass lie between, in one layer above the middle and
# in the next below. So where a line comes into a gutter on one side, none comes on the other.
_ENTERS: Final = 6
_PASSES: Final = (-3, 3)


@dataclass(frozen=True, slots=True)
class BoxLine:
    """A column of a table. `y` is its middle; `goes_to` is the table of a reference that has no line."""

    column: ColumnEntry
    y: float
    type: str
    goes_to: str


@dataclass(slots=True)
class Box:
    """A table. `x` and `y` are its top left corner."""

    table: TableEntry
    width: float
    height: float
    types_from: float
    goes_to: dict[str, str]
    x: float = 0
    y: float = 0

    @property
    def rows(self) -> list[BoxLine]:
        """Its columns."""
        return [
            BoxLine(column, self.middle(column.name), _type(column), self.goes_to.get(column.name, ""))
            for column in self.table.columns
        ]

    def middle(self, column: str) -> float:
        """Return the middle of the row of a column."""
        names = [one.name for one in self.table.columns]
        return self.y + (names.index(column) + 1.5) * ROW


@dataclass(frozen=True, slots=True)
class Line:
    """A foreign key. `points` lead from the table that has it, on the right, to the one that it refers to."""

    table: str
    key: ForeignKey
    points: tuple[tuple[float, float], ...]

    @property
    def path(self) -> str:
        """The line as SVG has it."""
        return "M" + " L".join(f"{x:g} {y:g}" for x, y in self.points)


@dataclass(frozen=True, slots=True)
class Diagram:
    """Everything that is drawn, and how large it is."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


@dataclass(slots=True, eq=False)
class _Pass:
    """The place of a line in a layer that it passes."""

    layer: int
    y: float = 0
    height: float = ROW

    @property
    def middle(self) -> float:
        """The height at which the line passes."""
        return self.y + self.height / 2 + _PASSES[self.layer % 2]


_Item: TypeAlias = Box | _Pass


@dataclass(slots=True, eq=False)
class _Route:
    """A line before it has its points: from which table in which layer, past what, and to which.

    Of the columns of the key it joins those at one place.
    """

    box: Box
    layer: int
    key: ForeignKey
    place: int
    target: Box
    passes: tuple[_Pass, ...]


def draw(tables: Sequence[TableEntry]) -> Diagram:
    """Return the diagram of some tables, the same for the same tables."""
    depths = _depths(tables)
    places = {table.name: _places(table, depths) for table in tables}
    boxes = {table.name: _box(table, places[table.name]) for table in tables}
    routes = list(_routes(tables, boxes, depths, places))
    joined = {box.table.name for route in routes for box in (route.box, route.target)}
    layers: list[list[_Item]] = [[] for _ in range(max((depths[name] for name in joined), default=-1) + 1)]
    for name in sorted(joined):
        layers[depths[name]].append(boxes[name])
    for route in routes:
        for passed in route.passes:
            layers[passed.layer].append(passed)
    for layer in layers:
        _stack(layer, routes)
    gutters = [_lanes(gutter, routes) for gutter in range(len(layers) - 1)]
    label = max((len(route.key.on_delete) for route in routes), default=0) * _SMALL_CHARACTER
    edges = _columns(layers, gutters, label)
    lines = tuple(_line(route, gutters, edges) for route in routes)
    bottom = max((item.y + item.height for layer in layers for item in layer), default=-_GAP)
    alone = [box for name, box in boxes.items() if name not in joined]
    right = edges[-1][1] if edges else 0
    width, height = _place_below(alone, bottom + 2 * _GAP if layers else _MARGIN, right)
    return Diagram(width + _MARGIN, height + _MARGIN, tuple(boxes.values()), lines)


def _depths(tables: Sequence[TableEntry]) -> dict[str, int]:
    """Return how many references lead on from each table at most; one that closes a circle does not count."""
    by_name = {table.name: table for table in tables}
    found: dict[str, int] = {}
    entered = set[str]()

    def depth(name: str) -> int:
        if name not in found:
            entered.add(name)
            targets = {key.target for key in by_name[name].foreign_keys} & by_name.keys()
            below = [depth(target) for target in sorted(targets) if target in found or target not in entered]
            found[name] = max(below, default=-1) + 1
        return found[name]

    for name in sorted(by_name):
        depth(name)
    return found


def _places(table: TableEntry, depths: Mapping[str, int]) -> dict[str, int]:
    """Return the column, by its place in each foreign key, where the key's line begins; no two keys share one.

    The last free column is taken, since the first is usually the owner's. A key without a line is not in it.
    """
    found, taken = dict[str, int](), set[str]()
    for key in sorted(table.foreign_keys, key=lambda key: len(key.columns)):
        free = [place for place, column in enumerate(key.columns) if column not in taken]
        if free and depths.get(key.target, depths[table.name]) < depths[table.name]:
            found[key.name] = free[-1]
            taken.add(key.columns[free[-1]])
    return found


def _box(table: TableEntry, places: Container[str]) -> Box:
    """Return the box of a table, which is as wide as its longest row."""
    goes_to = {column: key.target for key in table.foreign_keys if key.name not in places for column in key.columns}
    names = max(len(column.name) for column in table.columns)
    types = max(len(_type(one) + (f" → {goes_to[one.name]}" if one.name in goes_to else "")) for one in table.columns)
    types_from = PAD + KEYS + names * _CHARACTER + 2 * PAD
    width = max(types_from + types * _CHARACTER, PAD + len(table.name) * _CHARACTER) + PAD
    return Box(table, width, (len(table.columns) + 1) * ROW, types_from, goes_to)


def _type(column: ColumnEntry) -> str:
    return f"{column.type} null" if column.is_nullable else column.type


def _routes(
    tables: Sequence[TableEntry],
    boxes: Mapping[str, Box],
    depths: Mapping[str, int],
    places: Mapping[str, Mapping[str, int]],
) -> Iterator[_Route]:
    for table in tables:
        layer, box = depths[table.name], boxes[table.name]
        for key in table.foreign_keys:
            if key.name in places[table.name]:
                passes = tuple(_Pass(between) for between in range(layer - 1, depths[key.target], -1))
                yield _Route(box, layer, key, places[table.name][key.name], boxes[key.target], passes)


def _stack(layer: list[_Item], routes: Sequence[_Route]) -> None:
    """Put what is in a layer below each other, each as near as may be to what its lines lead to."""
    heights: dict[int, list[float]] = {}
    for route in routes:
        stations: list[_Item] = [route.box, *route.passes, route.target]
        for item, left in pairwise(stations):
            heights.setdefault(id(item), []).append(left.y + left.height / 2)
    order = sorted(
        range(len(layer)), key=lambda place: (_mean(heights.get(id(layer[place]))), -layer[place].height, place)
    )
    layer[:] = [layer[place] for place in order]
    y: float = _MARGIN
    for item in layer:
        item.y = y
        y += item.height + _GAP


def _mean(values: Sequence[float] | None) -> float:
    return sum(values) / len(values) if values else 0


def _ends(route: _Route, gutter: int) -> tuple[float, float] | None:
    """Return at which heights a line enters a gutter, on its left and on its right; None where it is not in it."""
    stations = [
        route.box.middle(route.key.columns[route.place]),
        *(one.middle for one in route.passes),
        route.target.middle(route.key.target_columns[route.place]) + _ENTERS,
    ]
    place = route.layer - 1 - gutter
    return (stations[place + 1], stations[place]) if 0 <= place < len(stations) - 1 else None


def _lanes(gutter: int, routes: Sequence[_Route]) -> dict[float, int]:
    """Return the lane of each height at which lines leave a gutter on its left; those of one height share a lane."""
    reach: dict[float, list[float]] = {}
    for route in routes:
        if ends := _ends(route, gutter):
            reach.setdefault(ends[0], []).append(ends[1])
    # What goes down furthest turns last, so that fewer cross.
    order = sorted(reach, key=lambda left: (-_mean(reach[left]), left))
    return {left: lane for lane, left in enumerate(order)}


def _columns(
    layers: Sequence[Sequence[_Item]], gutters: Sequence[dict[float, int]], label: float
) -> list[tuple[float, float]]:
    """Give each box its place from the left, with room for a label, and return where each layer begins and ends."""
    edges, x = list[tuple[float, float]](), float(_MARGIN)
    for number, layer in enumerate(layers):
        boxes = [item for item in layer if isinstance(item, Box)]
        width = max((box.width for box in boxes), default=0)
        for box in boxes:
            box.x, box.width = x, width
        edges.append((x, x + width))
        lanes = len(gutters[number]) if number < len(gutters) else 0
        x += width + _FOOT + lanes * _LANE + label + 1.5 * _FOOT
    return edges


def _line(route: _Route, gutters: Sequence[dict[float, int]], edges: Sequence[tuple[float, float]]) -> Line:
    points: list[tuple[float, float]] = []
    for gutter in range(route.layer - 1, -1, -1):
        ends = _ends(route, gutter)
        if ends is None:
            break
        left, right = ends
        lane = edges[gutter][1] + _FOOT + (gutters[gutter][left] + 0.5) * _LANE
        points += [(edges[gutter + 1][0], right), (lane, right), (lane, left), (edges[gutter][1], left)]
    return Line(route.box.table.name, route.key, tuple(points))


def _place_below(boxes: Sequence[Box], y: float, width: float) -> tuple[float, float]:
    """Put boxes into rows, from a height on and not wider than a width, and return the whole width and height."""
    x, height, widest = float(_MARGIN), 0.0, width
    for box in sorted(boxes, key=lambda box: (box.height, box.table.name)):
        if x > _MARGIN and x + box.width > width:
            x, y, height = float(_MARGIN), y + height + _GAP, 0
        box.x, box.y = x, y
        x += box.width + 2 * _GAP
        height, widest = max(height, box.height), max(widest, box.x + box.width)
    return widest, y + height if boxes else max(y - 2 * _GAP, 0)
