"""The tables and the plot of the page Performance, made of the figures in one TOML file.

``{figures} name`` is a table of it, ``{plot}`` draws the rows that say ``plot = true``, and
``{measured} name`` says when and on what. A row that lacks a figure is left out.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FIGURES = Path(__file__).parent.parent / "explanation" / "performance.toml"
GOALS = {"least", "most"}
"""Columns that are the goal of the column before them."""
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
Figures = Mapping[str, Any]


class Cell(NamedTuple):
    text: str
    number: bool = False
    missed: bool = False


def load() -> dict[str, Any]:
    return tomllib.loads(FIGURES.read_text("utf-8"))


def in_speed(row: Figures) -> Figures:
    """Turn a ratio of times over, and its goal with it."""
    if "time" not in row:
        return row
    return {**row, "speed": turned(row["time"]), "least": turned(row["most"])}


def turned(time: float) -> float:
    return float(f"{1 / time:.3g}")


def measured(table: Figures) -> Iterator[Figures]:
    """Yield the rows that have all their figures; goals need not be there."""
    columns = [column for column in table["columns"] if column not in GOALS]
    rows = map(in_speed, table["rows"]) if "speed" in columns else table["rows"]
    return (row for row in rows if all(column in row for column in columns))


def cells(row: Figures, columns: Sequence[str]) -> Iterator[Cell]:
    for column, goal in zip(columns, [*columns[1:], ""], strict=True):
        value = row.get(column, "")
        yield Cell(written(value), not isinstance(value, str), is_missed(value, goal, row))


def is_missed(value: Any, goal: str, row: Figures) -> bool:
    """Compare a value as it is written: 1.15 for a goal of 1.15 is met."""
    if goal not in GOALS or goal not in row:
        return False
    return bool(value < row[goal] if goal == "least" else value > row[goal])


def written(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.10g}"


class Table(SphinxDirective):
    """One subject: a unit for each column, and its goals."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FIGURES))
        figures = load()
        table = figures["tables"][self.arguments[0]]
        rows = [[*cells(row, table["columns"])] for row in measured(table)]
        if not rows:
            return []
        headings = [
            Cell(figures["headings"][column], cell.number)
            for column, cell in zip(table["columns"], rows[0], strict=True)
        ]
        group = nodes.tgroup(cols=len(headings))
        group += [nodes.colspec(colwidth=1) for _ in headings]
        group += nodes.thead("", self.row(headings))
        group += nodes.tbody("", *map(self.row, rows))
        return [nodes.table("", group, classes=["figures"])]

    def row(self, row: Sequence[Cell]) -> nodes.row:
        made = nodes.row()
        for cell in row:
            said = nodes.paragraph("", "", *self.parse_inline(cell.text)[0])
            if cell.missed:
                said += nodes.inline("", " missed", classes=["missed"])
            made += nodes.entry("", said, classes=["number"] if cell.number else [])
        return made


class Plot(SphinxDirective):
    """How fast this package is beside others: a bar for each chosen row, and its goal."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FIGURES))
        tables = [table for table in load()["tables"].values() if "speed" in table["columns"]]
        rows = [row for table in tables for row in measured(table) if row.get("plot")]
        return [nodes.raw("", draw(rows), format="html")]


ROW, BAR = 46, 12
"""Pixels from one bar to the next, and of a bar."""


class Scale:
    """A logarithmic axis, in per cent of the width: the drawing is as wide as its place."""

    def __init__(self, most: float) -> None:
        ends = next(number for number, tick in enumerate(TICKS) if tick > most * 1.2)
        self.ticks = TICKS[: ends + 1]

    def __call__(self, value: float) -> float:
        first, last = math.log(self.ticks[0]), math.log(self.ticks[-1])
        return round(100 * (math.log(max(value, self.ticks[0])) - first) / (last - first), 2)


def draw(rows: Sequence[Figures]) -> str:
    """Return the plot as SVG: across in per cent, down in pixels."""
    across = Scale(max(max(row["speed"], row.get("least", 0)) for row in rows))
    height = len(rows) * ROW
    parts = [grid(across(tick), tick, height) for tick in across.ticks]
    parts += [bar(row, number * ROW, across) for number, row in enumerate(rows)]
    title = "Our speed as a multiple of others'. The tables below hold the same figures."
    return (
        f'<svg class="plot" role="img" aria-label="{title}" width="100%" height="{height + 28}">'
        f"{''.join(parts)}</svg>"
    )


def grid(x: float, tick: float, height: int) -> str:
    anchor = "start" if x == 0 else "end" if x == 100 else "middle"
    return (
        f'<line class="{"one" if tick == 1 else "grid"}" x1="{x}%" x2="{x}%" y1="0" '
        f'y2="{height + 6}"/><text class="tick" x="{x}%" y="{height + 22}" '
        f'text-anchor="{anchor}">{tick:g}×</text>'
    )


def bar(row: Figures, y: int, across: Scale) -> str:
    """Draw a bar from "as fast" to the figure, its label above it, and its goal as a line."""
    one, end = across(1), across(row["speed"])
    missed = is_missed(row["speed"], "least", row)
    label = escape(f"{row['case']}, beside {row['peer']}".replace("`", ""))
    said = f"{written(row['speed'])}×{' missed' * missed}"
    goal = across(row["least"]) if "least" in row else None
    after = max(one, end, goal or 0)
    return (
        f'<text class="label" x="0" y="{y + 16}">{label}</text>'
        f'<rect class="bar{" missed" * missed}" x="{min(one, end)}%" y="{y + 24}" '
        f'width="{round(abs(end - one), 2)}%" height="{BAR}"/>'
        + ("" if goal is None else goal_line(goal, y + 20))
        + f'<text class="value" x="{after}%" dx="8" y="{y + 34}">{said}</text>'
    )


def goal_line(x: float, y: int) -> str:
    return f'<line class="goal" x1="{x}%" x2="{x}%" y1="{y}" y2="{y + BAR + 8}"/>'


class Measured(SphinxDirective):
    """When and on what it was measured."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FIGURES))
        return self.parse_text_to_nodes(load()["measured"][self.arguments[0]])


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("figures", Table)
    app.add_directive("plot", Plot)
    app.add_directive("measured", Measured)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
